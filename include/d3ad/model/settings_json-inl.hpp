#pragma once
// Definitions of model/settings_json.hpp. Included by it unless they are compiled.

#include <nlohmann/json.hpp>

#include "d3ad/model/settings_json.hpp"

namespace d3ad {

D3AD_INLINE void to_json(nlohmann::json& j, const Settings& s) {
  auto copy = s;  // a table refers to what can be changed
  j = nlohmann::json::object();
  j["preset"] = s.preset;
  if (s.of_d3ad()) return write_options(j, options_of(copy));
  OptionTable own;
  copy.own.describe(own);
  auto& group = j[s.method] = nlohmann::json::object();
  write_options(group, own);
  j["method"] = s.method;
  for (const auto& option : options_of(copy))
    if (!own.find(option.name())) j[option.name()] = option_json(option);
}

D3AD_INLINE void from_json(const nlohmann::json& j, Settings& out) {
  D3AD_CHECK(j.is_object(), "settings are a JSON ", j.type_name(), ", expected an object");
  const auto text = [&j](const char* name, const std::string& otherwise) {
    const auto at = j.find(name);
    if (at == j.end()) return otherwise;
    D3AD_CHECK(at->is_string(), name, " is ", at->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
               ", expected a text");
    return at->get<std::string>();
  };
  Settings s;
  s.method = text("method", s.method);
  if (!s.of_d3ad()) {
    s = Settings::of_method(s.method);
    const auto own = j.find(s.method);
    OptionTable table;
    s.own.describe(table);
    if (own != j.end()) read_options(*own, table);
  }
  read_options(j, options_of(s));
  s.preset = text("preset", s.preset);
  out = s;
}

}  // namespace d3ad
