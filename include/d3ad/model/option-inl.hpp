#pragma once
// Definitions of model/option.hpp. Included by it unless they are compiled.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <system_error>
#include <utility>
#include <variant>

#include "d3ad/model/option.hpp"

namespace d3ad::detail {

// A number as people write it: 0.0002 and 1000000, not 2e-04 and 1e+06.
inline std::string plain_number(double value) {
  if (std::isnan(value)) return "nan";
  char text[64];
  const double size = std::abs(value);
  const bool plain = value == 0 || (size >= 1e-5 && size < 1e12);
  const auto end = plain ? std::to_chars(text, text + sizeof(text), value, std::chars_format::fixed).ptr
                         : std::to_chars(text, text + sizeof(text), value).ptr;
  return {text, end};
}
// "1", "1 or 2", "1, 2 or 3".
inline std::string any_of(const std::vector<std::string>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i)
    text += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + words[i];
  return text;
}

template <class T>
T parsed(const std::string& said, const std::string& text, const char* expected) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  D3AD_CHECK(error == std::errc() && end == text.data() + text.size(), said, ' ', text, ": expected ", expected);
  return value;
}

}  // namespace d3ad::detail

namespace d3ad {

D3AD_INLINE double number_from_text(const std::string& said, const std::string& text) {
  return detail::parsed<double>(said, text, "a number");
}
D3AD_INLINE int whole_from_text(const std::string& said, const std::string& text) {
  return detail::parsed<int>(said, text, "a whole number");
}

D3AD_INLINE const char* Option::type_text() const {
  static constexpr const char* kTypes[] = {
      "true or false", "a whole number", "a whole number, 0 or more",
      "a number",      "a text",         "whole numbers with commas between, as 1,2,2"};
  return kTypes[field_.index()];
}

D3AD_INLINE std::string Option::range_text() const {
  if (std::holds_alternative<bool*>(field_)) return "true or false";
  if (std::holds_alternative<std::string*>(field_)) return info_.words.empty() ? "a text" : detail::any_of(info_.words);
  const std::string zero = *info_.zero ? std::string("0 (") + info_.zero + ")" : "";
  std::string text = limits_text(zero);
  if (*info_.zero && !(info_.least == 0)) text = zero + " or " + text;
  if (*info_.unit) text += std::string(" ") + info_.unit;
  return text;
}

D3AD_INLINE std::string Option::text() const {
  if (const auto* v = std::get_if<bool*>(&field_)) return **v ? "true" : "false";
  if (const auto* v = std::get_if<int*>(&field_)) return std::to_string(**v);
  if (const auto* v = std::get_if<std::uint64_t*>(&field_)) return std::to_string(**v);
  if (const auto* v = std::get_if<double*>(&field_)) return detail::plain_number(**v);
  if (const auto* v = std::get_if<std::string*>(&field_)) return **v;
  std::string text;
  for (const int i : *std::get<std::vector<int>*>(field_)) text += (text.empty() ? "" : ",") + std::to_string(i);
  return text;
}

D3AD_INLINE void Option::set(const std::string& said, const std::string& text) const {
  if (const auto* v = std::get_if<bool*>(&field_)) {
    const bool yes = text == "true" || text == "1" || text == "yes" || text == "on";
    const bool no = text == "false" || text == "0" || text == "no" || text == "off";
    D3AD_CHECK(yes || no, said, ' ', text, ": expected ", type_text());
    **v = yes;
  }
  if (const auto* v = std::get_if<int*>(&field_)) **v = whole_from_text(said, text);
  if (const auto* v = std::get_if<std::uint64_t*>(&field_))
    **v = detail::parsed<std::uint64_t>(said, text, type_text());
  if (const auto* v = std::get_if<double*>(&field_)) **v = number_from_text(said, text);
  if (const auto* v = std::get_if<std::string*>(&field_)) **v = text;
  if (const auto* v = std::get_if<std::vector<int>*>(&field_)) {
    std::vector<int> read;
    for (std::size_t start = 0; start <= text.size();) {
      const std::size_t end = std::min(text.find(',', start), text.size());
      int value = 0;
      const auto [stop, error] = std::from_chars(text.data() + start, text.data() + end, value);
      D3AD_CHECK(error == std::errc() && stop == text.data() + end, said, ' ', text, ": expected ", type_text());
      read.push_back(value);
      start = end + 1;
    }
    **v = std::move(read);
  }
}

D3AD_INLINE void Option::check() const {
  if (const auto* v = std::get_if<int*>(&field_)) check_number(**v, "is");
  if (const auto* v = std::get_if<double*>(&field_)) check_number(**v, "is");
  if (const auto* v = std::get_if<std::vector<int>*>(&field_)) {
    D3AD_CHECK(info_.may_be_empty || !(*v)->empty(), info_.name, " is empty, expected one or more whole numbers, ",
               range_text());
    for (const int i : **v) check_number(i, "holds");
  }
  if (const auto* v = std::get_if<std::string*>(&field_)) {
    bool known = info_.words.empty();
    for (const auto& word : info_.words) known = known || word == **v;
    D3AD_CHECK(known, info_.name, " is '", **v, "', expected ", range_text());
  }
}

D3AD_INLINE std::string Option::limits_text(const std::string& zero) const {
  constexpr double kNone = std::numeric_limits<double>::infinity();
  const auto number = detail::plain_number;
  const std::string multiple = info_.multiple > 1 ? concat("a multiple of ", info_.multiple, " from ") : "";
  const std::string least = info_.least == 0 && !zero.empty() ? zero : number(info_.least);
  if (info_.above > -kNone)
    return "more than " + number(info_.above) + (info_.most < kNone ? " and at most " + number(info_.most) : "") +
           (info_.below < kNone ? " and below " + number(info_.below) : "");
  if (info_.least > -kNone)
    return multiple + least +
           (info_.most < kNone    ? " to " + number(info_.most)
            : info_.below < kNone ? " to below " + number(info_.below)
                                  : " or more");
  return std::holds_alternative<std::uint64_t*>(field_) ? "0 or more" : type_text();
}

D3AD_INLINE void Option::check_number(double value, const char* is) const {
  const bool finite = std::isfinite(value), zero = *info_.zero && value == 0;
  const bool inside = value >= info_.least && value <= info_.most && value > info_.above && value < info_.below &&
                      (info_.multiple == 1 || std::fmod(value, info_.multiple) == 0);
  D3AD_CHECK(finite && (zero || inside), info_.name, ' ', is, ' ', detail::plain_number(value), ", expected ",
             range_text());
}

D3AD_INLINE const Option* OptionTable::find(const std::string& name) const {
  for (const auto& option : options_)
    if (name == option.info().name) return &option;
  return nullptr;
}
D3AD_INLINE const Option& OptionTable::at(const std::string& name) const {
  const auto* option = find(name);
  D3AD_CHECK(option, "there is no option '", name, "'");
  return *option;
}
D3AD_INLINE void OptionTable::check() const {
  for (const auto& option : options_) option.check();
}
D3AD_INLINE void OptionTable::set_paper() const {
  for (const auto& option : options_)
    if (option.info().paper) option.set(option.name(), option.info().paper);
}
D3AD_INLINE void OptionTable::add(Option::Field field, OptionInfo info) {
  D3AD_CHECK(!find(info.name), "two options are called '", info.name, "'");
  options_.emplace_back(field, std::move(info), group_, stage_);
}

}  // namespace d3ad
