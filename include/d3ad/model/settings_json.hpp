#pragma once
// Settings as JSON: one flat object, as "settings" in a model's config.json has it.
//
//   nlohmann::json j = settings;           // {"T_max": 400, "preset": "small", ...}
//   settings = j.get<Settings>();          // what j leaves out has its default; Error if a value is of another type
//
// Ranges are Settings::check()'s.

#include <nlohmann/json.hpp>
#include <string>

#include "d3ad/model/option_json.hpp"
#include "d3ad/model/settings.hpp"

namespace d3ad {

inline void to_json(nlohmann::json& j, const Settings& s) {
  auto copy = s;  // a table refers to what can be changed
  j = nlohmann::json::object();
  j["preset"] = s.preset;
  write_options(j, options_of(copy));
}
inline void from_json(const nlohmann::json& j, Settings& out) {
  Settings s;
  read_options(j, options_of(s));
  const auto preset = j.find("preset");
  if (preset != j.end()) {
    D3AD_CHECK(preset->is_string(), "preset is ",
               preset->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), ", expected a text");
    s.preset = preset->get<std::string>();
  }
  out = s;
}

}  // namespace d3ad
