#pragma once
// Settings as a user writes them: the text of one becomes JSON of the type it has in Settings, and back.
//
//   setting_from_text("--eta2", "4", json.at("eta2"))          4.0
//   setting_from_text("--dynamic", "off", ...)                 false       --map-layers 2,3    [2, 3]
//   setting_text([2, 3])                                       "2,3"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <system_error>

#include "d3ad/core/check.hpp"
#include "d3ad/core/compiled.hpp"

namespace d3ad {

// option: what the user knows it by, for the sentence where `text` is of another type than `example`.
nlohmann::json setting_from_text(const std::string& option, const std::string& text, const nlohmann::json& example);

std::string setting_text(const nlohmann::json& value);

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/model/settings_text-inl.hpp"
#endif
