#pragma once
// Settings as JSON: one flat object, as "settings" in a model's config.json has it. The own options of a method other
// than d3ad are an object of its name in that one.
//
//   nlohmann::json j = settings;           // {"T_max": 400, "preset": "small", ...}
//   settings = j.get<Settings>();          // what j leaves out has its default; Error if a value is of another type
//
// Ranges are Settings::check()'s.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "d3ad/core/compiled.hpp"
#include "d3ad/model/option_json.hpp"
#include "d3ad/model/settings.hpp"

namespace d3ad {

void to_json(nlohmann::json& j, const Settings& s);
void from_json(const nlohmann::json& j, Settings& out);

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/model/settings_json-inl.hpp"
#endif
