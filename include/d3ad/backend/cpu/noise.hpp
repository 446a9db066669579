#pragma once
// CPU variant of ops/noise.hpp.

#include <algorithm>

#include "d3ad/backend/cpu/elementwise.hpp"
#include "d3ad/ops/noise.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void normal(Context<Cpu>& ctx, View<float, Cpu> out, Rng rng, std::uint64_t first) {
  detail::for_each_block(ctx, out.size(), [&](std::int64_t begin, std::int64_t count) {
    // Four numbers come from one draw.
    for (std::int64_t i = begin; i < begin + count;) {
      const std::uint64_t number = first + static_cast<std::uint64_t>(i);
      const auto four = rng.normal4(number / 4);
      for (std::uint64_t j = number % 4; j < 4 && i < begin + count; ++j) out.data[i++] = four[j];
    }
  });
}

template <>
D3AD_INLINE void add_noise(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> z, In<float, Cpu> e,
                           In<float, Cpu> a, In<float, Cpu> b) {
  check_add_noise(out.shape, z.shape, e.shape, a.shape, b.shape);
  detail::for_each_image_block(ctx, z.shape, [&](std::int64_t n, std::int64_t first, std::int64_t last) {
    simd::run<detail::WeightedSum>(out.data + first, z.data + first, e.data + first, a.data[n], b.data[n],
                                   last - first);
  });
}

}  // namespace d3ad::ops
