#pragma once
// CPU variant of ops/elementwise.hpp: one pass over memory, whose bandwidth limits them.

#include <algorithm>

#include "d3ad/backend/cpu/blocks.hpp"
#include "d3ad/ops/elementwise.hpp"

namespace d3ad::ops {

namespace detail {

// out = a * x + b * y
struct WeightedSum {
  D3AD_SIMD_INLINE static void run(float* out, const float* x, const float* y, float a, float b, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) out[i] = a * x[i] + b * y[i];
  }
};
struct Sum {
  D3AD_SIMD_INLINE static void run(float* out, const float* x, const float* y, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) out[i] = x[i] + y[i];
  }
};
struct Line {
  D3AD_SIMD_INLINE static void run(float* out, const float* x, float factor, float offset, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) out[i] = factor * x[i] + offset;
  }
};
// rows of x, each with the same factors and offsets; or with the same offsets alone
struct LineOfChannels {
  D3AD_SIMD_INLINE static void run(float* out, const float* x, const float* factor, const float* offset,
                                   std::int64_t rows, std::int64_t channels) {
    for (std::int64_t r = 0; r < rows; ++r) {
#pragma omp simd
      for (std::int64_t c = 0; c < channels; ++c) out[r * channels + c] = factor[c] * x[r * channels + c] + offset[c];
    }
  }
};
struct ShiftRows {
  D3AD_SIMD_INLINE static void run(float* out, const float* x, const float* shift, std::int64_t rows,
                                   std::int64_t channels) {
    for (std::int64_t r = 0; r < rows; ++r) {
#pragma omp simd
      for (std::int64_t c = 0; c < channels; ++c) out[r * channels + c] = x[r * channels + c] + shift[c];
    }
  }
};
struct AddRows {
  D3AD_SIMD_INLINE static void run(float* sum, const float* x, std::int64_t rows, std::int64_t channels) {
    for (std::int64_t r = 0; r < rows; ++r) {
#pragma omp simd
      for (std::int64_t c = 0; c < channels; ++c) sum[c] += x[r * channels + c];
    }
  }
};

}  // namespace detail

template <>
D3AD_INLINE void fill(Context<Cpu>& ctx, View<float, Cpu> out, float value) {
  detail::for_each_block(ctx, out.size(),
                         [&](std::int64_t first, std::int64_t count) { std::fill_n(out.data + first, count, value); });
}

template <>
D3AD_INLINE void copy(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> x) {
  check_elementwise("copy", out.shape, x.shape);
  if (out.data == x.data) return;
  detail::for_each_block(ctx, x.size(), [&](std::int64_t first, std::int64_t count) {
    std::copy_n(x.data + first, count, out.data + first);
  });
}

template <>
D3AD_INLINE void add(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> x, In<float, Cpu> y) {
  check_elementwise("add", out.shape, x.shape);
  check_elementwise("add", out.shape, y.shape);
  detail::for_each_block(ctx, x.size(), [&](std::int64_t first, std::int64_t count) {
    simd::run<detail::Sum>(out.data + first, x.data + first, y.data + first, count);
  });
}

template <>
D3AD_INLINE void scale(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> x, float factor, float offset) {
  check_elementwise("scale", out.shape, x.shape);
  detail::for_each_block(ctx, x.size(), [&](std::int64_t first, std::int64_t count) {
    simd::run<detail::Line>(out.data + first, x.data + first, factor, offset, count);
  });
}

template <>
D3AD_INLINE void add_scaled(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> x, float factor) {
  check_elementwise("add_scaled", out.shape, x.shape);
  detail::for_each_block(ctx, x.size(), [&](std::int64_t first, std::int64_t count) {
    simd::run<detail::WeightedSum>(out.data + first, out.data + first, x.data + first, 1.0f, factor, count);
  });
}

template <>
D3AD_INLINE void scale_channels(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> x, In<float, Cpu> factor,
                                In<float, Cpu> offset) {
  check_scale_channels(out.shape, x.shape, factor.shape, offset.shape);
  const std::int64_t channels = x.shape.c;
  detail::for_each_row_block(ctx, x.shape.rows(), channels, [&](std::int64_t first, std::int64_t rows) {
    simd::run<detail::LineOfChannels>(out.data + first * channels, x.data + first * channels, factor.data, offset.data,
                                      rows, channels);
  });
}

template <>
D3AD_INLINE void add_per_image(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> x, In<float, Cpu> shift) {
  check_elementwise("add_per_image", out.shape, x.shape);
  check_per_image("add_per_image", x.shape, shift.shape);
  const std::int64_t channels = x.shape.c, pixels = x.shape.pixels();
  for (std::int64_t n = 0; n < x.shape.n; ++n)
    detail::for_each_row_block(ctx, pixels, channels, [&](std::int64_t first, std::int64_t rows) {
      const std::int64_t at = (n * pixels + first) * channels;
      simd::run<detail::ShiftRows>(out.data + at, x.data + at, shift.data + n * channels, rows, channels);
    });
}

template <>
D3AD_INLINE void sum_pixels(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> x) {
  check_per_image("sum_pixels", x.shape, out.shape);
  const std::int64_t channels = x.shape.c, pixels = x.shape.pixels();
#pragma omp parallel for num_threads(detail::threads_for(ctx, x.size() / detail::kBlock)) schedule(static)
  for (std::int64_t n = 0; n < x.shape.n; ++n) {
    float* const sum = out.data + n * channels;
    std::fill_n(sum, channels, 0.0f);
    simd::run<detail::AddRows>(sum, x.data + n * pixels * channels, pixels, channels);
  }
}

}  // namespace d3ad::ops
