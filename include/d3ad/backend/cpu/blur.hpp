#pragma once
// CPU variant of ops/blur.hpp.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/ops/blur.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void mix_maps(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> x, In<float, Cpu> y, MapRange x_range,
                          MapRange y_range, float lambda) {
  check_mix_maps(out.shape, x.shape, y.shape);
  const auto factor = [](MapRange r, float weight) { return r.hi > r.lo ? weight / (r.hi - r.lo) : 0.0f; };
  const float fx = factor(x_range, lambda), fy = factor(y_range, 1.0f - lambda);
#pragma omp parallel for simd num_threads(ctx.threads())
  for (std::int64_t i = 0; i < x.size(); ++i)
    out.data[i] = fx * (x.data[i] - x_range.lo) + fy * (y.data[i] - y_range.lo);
}

template <>
D3AD_INLINE void gaussian_blur(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> x, float sigma, int radius) {
  check_gaussian_blur(out.shape, x.shape, sigma, radius);
  const Shape s = x.shape;
  if (s.size() == 0) return;
  if (!(sigma > 0)) radius = 0;

  auto kernel = make_value<float>(ctx, {.c = 2 * radius + 1});
  float* k = kernel.view().data + radius;  // k[-radius] ... k[radius]
  double sum = 0;
  const auto weight = [&](int d) { return radius ? std::exp(-0.5 * d * d / (double{sigma} * double{sigma})) : 1.0; };
  for (int d = -radius; d <= radius; ++d) sum += weight(d);
  for (int d = -radius; d <= radius; ++d) k[d] = static_cast<float>(weight(d) / sum);

  auto between = make_value<float>(ctx, s);
  const std::int64_t row_size = s.w * s.c;
#pragma omp parallel for num_threads(ctx.threads())
  for (std::int64_t row = 0; row < s.n * s.h; ++row) {
    const float* image = x.data + row / s.h * s.h * row_size;
    float* dst = between.view().data + row * row_size;
    std::fill_n(dst, row_size, 0.0f);
    for (int d = -radius; d <= radius; ++d) {
      const float* src = image + mirrored(row % s.h + d, s.h) * row_size;
      for (std::int64_t i = 0; i < row_size; ++i) dst[i] += k[d] * src[i];
    }
  }
  // Along a row, pixels whose whole neighbourhood is inside need no mirroring.
  const std::int64_t inner_first = std::min<std::int64_t>(radius, s.w),
                     inner_last = std::max(inner_first, s.w - radius);
#pragma omp parallel for num_threads(ctx.threads())
  for (std::int64_t row = 0; row < s.n * s.h; ++row) {
    const float* src = between.view().data + row * row_size;
    float* dst = out.data + row * row_size;
    std::fill_n(dst, row_size, 0.0f);
    for (int d = -radius; d <= radius; ++d) {
      const auto at_border = [&](std::int64_t p) {
        const std::int64_t q = mirrored(p + d, s.w);
        for (std::int64_t c = 0; c < s.c; ++c) dst[p * s.c + c] += k[d] * src[q * s.c + c];
      };
      for (std::int64_t p = 0; p < inner_first; ++p) at_border(p);
      for (std::int64_t i = inner_first * s.c; i < inner_last * s.c; ++i) dst[i] += k[d] * src[i + d * s.c];
      for (std::int64_t p = inner_last; p < s.w; ++p) at_border(p);
    }
  }
}

namespace detail {

inline void extremes(const float* x, std::int64_t count, float& lo, float& hi) {
  lo = hi = x[0];
  bool number = true;
  for (std::int64_t i = 0; i < count; ++i) {
    number = number && x[i] == x[i];
    lo = std::min(lo, x[i]);
    hi = std::max(hi, x[i]);
  }
  if (!number) lo = hi = std::numeric_limits<float>::quiet_NaN();
}

}  // namespace detail

template <>
D3AD_INLINE void min_max(Context<Cpu>&, In<float, Cpu> x, float& lo, float& hi) {
  check_min_max(x.shape);
  detail::extremes(x.data, x.size(), lo, hi);
}

template <>
D3AD_INLINE void max_per_image(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> x) {
  check_max_per_image(out.shape, x.shape);
  const std::int64_t count = x.shape.h * x.shape.w * x.shape.c;
#pragma omp parallel for num_threads(ctx.threads())
  for (std::int64_t n = 0; n < x.shape.n; ++n) {
    float lo = 0;
    detail::extremes(x.data + n * count, count, lo, out.data[n]);
  }
}

}  // namespace d3ad::ops
