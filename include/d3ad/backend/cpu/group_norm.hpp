#pragma once
// CPU variant of ops/group_norm.hpp. The forward pass reads memory twice and the backward pass three times, in blocks
// of pixels that fit the first-level cache.
//
// For each block, mean and sum of squared deviations of each channel are computed in two passes, while it is in cache.
// Blocks and channels are joined in double with Chan's formula, so that large means cost no precision.

#include <algorithm>
#include <cmath>

#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/backend/cpu/norm_blocks.hpp"
#include "d3ad/ops/group_norm.hpp"

namespace d3ad::ops {

namespace detail {

// out = x * factor[c] + offset[c], with kSilu followed by SiLU
template <bool kSilu>
struct ScaleShift {
  D3AD_SIMD_INLINE static void run(float* out, const float* x, const float* factor, const float* offset,
                                   std::int64_t rows, std::int64_t channels) {
    for (std::int64_t r = 0; r < rows; ++r) {
      const float* const in = x + r * channels;
      float* const to = out + r * channels;
#pragma omp simd
      for (std::int64_t c = 0; c < channels; ++c) {
        const float y = in[c] * factor[c] + offset[c];
        to[c] = kSilu ? y * simd::sigmoid(y) : y;
      }
    }
  }
};

// d = gradient of y; sum_d[c], sum_dx[c] = sums of d and of d * x^, where x^ = (x - mean) * inverse per channel
template <bool kSilu>
struct NormGradientSums {
  D3AD_SIMD_INLINE static void run(float* sum_d, float* sum_dx, const float* dy, const float* x, const float* mean,
                                   const float* inverse, const float* scale, const float* shift, std::int64_t rows,
                                   std::int64_t channels) {
    for (std::int64_t c = 0; c < channels; ++c) sum_d[c] = sum_dx[c] = 0;
    for (std::int64_t r = 0; r < rows; ++r) {
      const float *const in = x + r * channels, *const g = dy + r * channels;
#pragma omp simd
      for (std::int64_t c = 0; c < channels; ++c) {
        const float normal = (in[c] - mean[c]) * inverse[c];
        float d = g[c];
        if constexpr (kSilu) {
          const float y = normal * scale[c] + shift[c], s = simd::sigmoid(y);
          d *= s * (1.0f + y * (1.0f - s));
        }
        sum_d[c] += d;
        sum_dx[c] += d * normal;
      }
    }
  }
};

// dx = inverse * (d * scale - a - x^ * b)
template <bool kSilu>
struct NormGradient {
  D3AD_SIMD_INLINE static void run(float* dx, const float* dy, const float* x, const float* mean, const float* inverse,
                                   const float* scale, const float* shift, const float* a, const float* b,
                                   std::int64_t rows, std::int64_t channels) {
    for (std::int64_t r = 0; r < rows; ++r) {
      const float *const in = x + r * channels, *const g = dy + r * channels;
      float* const to = dx + r * channels;
#pragma omp simd
      for (std::int64_t c = 0; c < channels; ++c) {
        const float normal = (in[c] - mean[c]) * inverse[c];
        float d = g[c];
        if constexpr (kSilu) {
          const float y = normal * scale[c] + shift[c], s = simd::sigmoid(y);
          d *= s * (1.0f + y * (1.0f - s));
        }
        to[c] = inverse[c] * (d * scale[c] - a[c] - normal * b[c]);
      }
    }
  }
};

// means, inverses: of one image's groups from the moments of its blocks
inline void join_moments(const NormBlocks& blocks, std::int64_t image, const float* moments, GroupNorm config,
                         float* means, float* inverses) {
  const std::int64_t channels = blocks.channels, group = channels / config.groups;
  for (std::int64_t g = 0; g < config.groups; ++g) {
    Moments sum;
    for (std::int64_t i = image * blocks.per_image; i < (image + 1) * blocks.per_image; ++i) {
      const float *const m = moments + i * 2 * channels, *const s = m + channels;
      for (std::int64_t c = g * group; c < (g + 1) * group; ++c)
        sum.join(static_cast<double>(blocks.rows(i)), double{m[c]}, double{s[c]});
    }
    means[g] = static_cast<float>(sum.mean);
    inverses[g] = static_cast<float>(1.0 / std::sqrt(sum.square / sum.count + double{config.eps}));
  }
}

}  // namespace detail

template <>
D3AD_INLINE void group_norm(Context<Cpu>& ctx, View<float, Cpu> out, View<float, Cpu> stats, In<float, Cpu> x,
                            In<float, Cpu> scale, In<float, Cpu> shift, GroupNorm config) {
  check_group_norm(out.shape, stats.shape, stats.data != nullptr, x.shape, scale.shape, shift.shape, config);
  const detail::NormBlocks blocks(x.shape);
  const std::int64_t channels = x.shape.c, groups = config.groups, group = channels / groups;
  const auto moments = make_value<float>(ctx, {.n = blocks.count, .c = 2 * channels});
  const auto affine = make_value<float>(ctx, {.n = x.shape.n, .c = 2 * channels});  // factor, offset
  const auto own = make_value<float>(ctx, {.n = x.shape.n, .c = 2 * groups});
  float *const m = moments.view().data, *const f = affine.view().data;
  float* const st = stats.data ? stats.data : own.view().data;
#pragma omp parallel num_threads(ctx.threads())
  {
#pragma omp for schedule(static)
    for (std::int64_t i = 0; i < blocks.count; ++i)
      simd::run<detail::BlockMoments>(m + i * 2 * channels, m + i * 2 * channels + channels, x.data + blocks.offset(i),
                                      blocks.rows(i), channels);
#pragma omp for schedule(static)
    for (std::int64_t n = 0; n < x.shape.n; ++n) {
      float *const means = st + n * 2 * groups, *const inverses = means + groups;
      detail::join_moments(blocks, n, m, config, means, inverses);
      for (std::int64_t c = 0; c < channels; ++c) {
        const double factor = double{inverses[c / group]} * scale.data[c];
        f[n * 2 * channels + c] = static_cast<float>(factor);
        f[n * 2 * channels + channels + c] = static_cast<float>(shift.data[c] - means[c / group] * factor);
      }
    }
#pragma omp for schedule(static)
    for (std::int64_t i = 0; i < blocks.count; ++i) {
      const float *const factor = f + blocks.image(i) * 2 * channels, *const offset = factor + channels;
      const auto at = blocks.offset(i);
      if (config.silu)
        simd::run<detail::ScaleShift<true>>(out.data + at, x.data + at, factor, offset, blocks.rows(i), channels);
      else
        simd::run<detail::ScaleShift<false>>(out.data + at, x.data + at, factor, offset, blocks.rows(i), channels);
    }
  }
}

template <>
D3AD_INLINE void group_norm_backward(Context<Cpu>& ctx, View<float, Cpu> dx, View<float, Cpu> dscale,
                                     View<float, Cpu> dshift, In<float, Cpu> dy, In<float, Cpu> x, In<float, Cpu> stats,
                                     In<float, Cpu> scale, In<float, Cpu> shift, GroupNorm config) {
  check_group_norm(dy.shape, stats.shape, true, x.shape, scale.shape, shift.shape, config);
  D3AD_CHECK(dx.shape == x.shape, "group_norm_backward: gradient ", dx.shape, " for x ", x.shape);
  D3AD_CHECK(stats.data, "group_norm_backward: needs the statistics of the forward pass");
  const detail::NormBlocks blocks(x.shape);
  const std::int64_t channels = x.shape.c, groups = config.groups, group = channels / groups, images = x.shape.n;
  const auto sums = make_value<float>(ctx, {.n = blocks.count, .c = 2 * channels});
  const auto table = make_value<float>(ctx, {.n = images, .c = 4 * channels});    // mean, inverse, a, b per channel
  const auto totals = make_value<double>(ctx, {.n = images, .c = 2 * channels});  // of d and of d * x^
  float *const s = sums.view().data, *const t = table.view().data;
  double* const total = totals.view().data;
#pragma omp parallel num_threads(ctx.threads())
  {
#pragma omp for schedule(static)
    for (std::int64_t n = 0; n < images; ++n)
      for (std::int64_t c = 0; c < channels; ++c) {
        t[n * 4 * channels + c] = stats.data[n * 2 * groups + c / group];
        t[n * 4 * channels + channels + c] = stats.data[n * 2 * groups + groups + c / group];
      }
#pragma omp for schedule(static)
    for (std::int64_t i = 0; i < blocks.count; ++i) {
      const float *const mean = t + blocks.image(i) * 4 * channels, *const inverse = mean + channels;
      float *const sum_d = s + i * 2 * channels, *const sum_dx = sum_d + channels;
      const auto at = blocks.offset(i);
      if (config.silu)
        simd::run<detail::NormGradientSums<true>>(sum_d, sum_dx, dy.data + at, x.data + at, mean, inverse, scale.data,
                                                  shift.data, blocks.rows(i), channels);
      else
        simd::run<detail::NormGradientSums<false>>(sum_d, sum_dx, dy.data + at, x.data + at, mean, inverse, scale.data,
                                                   shift.data, blocks.rows(i), channels);
    }
#pragma omp for schedule(static)
    for (std::int64_t n = 0; n < images; ++n) {
      double *const d = total + n * 2 * channels, *const dn = d + channels;
      std::fill_n(d, 2 * channels, 0.0);
      for (std::int64_t i = n * blocks.per_image; i < (n + 1) * blocks.per_image; ++i)
        for (std::int64_t c = 0; c < 2 * channels; ++c) d[c] += double{s[i * 2 * channels + c]};
      float *const a = t + n * 4 * channels + 2 * channels, *const b = a + channels;
      const double count = static_cast<double>(blocks.pixels * group);
      for (std::int64_t g = 0; g < groups; ++g) {
        double mean_d = 0, mean_dx = 0;
        for (std::int64_t c = g * group; c < (g + 1) * group; ++c)
          mean_d += d[c] * double{scale.data[c]}, mean_dx += dn[c] * double{scale.data[c]};
        for (std::int64_t c = g * group; c < (g + 1) * group; ++c)
          a[c] = static_cast<float>(mean_d / count), b[c] = static_cast<float>(mean_dx / count);
      }
    }
#pragma omp for schedule(static)
    for (std::int64_t i = 0; i < blocks.count; ++i) {
      const float *const mean = t + blocks.image(i) * 4 * channels, *const inverse = mean + channels;
      const float *const a = inverse + channels, *const b = a + channels;
      const auto at = blocks.offset(i);
      if (config.silu)
        simd::run<detail::NormGradient<true>>(dx.data + at, dy.data + at, x.data + at, mean, inverse, scale.data,
                                              shift.data, a, b, blocks.rows(i), channels);
      else
        simd::run<detail::NormGradient<false>>(dx.data + at, dy.data + at, x.data + at, mean, inverse, scale.data,
                                               shift.data, a, b, blocks.rows(i), channels);
    }
  }
  for (std::int64_t c = 0; c < channels; ++c) {
    double d = 0, dn = 0;
    for (std::int64_t n = 0; n < images; ++n)
      d += total[n * 2 * channels + c], dn += total[n * 2 * channels + channels + c];
    if (dscale.data) dscale.data[c] += static_cast<float>(dn);
    if (dshift.data) dshift.data[c] += static_cast<float>(d);
  }
}

}  // namespace d3ad::ops
