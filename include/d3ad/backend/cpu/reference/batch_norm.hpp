#pragma once
// The plain version of ops/batch_norm.hpp: its formulas as loops, in double up to the rounding of each result.
//
// Backward, the statistics are made again from x rather than taken from the stored floats, so that ReLU's side is the
// one the forward pass took.

#include <algorithm>
#include <cmath>
#include <vector>

#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/ops/batch_norm.hpp"

namespace d3ad::ops::reference {

struct ChannelStatistics {
  double mean = 0, var = 0, inverse = 0;  // inverse: 1 / sqrt(var + eps)
};

inline ChannelStatistics batch_statistics(In<float, Cpu> x, std::int64_t c, BatchNorm config) {
  const std::int64_t rows = x.shape.rows(), channels = x.shape.c;
  ChannelStatistics s;
  for (std::int64_t r = 0; r < rows; ++r) s.mean += double{x.data[r * channels + c]};
  s.mean /= static_cast<double>(rows);
  for (std::int64_t r = 0; r < rows; ++r) {
    const double d = double{x.data[r * channels + c]} - s.mean;
    s.var += d * d;
  }
  s.var /= static_cast<double>(rows);
  s.inverse = 1.0 / std::sqrt(s.var + double{config.eps});
  return s;
}

inline ChannelStatistics given_statistics(In<float, Cpu> mean, In<float, Cpu> var, std::int64_t c, BatchNorm config) {
  return {double{mean.data[c]}, double{var.data[c]}, 1.0 / std::sqrt(double{var.data[c]} + double{config.eps})};
}

inline void normalise_channel(View<float, Cpu> out, In<float, Cpu> x, In<float, Cpu> scale, In<float, Cpu> shift,
                              std::int64_t c, const ChannelStatistics& s, BatchNorm config) {
  const std::int64_t channels = x.shape.c;
  for (std::int64_t i = c; i < x.size(); i += channels) {
    const double y = (double{x.data[i]} - s.mean) * s.inverse * double{scale.data[c]} + double{shift.data[c]};
    out.data[i] = static_cast<float>(config.relu ? std::max(y, 0.0) : y);
  }
}

// batch: the statistics are the batch's own, and move with x
inline void channel_gradients(View<float, Cpu> dx, View<float, Cpu> dscale, View<float, Cpu> dshift, In<float, Cpu> dy,
                              In<float, Cpu> x, In<float, Cpu> scale, In<float, Cpu> shift, std::int64_t c,
                              const ChannelStatistics& s, BatchNorm config, bool batch) {
  const std::int64_t channels = x.shape.c;
  const double g = double{scale.data[c]};
  const auto normalised = [&](std::int64_t i) { return (double{x.data[i]} - s.mean) * s.inverse; };
  const auto through = [&](std::int64_t i) {
    return config.relu && normalised(i) * g + double{shift.data[c]} <= 0 ? 0.0 : double{dy.data[i]};
  };
  double sum_d = 0, sum_dn = 0;
  for (std::int64_t i = c; i < x.size(); i += channels) {
    sum_d += through(i);
    sum_dn += through(i) * normalised(i);
  }
  const auto rows = static_cast<double>(x.shape.rows());
  const double a = batch ? sum_d / rows : 0.0, b = batch ? sum_dn / rows : 0.0;
  for (std::int64_t i = c; i < x.size(); i += channels)
    dx.data[i] = static_cast<float>((through(i) - a - normalised(i) * b) * s.inverse * g);
  if (dscale.data) dscale.data[c] += static_cast<float>(sum_dn);
  if (dshift.data) dshift.data[c] += static_cast<float>(sum_d);
}

inline void batch_norm_eval(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> x, In<float, Cpu> scale,
                            In<float, Cpu> shift, In<float, Cpu> mean, In<float, Cpu> var, BatchNorm config) {
#pragma omp parallel for num_threads(ctx.threads()) schedule(static)
  for (std::int64_t c = 0; c < x.shape.c; ++c)
    normalise_channel(out, x, scale, shift, c, given_statistics(mean, var, c, config), config);
}

inline void batch_norm_train(Context<Cpu>& ctx, View<float, Cpu> out, View<float, Cpu> stats,
                             View<float, Cpu> running_mean, View<float, Cpu> running_var, In<float, Cpu> x,
                             In<float, Cpu> scale, In<float, Cpu> shift, BatchNorm config) {
  const std::int64_t channels = x.shape.c;
  const auto rows = static_cast<double>(x.shape.rows());
  const double momentum = double{config.momentum};
#pragma omp parallel for num_threads(ctx.threads()) schedule(static)
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto s = batch_statistics(x, c, config);
    normalise_channel(out, x, scale, shift, c, s, config);
    const double unbiased = s.var * rows / std::max(rows - 1.0, 1.0);
    stats.data[c] = static_cast<float>(s.mean);
    stats.data[channels + c] = static_cast<float>(s.inverse);
    running_mean.data[c] = static_cast<float>((1 - momentum) * double{running_mean.data[c]} + momentum * s.mean);
    running_var.data[c] = static_cast<float>((1 - momentum) * double{running_var.data[c]} + momentum * unbiased);
  }
}

inline void batch_norm_train_backward(Context<Cpu>& ctx, View<float, Cpu> dx, View<float, Cpu> dscale,
                                      View<float, Cpu> dshift, In<float, Cpu> dy, In<float, Cpu> x,
                                      In<float, Cpu> scale, In<float, Cpu> shift, BatchNorm config) {
#pragma omp parallel for num_threads(ctx.threads()) schedule(static)
  for (std::int64_t c = 0; c < x.shape.c; ++c)
    channel_gradients(dx, dscale, dshift, dy, x, scale, shift, c, batch_statistics(x, c, config), config, true);
}

inline void batch_norm_eval_backward(Context<Cpu>& ctx, View<float, Cpu> dx, View<float, Cpu> dscale,
                                     View<float, Cpu> dshift, In<float, Cpu> dy, In<float, Cpu> x, In<float, Cpu> scale,
                                     In<float, Cpu> shift, In<float, Cpu> mean, In<float, Cpu> var, BatchNorm config) {
#pragma omp parallel for num_threads(ctx.threads()) schedule(static)
  for (std::int64_t c = 0; c < x.shape.c; ++c)
    channel_gradients(dx, dscale, dshift, dy, x, scale, shift, c, given_statistics(mean, var, c, config), config,
                      false);
}

}  // namespace d3ad::ops::reference
