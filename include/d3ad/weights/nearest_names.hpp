#pragma once
// The names most like one that was not found, for the sentence that says so.
//
//   nearest_names({"conv1.weight", "bn1.bias"}, "conv.weight")  ->  "; the nearest are 'conv1.weight', 'bn1.bias'"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace d3ad {

// A name from a file, fit to be printed: no control characters, not endless.
inline std::string printable(std::string_view name) {
  constexpr std::size_t kLongest = 160;
  std::string text(name.substr(0, kLongest));
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return name.size() > kLongest ? text + "..." : text;
}

// Levenshtein's distance.
inline std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replaced}));
    }
  }
  return row[b.size()];
}

inline std::string nearest_names(const std::vector<std::string>& names, std::string_view wanted,
                                 std::size_t count = 3) {
  constexpr std::size_t kLongest = 200, kMost = 20000;  // beyond, names are not worth the time
  if (names.empty() || names.size() > kMost || wanted.size() > kLongest) return "";
  std::vector<std::pair<std::size_t, const std::string*>> ranked;
  for (const std::string& name : names)
    if (name.size() <= kLongest) ranked.emplace_back(edit_distance(name, wanted), &name);
  count = std::min(count, ranked.size());
  if (count == 0) return "";
  std::partial_sort(
      ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(count), ranked.end(),
      [](const auto& a, const auto& b) { return a.first != b.first ? a.first < b.first : *a.second < *b.second; });
  std::string text = count == 1 ? "; the nearest is " : "; the nearest are ";
  for (std::size_t i = 0; i < count; ++i) text += (i ? ", '" : "'") + printable(*ranked[i].second) + "'";
  return text;
}

}  // namespace d3ad
