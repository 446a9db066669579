#pragma once
// CPU variant of ops/batch_norm.hpp: all rows in blocks (norm_blocks.hpp), each channel an affine map of x.
//
// factor = scale / sqrt(var + eps) and offset = shift - mean * factor are computed in double, as PyTorch does. The
// forward and the backward pass compute the argument of ReLU by the same expression.

#include <algorithm>
#include <cmath>

#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/backend/cpu/norm_blocks.hpp"
#include "d3ad/ops/batch_norm.hpp"

namespace d3ad::ops {

namespace detail {

// out = x * factor[c] + offset[c]; with kRelu not below 0
template <bool kRelu>
struct ChannelAffine {
  D3AD_SIMD_INLINE static void run(float* out, const float* x, const float* factor, const float* offset,
                                   std::int64_t rows, std::int64_t channels) {
    for (std::int64_t r = 0; r < rows; ++r) {
      const float* const in = x + r * channels;
      float* const to = out + r * channels;
#pragma omp simd
      for (std::int64_t c = 0; c < channels; ++c) {
        const float y = in[c] * factor[c] + offset[c];
        to[c] = kRelu && y <= 0.0f ? 0.0f : y;
      }
    }
  }
};

// d = dy, or 0 where ReLU gave 0; sum_d[c], sum_dx[c] = sums of d and of d * (x - mean)
template <bool kRelu>
struct AffineGradientSums {
  D3AD_SIMD_INLINE static void run(float* sum_d, float* sum_dx, const float* dy, const float* x, const float* mean,
                                   const float* factor, const float* offset, std::int64_t rows, std::int64_t channels) {
    for (std::int64_t c = 0; c < channels; ++c) sum_d[c] = sum_dx[c] = 0;
    for (std::int64_t r = 0; r < rows; ++r) {
      const float *const in = x + r * channels, *const g = dy + r * channels;
#pragma omp simd
      for (std::int64_t c = 0; c < channels; ++c) {
        const float d = kRelu && in[c] * factor[c] + offset[c] <= 0.0f ? 0.0f : g[c];
        sum_d[c] += d;
        sum_dx[c] += d * (in[c] - mean[c]);
      }
    }
  }
};

// dx = (d - a - (x - mean) * b) * factor
template <bool kRelu>
struct AffineGradient {
  D3AD_SIMD_INLINE static void run(float* dx, const float* dy, const float* x, const float* mean, const float* factor,
                                   const float* offset, const float* a, const float* b, std::int64_t rows,
                                   std::int64_t channels) {
    for (std::int64_t r = 0; r < rows; ++r) {
      const float *const in = x + r * channels, *const g = dy + r * channels;
      float* const to = dx + r * channels;
#pragma omp simd
      for (std::int64_t c = 0; c < channels; ++c) {
        const float d = kRelu && in[c] * factor[c] + offset[c] <= 0.0f ? 0.0f : g[c];
        to[c] = (d - a[c] - (in[c] - mean[c]) * b[c]) * factor[c];
      }
    }
  }
};

// Takes all rows as one image, because the statistics are those of all rows.
inline Shape as_rows(Shape x) { return {1, x.rows(), 1, x.c}; }

// factor, offset: of channels with these statistics
inline void affine_of(float* factor, float* offset, const float* mean, const double* inverse, In<float, Cpu> scale,
                      In<float, Cpu> shift) {
  for (std::int64_t c = 0; c < scale.size(); ++c) {
    const double f = inverse[c] * double{scale.data[c]};
    factor[c] = static_cast<float>(f);
    offset[c] = static_cast<float>(double{shift.data[c]} - double{mean[c]} * f);
  }
}

inline void channel_affine(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> x, const float* factor,
                           const float* offset, bool relu) {
  const NormBlocks blocks(as_rows(x.shape));
#pragma omp parallel for num_threads(ctx.threads()) schedule(static)
  for (std::int64_t i = 0; i < blocks.count; ++i) {
    const auto at = blocks.offset(i);
    if (relu)
      simd::run<ChannelAffine<true>>(out.data + at, x.data + at, factor, offset, blocks.rows(i), x.shape.c);
    else
      simd::run<ChannelAffine<false>>(out.data + at, x.data + at, factor, offset, blocks.rows(i), x.shape.c);
  }
}

// The gradients of y = x^ * scale + shift for given statistics. batch: the statistics are those of the batch, so they
// depend on x.
inline void batch_norm_gradients(Context<Cpu>& ctx, View<float, Cpu> dx, View<float, Cpu> dscale,
                                 View<float, Cpu> dshift, In<float, Cpu> dy, In<float, Cpu> x, In<float, Cpu> scale,
                                 In<float, Cpu> shift, const float* mean, const double* inverse, BatchNorm config,
                                 bool batch) {
  const NormBlocks blocks(as_rows(x.shape));
  const std::int64_t channels = x.shape.c;
  const auto sums = make_value<float>(ctx, {.n = blocks.count, .c = 2 * channels});
  const auto table = make_value<float>(ctx, {.n = 4, .c = channels});
  float* const s = sums.view().data;
  float *const factor = table.view().data, *const offset = factor + channels;
  float *const a = offset + channels, *const b = a + channels;
  affine_of(factor, offset, mean, inverse, scale, shift);
  const bool relu = config.relu;
#pragma omp parallel for num_threads(ctx.threads()) schedule(static)
  for (std::int64_t i = 0; i < blocks.count; ++i) {
    const auto at = blocks.offset(i);
    float *const sum_d = s + i * 2 * channels, *const sum_dx = sum_d + channels;
    if (relu)
      simd::run<AffineGradientSums<true>>(sum_d, sum_dx, dy.data + at, x.data + at, mean, factor, offset,
                                          blocks.rows(i), channels);
    else
      simd::run<AffineGradientSums<false>>(sum_d, sum_dx, dy.data + at, x.data + at, mean, factor, offset,
                                           blocks.rows(i), channels);
  }
  const double rows = static_cast<double>(x.shape.rows());
  for (std::int64_t c = 0; c < channels; ++c) {
    double d = 0, dn = 0;
    for (std::int64_t i = 0; i < blocks.count; ++i)
      d += double{s[i * 2 * channels + c]}, dn += double{s[i * 2 * channels + channels + c]};
    if (dscale.data) dscale.data[c] += static_cast<float>(dn * inverse[c]);
    if (dshift.data) dshift.data[c] += static_cast<float>(d);
    a[c] = batch ? static_cast<float>(d / rows) : 0.0f;
    b[c] = batch ? static_cast<float>(dn * inverse[c] * inverse[c] / rows) : 0.0f;
  }
#pragma omp parallel for num_threads(ctx.threads()) schedule(static)
  for (std::int64_t i = 0; i < blocks.count; ++i) {
    const auto at = blocks.offset(i);
    if (relu)
      simd::run<AffineGradient<true>>(dx.data + at, dy.data + at, x.data + at, mean, factor, offset, a, b,
                                      blocks.rows(i), channels);
    else
      simd::run<AffineGradient<false>>(dx.data + at, dy.data + at, x.data + at, mean, factor, offset, a, b,
                                       blocks.rows(i), channels);
  }
}

// 1 / sqrt(var + eps) of given variances.
inline Value<double, Cpu> inverse_deviations(Context<Cpu>& ctx, In<float, Cpu> var, BatchNorm config) {
  auto out = make_value<double>(ctx, {.c = var.size()});
  for (std::int64_t c = 0; c < var.size(); ++c)
    out.view().data[c] = 1.0 / std::sqrt(double{var.data[c]} + double{config.eps});
  return out;
}

}  // namespace detail

template <>
D3AD_INLINE void batch_norm_eval(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> x, In<float, Cpu> scale,
                                 In<float, Cpu> shift, In<float, Cpu> mean, In<float, Cpu> var, BatchNorm config) {
  check_batch_norm("scale and shift", out.shape, x.shape, scale.shape, shift.shape);
  check_batch_norm("mean and variance", out.shape, x.shape, mean.shape, var.shape);
  const auto inverse = detail::inverse_deviations(ctx, var, config);
  const auto affine = make_value<float>(ctx, {.n = 2, .c = x.shape.c});
  float *const factor = affine.view().data, *const offset = factor + x.shape.c;
  detail::affine_of(factor, offset, mean.data, inverse.view().data, scale, shift);
  detail::channel_affine(ctx, out, x, factor, offset, config.relu);
}

template <>
D3AD_INLINE void batch_norm_train(Context<Cpu>& ctx, View<float, Cpu> out, View<float, Cpu> stats,
                                  View<float, Cpu> running_mean, View<float, Cpu> running_var, In<float, Cpu> x,
                                  In<float, Cpu> scale, In<float, Cpu> shift, BatchNorm config) {
  check_batch_norm("scale and shift", out.shape, x.shape, scale.shape, shift.shape);
  check_batch_norm("running mean and variance", out.shape, x.shape, running_mean.shape, running_var.shape);
  check_batch_norm_stats(stats.shape, x.shape);
  const detail::NormBlocks blocks(detail::as_rows(x.shape));
  const std::int64_t channels = x.shape.c;
  const auto moments = make_value<float>(ctx, {.n = blocks.count, .c = 2 * channels});
  const auto affine = make_value<float>(ctx, {.n = 2, .c = channels});
  const auto inverses = make_value<double>(ctx, {.c = channels});
  float *const m = moments.view().data, *const factor = affine.view().data, *const offset = factor + channels;
#pragma omp parallel for num_threads(ctx.threads()) schedule(static)
  for (std::int64_t i = 0; i < blocks.count; ++i)
    simd::run<detail::BlockMoments>(m + i * 2 * channels, m + i * 2 * channels + channels, x.data + blocks.offset(i),
                                    blocks.rows(i), channels);
  for (std::int64_t c = 0; c < channels; ++c) {
    detail::Moments sum;
    for (std::int64_t i = 0; i < blocks.count; ++i)
      sum.join(static_cast<double>(blocks.rows(i)), double{m[i * 2 * channels + c]},
               double{m[i * 2 * channels + channels + c]});
    const double inverse = 1.0 / std::sqrt(sum.square / sum.count + double{config.eps});
    const double unbiased = sum.square / std::max(sum.count - 1.0, 1.0), momentum = double{config.momentum};
    inverses.view().data[c] = inverse;
    stats.data[c] = static_cast<float>(sum.mean);
    stats.data[channels + c] = static_cast<float>(inverse);
    running_mean.data[c] = static_cast<float>((1 - momentum) * double{running_mean.data[c]} + momentum * sum.mean);
    running_var.data[c] = static_cast<float>((1 - momentum) * double{running_var.data[c]} + momentum * unbiased);
  }
  detail::affine_of(factor, offset, stats.data, inverses.view().data, scale, shift);
  detail::channel_affine(ctx, out, x, factor, offset, config.relu);
}

template <>
D3AD_INLINE void batch_norm_train_backward(Context<Cpu>& ctx, View<float, Cpu> dx, View<float, Cpu> dscale,
                                           View<float, Cpu> dshift, In<float, Cpu> dy, In<float, Cpu> x,
                                           In<float, Cpu> stats, In<float, Cpu> scale, In<float, Cpu> shift,
                                           BatchNorm config) {
  check_batch_norm("scale and shift", dx.shape, x.shape, scale.shape, shift.shape);
  check_batch_norm("scale and shift", dy.shape, x.shape, scale.shape, shift.shape);
  check_batch_norm_stats(stats.shape, x.shape);
  const auto inverse = make_value<double>(ctx, {.c = x.shape.c});
  for (std::int64_t c = 0; c < x.shape.c; ++c) inverse.view().data[c] = double{stats.data[x.shape.c + c]};
  detail::batch_norm_gradients(ctx, dx, dscale, dshift, dy, x, scale, shift, stats.data, inverse.view().data, config,
                               true);
}

template <>
D3AD_INLINE void batch_norm_eval_backward(Context<Cpu>& ctx, View<float, Cpu> dx, View<float, Cpu> dscale,
                                          View<float, Cpu> dshift, In<float, Cpu> dy, In<float, Cpu> x,
                                          In<float, Cpu> scale, In<float, Cpu> shift, In<float, Cpu> mean,
                                          In<float, Cpu> var, BatchNorm config) {
  check_batch_norm("scale and shift", dx.shape, x.shape, scale.shape, shift.shape);
  check_batch_norm("mean and variance", dy.shape, x.shape, mean.shape, var.shape);
  const auto inverse = detail::inverse_deviations(ctx, var, config);
  detail::batch_norm_gradients(ctx, dx, dscale, dshift, dy, x, scale, shift, mean.data, inverse.view().data, config,
                               false);
}

}  // namespace d3ad::ops
