#pragma once
// CPU variant of ops/bilinear.hpp.

#include <algorithm>
#include <cstdint>

#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/ops/bilinear.hpp"

namespace d3ad::ops {

namespace detail {

// The two neighbours of output position i and the weight of the second.
struct BilinearTap {
  std::int64_t first, second;
  float weight;
};

// The position is computed in double: in float its error is 1e-5 of a pixel from a few hundred pixels on.
inline BilinearTap bilinear_tap(std::int64_t i, std::int64_t in, std::int64_t out) {
  const double p = out > 1 ? static_cast<double>(i) * static_cast<double>(in - 1) / static_cast<double>(out - 1) : 0.0;
  const std::int64_t first = std::min(static_cast<std::int64_t>(p), in - 1);
  return {first, std::min(first + 1, in - 1), static_cast<float>(p - static_cast<double>(first))};
}

}  // namespace detail

template <>
D3AD_INLINE void bilinear_align_corners(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> x) {
  check_bilinear(out.shape, x.shape);
  const Shape s = x.shape, o = out.shape;
  const auto across = make_value<detail::BilinearTap>(ctx, {.c = o.w});  // the same in every row
  for (std::int64_t j = 0; j < o.w; ++j) across.view().data[j] = detail::bilinear_tap(j, s.w, o.w);
#pragma omp parallel for num_threads(ctx.threads())
  for (std::int64_t row = 0; row < o.n * o.h; ++row) {
    const auto v = detail::bilinear_tap(row % o.h, s.h, o.h);
    const float* top = x.data + (row / o.h * s.h + v.first) * s.w * s.c;
    const float* bottom = x.data + (row / o.h * s.h + v.second) * s.w * s.c;
    float* dst = out.data + row * o.w * o.c;
    for (std::int64_t j = 0; j < o.w; ++j, dst += o.c) {
      const auto& u = across.view().data[j];
      const std::int64_t left = u.first * s.c, right = u.second * s.c;
      for (std::int64_t c = 0; c < o.c; ++c) {
        const float above = top[left + c] + u.weight * (top[right + c] - top[left + c]);
        const float below = bottom[left + c] + u.weight * (bottom[right + c] - bottom[left + c]);
        dst[c] = above + v.weight * (below - above);
      }
    }
  }
}

}  // namespace d3ad::ops
