#pragma once
// Definitions of model/settings_json.hpp. Included by it unless they are compiled.

#include <nlohmann/json.hpp>

#include "d3ad/model/settings_json.hpp"

namespace d3ad {

D3AD_INLINE void to_json(nlohmann::json& j, const Settings& s) {
  auto copy = s;  // a table refers to what can be changed
  j = nlohmann::json::object();
  j["preset"] = s.preset;
  write_options(j, options_of(copy));
}

D3AD_INLINE void from_json(const nlohmann::json& j, Settings& out) {
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
