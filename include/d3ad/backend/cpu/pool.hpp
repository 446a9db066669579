#pragma once
// CPU variant of ops/pool.hpp: a row of output pixels at a time, vectors along the channels.

#include <algorithm>
#include <bit>
#include <cstdint>

#include "d3ad/backend/cpu/elementwise.hpp"
#include "d3ad/ops/pool.hpp"

namespace d3ad::ops {

namespace detail {

// out[c] = factor * sum of the pixels' values
struct MeanOfFour {
  D3AD_SIMD_INLINE static void run(float* out, const float* top, const float* bottom, std::int64_t pixels,
                                   std::int64_t channels) {
    for (std::int64_t p = 0; p < pixels; ++p) {
      const float *const a = top + 2 * p * channels, *const b = bottom + 2 * p * channels;
#pragma omp simd
      for (std::int64_t c = 0; c < channels; ++c)
        out[p * channels + c] = 0.25f * ((a[c] + a[channels + c]) + (b[c] + b[channels + c]));
    }
  }
};

// largest = max(largest, x), and its place; NaN counts as the largest. Keys order floats as integers (softmax.hpp).
struct KeepLargest {
  D3AD_SIMD_INLINE static void run(std::int32_t* key, std::int32_t* place, const float* x, std::int32_t from,
                                   std::int64_t channels) {
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) {
      const std::int32_t bits = std::bit_cast<std::int32_t>(x[c]);
      const std::int32_t nan = (0x7f800000 - (bits & INT32_MAX)) >> 31;
      const std::int32_t mine = ((bits ^ ((bits >> 31) & INT32_MAX)) & ~nan) | (INT32_MAX & nan);
      const bool larger = mine > key[c];
      key[c] = larger ? mine : key[c];
      place[c] = larger ? from + static_cast<std::int32_t>(c) : place[c];
    }
  }
};

}  // namespace detail

template <>
D3AD_INLINE void avg_pool2(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> x) {
  check_avg_pool2(out.shape, x.shape);
  const Shape o = out.shape;
  const std::int64_t row = x.shape.w * x.shape.c;
#pragma omp parallel for num_threads(detail::threads_for(ctx, x.size() / detail::kBlock)) schedule(static)
  for (std::int64_t r = 0; r < o.n * o.h; ++r)
    simd::run<detail::MeanOfFour>(out.data + r * o.w * o.c, x.data + 2 * r * row, x.data + (2 * r + 1) * row, o.w, o.c);
}

template <>
D3AD_INLINE void avg_pool2_backward(Context<Cpu>& ctx, View<float, Cpu> dx, In<float, Cpu> dy) {
  check_avg_pool2(dy.shape, dx.shape);
  const std::int64_t w = dx.shape.w, channels = dx.shape.c;
#pragma omp parallel for num_threads(detail::threads_for(ctx, dx.size() / detail::kBlock)) schedule(static)
  for (std::int64_t r = 0; r < dx.shape.n * dx.shape.h; ++r)
    for (std::int64_t u = 0; u < w; ++u)
      simd::run<detail::Line>(dx.data + (r * w + u) * channels, dy.data + (r / 2 * (w / 2) + u / 2) * channels, 0.25f,
                              0.0f, channels);
}

template <>
D3AD_INLINE void max_pool3(Context<Cpu>& ctx, View<float, Cpu> out, View<std::int32_t, Cpu> argmax, In<float, Cpu> x) {
  check_max_pool3(out.shape, argmax.shape, argmax.data != nullptr, x.shape);
  const Shape s = x.shape, o = out.shape;
  const auto keys = make_value<std::int32_t>(ctx, {.n = o.n * o.h, .c = 2 * s.c});
#pragma omp parallel for num_threads(detail::threads_for(ctx, x.size() / detail::kBlock)) schedule(static)
  for (std::int64_t r = 0; r < o.n * o.h; ++r) {
    std::int32_t *const key = keys.view().data + r * 2 * s.c, *const place = key + s.c;
    const float* const image = x.data + r / o.h * s.pixels() * s.c;
    const std::int64_t y0 = std::max<std::int64_t>(2 * (r % o.h) - 1, 0), y1 = std::min(2 * (r % o.h) + 2, s.h);
    for (std::int64_t u = 0; u < o.w; ++u) {
      const std::int64_t x0 = std::max<std::int64_t>(2 * u - 1, 0), x1 = std::min(2 * u + 2, s.w);
      std::fill_n(key, s.c, INT32_MIN);
      for (std::int64_t y = y0; y < y1; ++y)
        for (std::int64_t v = x0; v < x1; ++v) {
          const std::int64_t from = (y * s.w + v) * s.c;
          simd::run<detail::KeepLargest>(key, place, image + from, static_cast<std::int32_t>(from), s.c);
        }
      const std::int64_t at = (r * o.w + u) * s.c;
      for (std::int64_t c = 0; c < s.c; ++c) out.data[at + c] = image[place[c]];
      if (argmax.data) std::copy_n(place, s.c, argmax.data + at);
    }
  }
}

template <>
D3AD_INLINE void max_pool3_backward(Context<Cpu>& ctx, View<float, Cpu> dx, In<float, Cpu> dy,
                                    In<std::int32_t, Cpu> argmax) {
  check_max_pool3(dy.shape, argmax.shape, true, dx.shape);
  const std::int64_t inputs = dx.size() / dx.shape.n, outputs = dy.size() / dy.shape.n;
#pragma omp parallel for num_threads(ctx.threads()) schedule(static)
  for (std::int64_t n = 0; n < dx.shape.n; ++n) {
    float* const to = dx.data + n * inputs;
    std::fill_n(to, inputs, 0.0f);
    for (std::int64_t i = 0; i < outputs; ++i) to[argmax.data[n * outputs + i]] += dy.data[n * outputs + i];
  }
}

template <>
D3AD_INLINE void global_avg_pool(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> x) {
  check_global_avg_pool(out.shape, x.shape);
  sum_pixels(ctx, out, x);
  scale(ctx, out, out, 1.0f / static_cast<float>(x.shape.pixels()), 0.0f);
}

template <>
D3AD_INLINE void global_avg_pool_backward(Context<Cpu>& ctx, View<float, Cpu> dx, In<float, Cpu> dy) {
  check_global_avg_pool(dy.shape, dx.shape);
  fill(ctx, dx, 0.0f);
  add_per_image(ctx, dx, dx, dy);
  scale(ctx, dx, dx, 1.0f / static_cast<float>(dx.shape.pixels()), 0.0f);
}

template <>
D3AD_INLINE void adaptive_avg_pool(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> x) {
  check_adaptive_avg_pool(out.shape, x.shape);
  const Shape s = x.shape, o = out.shape;
#pragma omp parallel for num_threads(detail::threads_for(ctx, x.size() / detail::kBlock)) schedule(static)
  for (std::int64_t r = 0; r < o.rows(); ++r) {
    const std::int64_t n = r / (o.h * o.w), y = r / o.w % o.h, u = r % o.w;
    const std::int64_t y0 = y * s.h / o.h, y1 = ((y + 1) * s.h + o.h - 1) / o.h;
    const std::int64_t x0 = u * s.w / o.w, x1 = ((u + 1) * s.w + o.w - 1) / o.w;
    float* const to = out.data + r * o.c;
    std::fill_n(to, o.c, 0.0f);
    for (std::int64_t yy = y0; yy < y1; ++yy)
      simd::run<detail::AddRows>(to, x.data + ((n * s.h + yy) * s.w + x0) * s.c, x1 - x0, s.c);
    simd::run<detail::Line>(to, to, 1.0f / static_cast<float>((y1 - y0) * (x1 - x0)), 0.0f, o.c);
  }
}

}  // namespace d3ad::ops
