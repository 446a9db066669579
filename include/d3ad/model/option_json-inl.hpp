#pragma once
// Definitions of model/option_json.hpp. Included by it unless they are compiled.

#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>
#include <variant>
#include <vector>

#include "d3ad/core/check.hpp"
#include "d3ad/model/option_json.hpp"

namespace d3ad::detail {

// Whether JSON holds a whole number that T can hold, which is then put to `out`. 4.0 is one.
template <class T>
bool whole_from_json(const nlohmann::json& value, T& out) {
  if (value.is_number_unsigned()) {
    const auto v = value.get<std::uint64_t>();
    if (v > static_cast<std::uint64_t>(std::numeric_limits<T>::max())) return false;
    out = static_cast<T>(v);
    return true;
  }
  if (value.is_number_integer()) {
    const auto v = value.get<std::int64_t>();
    if (v < 0 && std::numeric_limits<T>::min() == 0) return false;
    if (v < 0 && v < static_cast<std::int64_t>(std::numeric_limits<T>::min())) return false;
    if (v > 0 && static_cast<std::uint64_t>(v) > static_cast<std::uint64_t>(std::numeric_limits<T>::max()))
      return false;
    out = static_cast<T>(v);
    return true;
  }
  if (!value.is_number_float()) return false;
  const auto v = value.get<double>();
  if (!(std::abs(v) < 2147483648.0) || v != std::trunc(v) || (v < 0 && std::numeric_limits<T>::min() == 0))
    return false;
  out = static_cast<T>(v);
  return true;
}

// Whether `value` is of the field's type; then it is put there.
inline bool field_from_json(const nlohmann::json& value, bool& out) {
  if (!value.is_boolean()) return false;
  out = value.get<bool>();
  return true;
}
inline bool field_from_json(const nlohmann::json& value, int& out) { return whole_from_json(value, out); }
inline bool field_from_json(const nlohmann::json& value, std::uint64_t& out) { return whole_from_json(value, out); }
inline bool field_from_json(const nlohmann::json& value, double& out) {
  if (!value.is_number()) return false;
  out = value.get<double>();
  return true;
}
inline bool field_from_json(const nlohmann::json& value, std::string& out) {
  if (!value.is_string()) return false;
  out = value.get<std::string>();
  return true;
}
inline bool field_from_json(const nlohmann::json& value, std::vector<int>& out) {
  if (!value.is_array()) return false;
  std::vector<int> list(value.size());
  for (std::size_t i = 0; i < list.size(); ++i)
    if (!whole_from_json(value[i], list[i])) return false;
  out = std::move(list);
  return true;
}

}  // namespace d3ad::detail

namespace d3ad {

D3AD_INLINE nlohmann::json option_json(const Option& option) {
  return std::visit([](const auto* field) { return nlohmann::json(*field); }, option.field());
}
D3AD_INLINE void set_option(const Option& option, const nlohmann::json& value) {
  const bool right = std::visit([&](auto* field) { return detail::field_from_json(value, *field); }, option.field());
  D3AD_CHECK(right, option.info().name, " is ", value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
             ", expected ", option.list() ? "a list of whole numbers" : option.type_text());
}

D3AD_INLINE void write_options(nlohmann::json& object, const OptionTable& options) {
  for (const auto& option : options) object[option.info().name] = option_json(option);
}
D3AD_INLINE void read_options(const nlohmann::json& object, const OptionTable& options) {
  D3AD_CHECK(object.is_object(), "options are a JSON ", object.type_name(), ", expected an object");
  for (const auto& option : options) {
    const auto at = object.find(option.info().name);
    if (at != object.end()) set_option(option, *at);
  }
}

D3AD_INLINE std::string json_text(const nlohmann::json& value) {
  if (!value.is_array()) return value.is_string() ? value.get<std::string>() : value.dump();
  std::string text;
  for (const auto& v : value) text += (text.empty() ? "" : ",") + v.dump();
  return text;
}

}  // namespace d3ad
