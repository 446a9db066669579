#pragma once
// Definitions of anomaly/regions.hpp. Included by it unless they are compiled.

#include "d3ad/anomaly/regions.hpp"

namespace d3ad::anomaly {

D3AD_INLINE int label_regions(std::span<const std::uint8_t> mask, std::int64_t h, std::int64_t w,
                              std::vector<std::int32_t>& region) {
  D3AD_CHECK(h >= 0 && w >= 0 && h <= 1 << 20 && w <= 1 << 20 && h * w < (std::int64_t{1} << 31) &&
                 static_cast<std::int64_t>(mask.size()) == h * w,
             "regions: a mask of ", mask.size(), " pixels is not ", h, " x ", w);
  region.assign(mask.size(), 0);
  // First pass: provisional labels; parent[] joins those that turn out to be one region (union-find, smaller wins).
  std::vector<std::int32_t> parent{0};
  const auto root = [&](std::int32_t a) {
    while (parent[static_cast<std::size_t>(a)] != a) {
      auto& up = parent[static_cast<std::size_t>(a)];
      up = parent[static_cast<std::size_t>(up)];  // halves the path
      a = up;
    }
    return a;
  };
  const auto at = [&](std::int64_t y, std::int64_t x) -> std::int32_t& {
    return region[static_cast<std::size_t>(y * w + x)];
  };
  constexpr std::pair<int, int> kBefore[] = {{-1, -1}, {-1, 0}, {-1, 1}, {0, -1}};
  for (std::int64_t y = 0; y < h; ++y)
    for (std::int64_t x = 0; x < w; ++x) {
      if (!mask[static_cast<std::size_t>(y * w + x)]) continue;
      std::int32_t label = 0;
      for (const auto& [dy, dx] : kBefore) {
        if (y + dy < 0 || x + dx < 0 || x + dx >= w || !at(y + dy, x + dx)) continue;
        const std::int32_t other = root(at(y + dy, x + dx));
        if (!label) {
          label = other;
        } else if (other != label) {
          const auto [low, high] = std::minmax(label, other);
          parent[static_cast<std::size_t>(high)] = low;
          label = low;
        }
      }
      if (!label) {
        label = static_cast<std::int32_t>(parent.size());
        parent.push_back(label);
      }
      at(y, x) = label;
    }
  // Second pass: roots are numbered in the order of their first pixels.
  std::vector<std::int32_t> number(parent.size(), 0);
  int count = 0;
  for (auto& label : region) {
    if (!label) continue;
    auto& n = number[static_cast<std::size_t>(root(label))];
    if (!n) n = ++count;
    label = n;
  }
  return count;
}

}  // namespace d3ad::anomaly
