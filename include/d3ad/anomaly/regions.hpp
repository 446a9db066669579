#pragma once
// Regions of a mask: foreground pixels that touch, by an edge or by a corner (8-connected).
//
//   std::vector<std::int32_t> region;
//   int count = anomaly::label_regions(mask, h, w, region);    // region[i]: 0 background, 1 ... count in reading order

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "d3ad/core/check.hpp"
#include "d3ad/core/compiled.hpp"

namespace d3ad::anomaly {

// mask: h rows of w pixels, foreground where not 0.
int label_regions(std::span<const std::uint8_t> mask, std::int64_t h, std::int64_t w,
                  std::vector<std::int32_t>& region);

}  // namespace d3ad::anomaly

#if D3AD_DEFINITIONS
#include "d3ad/anomaly/regions-inl.hpp"
#endif
