#pragma once
// Definitions of model/settings_text.hpp. Included by it unless they are compiled.

#include <nlohmann/json.hpp>

#include "d3ad/model/settings_text.hpp"

namespace d3ad {

D3AD_INLINE nlohmann::json setting_from_text(const std::string& option, const std::string& text,
                                             const nlohmann::json& example) {
  const auto wrong = [&](const char* expected) { fail(option, ' ', text, ": expected ", expected); };
  const auto parse_number = [&](const std::string& word, auto& value, const char* expected) {
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size()) wrong(expected);
  };
  if (example.is_boolean()) {
    if (text == "true" || text == "1" || text == "yes" || text == "on") return true;
    if (text == "false" || text == "0" || text == "no" || text == "off") return false;
    wrong("true or false");
  }
  if (example.is_string()) return text;
  if (example.is_array()) {
    nlohmann::json list = nlohmann::json::array();
    std::size_t start = 0;
    while (start <= text.size()) {
      const std::size_t end = std::min(text.find(',', start), text.size());
      int value = 0;
      parse_number(text.substr(start, end - start), value, "whole numbers with commas between, as 1,2,2");
      list.push_back(value);
      start = end + 1;
    }
    return list;
  }
  if (example.is_number_unsigned()) {
    std::uint64_t value = 0;
    parse_number(text, value, "a whole number, 0 or more");
    return value;
  }
  if (example.is_number_integer()) {
    int value = 0;
    parse_number(text, value, "a whole number");
    return value;
  }
  double value = 0;
  parse_number(text, value, "a number");
  return value;
}

D3AD_INLINE std::string setting_text(const nlohmann::json& value) {
  if (!value.is_array()) return value.is_string() ? value.get<std::string>() : value.dump();
  std::string text;
  for (const auto& v : value) text += (text.empty() ? "" : ",") + v.dump();
  return text;
}

}  // namespace d3ad
