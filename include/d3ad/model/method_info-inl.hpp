#pragma once
// Definitions of model/method_info.hpp. Included by it unless they are compiled.

#include <algorithm>
#include <deque>

#include "d3ad/core/check.hpp"
#include "d3ad/data/table.hpp"
#include "d3ad/model/method_info.hpp"

namespace d3ad::detail {

// A deque: what is added leaves references to the others valid.
D3AD_INLINE std::deque<MethodInfo>& method_infos() {
  static std::deque<MethodInfo> all;
  return all;
}

}  // namespace d3ad::detail

namespace d3ad {

D3AD_INLINE std::string attribute_text(const Attribute& attribute, float value) {
  return fixed(double{value}, attribute.whole ? 0 : 4);
}

D3AD_INLINE const MethodInfo& method_info(const std::string& name) {
  const auto& all = detail::method_infos();
  const auto at = std::find_if(all.begin(), all.end(), [&](const MethodInfo& m) { return m.name == name; });
  if (at != all.end()) return *at;
  std::string known;
  for (const auto& m : all) known += (known.empty() ? "" : ", ") + m.name;
  fail("method '", name, "' is not known; expected one of ", known);
}

D3AD_INLINE std::vector<std::string> method_names() {
  std::vector<std::string> names;
  for (const auto& m : detail::method_infos()) names.push_back(m.name);
  return names;
}

D3AD_INLINE void add_method_info(MethodInfo info) {
  auto& all = detail::method_infos();
  const auto at = std::find_if(all.begin(), all.end(), [&](const MethodInfo& m) { return m.name == info.name; });
  if (at != all.end())
    *at = std::move(info);
  else
    all.push_back(std::move(info));
}

}  // namespace d3ad
