#pragma once
// Reference variant of ops/batch_norm.hpp: one channel at a time.

#include <algorithm>
#include <cmath>
#include <vector>

#include "d3ad/backend/reference/context.hpp"
#include "d3ad/ops/batch_norm.hpp"

namespace d3ad::ops {

namespace detail {

struct ChannelStatistics {
  double mean = 0, var = 0, inverse = 0;  // inverse: 1 / sqrt(var + eps)
};

inline ChannelStatistics batch_statistics(In<double, Reference> x, std::int64_t c, BatchNorm config) {
  const std::int64_t rows = x.shape.rows(), channels = x.shape.c;
  ChannelStatistics s;
  for (std::int64_t r = 0; r < rows; ++r) s.mean += x.data[r * channels + c];
  s.mean /= static_cast<double>(rows);
  for (std::int64_t r = 0; r < rows; ++r) {
    const double d = x.data[r * channels + c] - s.mean;
    s.var += d * d;
  }
  s.var /= static_cast<double>(rows);
  s.inverse = 1.0 / std::sqrt(s.var + double{config.eps});
  return s;
}

inline ChannelStatistics given_statistics(In<double, Reference> mean, In<double, Reference> var, std::int64_t c,
                                          BatchNorm config) {
  return {mean.data[c], var.data[c], 1.0 / std::sqrt(var.data[c] + double{config.eps})};
}

inline void normalise_channel(View<double, Reference> out, In<double, Reference> x, In<double, Reference> scale,
                              In<double, Reference> shift, std::int64_t c, const ChannelStatistics& s,
                              BatchNorm config) {
  const std::int64_t channels = x.shape.c;
  for (std::int64_t i = c; i < x.size(); i += channels) {
    const double y = (x.data[i] - s.mean) * s.inverse * scale.data[c] + shift.data[c];
    out.data[i] = config.relu ? std::max(y, 0.0) : y;
  }
}

// batch: the statistics are those of the batch, so they depend on x
inline void channel_gradients(View<double, Reference> dx, View<double, Reference> dscale,
                              View<double, Reference> dshift, In<double, Reference> dy, In<double, Reference> x,
                              In<double, Reference> scale, In<double, Reference> shift, std::int64_t c,
                              const ChannelStatistics& s, BatchNorm config, bool batch) {
  const std::int64_t channels = x.shape.c;
  const double g = scale.data[c];
  const auto normalised = [&](std::int64_t i) { return (x.data[i] - s.mean) * s.inverse; };
  const auto through = [&](std::int64_t i) {
    return config.relu && normalised(i) * g + shift.data[c] <= 0 ? 0.0 : dy.data[i];
  };
  double sum_d = 0, sum_dn = 0;
  for (std::int64_t i = c; i < x.size(); i += channels) {
    sum_d += through(i);
    sum_dn += through(i) * normalised(i);
  }
  const auto rows = static_cast<double>(x.shape.rows());
  const double a = batch ? sum_d / rows : 0.0, b = batch ? sum_dn / rows : 0.0;
  for (std::int64_t i = c; i < x.size(); i += channels)
    dx.data[i] = (through(i) - a - normalised(i) * b) * s.inverse * g;
  if (dscale.data) dscale.data[c] += sum_dn;
  if (dshift.data) dshift.data[c] += sum_d;
}

}  // namespace detail

template <>
D3AD_INLINE void batch_norm_eval(Context<Reference>& ctx, View<double, Reference> out, In<double, Reference> x,
                                 In<double, Reference> scale, In<double, Reference> shift, In<double, Reference> mean,
                                 In<double, Reference> var, BatchNorm config) {
#pragma omp parallel for num_threads(ctx.threads()) schedule(static)
  for (std::int64_t c = 0; c < x.shape.c; ++c)
    detail::normalise_channel(out, x, scale, shift, c, detail::given_statistics(mean, var, c, config), config);
}

template <>
D3AD_INLINE void batch_norm_train(Context<Reference>& ctx, View<double, Reference> out, View<double, Reference> stats,
                                  View<double, Reference> running_mean, View<double, Reference> running_var,
                                  In<double, Reference> x, In<double, Reference> scale, In<double, Reference> shift,
                                  BatchNorm config) {
  check_batch_norm("scale and shift", out.shape, x.shape, scale.shape, shift.shape);
  check_batch_norm("running mean and variance", out.shape, x.shape, running_mean.shape, running_var.shape);
  check_batch_norm_stats(stats.shape, x.shape);
  const std::int64_t channels = x.shape.c;
  const auto rows = static_cast<double>(x.shape.rows());
  const double momentum = double{config.momentum};
#pragma omp parallel for num_threads(ctx.threads()) schedule(static)
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto s = detail::batch_statistics(x, c, config);
    detail::normalise_channel(out, x, scale, shift, c, s, config);
    const double unbiased = s.var * rows / std::max(rows - 1.0, 1.0);
    stats.data[c] = s.mean;
    stats.data[channels + c] = s.inverse;
    running_mean.data[c] = (1 - momentum) * running_mean.data[c] + momentum * s.mean;
    running_var.data[c] = (1 - momentum) * running_var.data[c] + momentum * unbiased;
  }
}

template <>
D3AD_INLINE void batch_norm_train_backward(Context<Reference>& ctx, View<double, Reference> dx,
                                           View<double, Reference> dscale, View<double, Reference> dshift,
                                           In<double, Reference> dy, In<double, Reference> x,
                                           In<double, Reference> stats, In<double, Reference> scale,
                                           In<double, Reference> shift, BatchNorm config) {
  check_batch_norm("scale and shift", dx.shape, x.shape, scale.shape, shift.shape);
  check_batch_norm_stats(stats.shape, x.shape);
#pragma omp parallel for num_threads(ctx.threads()) schedule(static)
  for (std::int64_t c = 0; c < x.shape.c; ++c)
    detail::channel_gradients(dx, dscale, dshift, dy, x, scale, shift, c, detail::batch_statistics(x, c, config),
                              config, true);
}

template <>
D3AD_INLINE void batch_norm_eval_backward(Context<Reference>& ctx, View<double, Reference> dx,
                                          View<double, Reference> dscale, View<double, Reference> dshift,
                                          In<double, Reference> dy, In<double, Reference> x,
                                          In<double, Reference> scale, In<double, Reference> shift,
                                          In<double, Reference> mean, In<double, Reference> var, BatchNorm config) {
  check_batch_norm("scale and shift", dx.shape, x.shape, scale.shape, shift.shape);
  check_batch_norm("mean and variance", dy.shape, x.shape, mean.shape, var.shape);
#pragma omp parallel for num_threads(ctx.threads()) schedule(static)
  for (std::int64_t c = 0; c < x.shape.c; ++c)
    detail::channel_gradients(dx, dscale, dshift, dy, x, scale, shift, c,
                              detail::given_statistics(mean, var, c, config), config, false);
}

}  // namespace d3ad::ops
