#pragma once
// Reference variant of ops/conv2d.hpp: its formula as loops.

#include <algorithm>
#include <vector>

#include "d3ad/backend/reference/context.hpp"
#include "d3ad/ops/conv2d.hpp"

namespace d3ad::ops {

// w [out, k, k, in]; bias null: none
template <>
D3AD_INLINE void conv2d(Context<Reference>& ctx, View<double, Reference> out, In<double, Reference> x,
                        const Parameter<Reference>& weight, In<double, Reference> bias, Conv2d config) {
  const auto w = weight.value();
  check_conv2d(out.shape, x.shape, w.shape, bias.shape, bias.data != nullptr, config);
  const std::int64_t k = config.kernel, channels = x.shape.c, outputs = w.shape.n;
#pragma omp parallel for num_threads(ctx.threads()) schedule(static)
  for (std::int64_t row = 0; row < out.shape.rows(); ++row) {
    const std::int64_t n = row / out.shape.pixels(), y = row / out.shape.w % out.shape.h, q = row % out.shape.w;
    for (std::int64_t o = 0; o < outputs; ++o) {
      constexpr std::int64_t kLanes = 8;
      double lanes[kLanes]{};
      for (std::int64_t i = 0; i < k; ++i)
        for (std::int64_t j = 0; j < k; ++j) {
          const std::int64_t yy = y * config.stride - config.pad + i, xx = q * config.stride - config.pad + j;
          if (yy < 0 || xx < 0 || yy >= x.shape.h || xx >= x.shape.w) continue;
          const double* const in = x.data + ((n * x.shape.h + yy) * x.shape.w + xx) * channels;
          const double* const weights = w.data + ((o * k + i) * k + j) * channels;
          std::int64_t c = 0;
          for (; c + kLanes <= channels; c += kLanes)
            for (std::int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += in[c + lane] * weights[c + lane];
          for (; c < channels; ++c) lanes[0] += in[c] * weights[c];
        }
      double sum = bias.data ? bias.data[o] : 0.0;
      for (const double lane : lanes) sum += lane;
      out.data[row * outputs + o] = sum;
    }
  }
}

template <>
D3AD_INLINE void conv2d_backward_data(Context<Reference>& ctx, View<double, Reference> dx, In<double, Reference> dy,
                                      const Parameter<Reference>& weight, Conv2d config) {
  const auto w = weight.value();
  check_conv2d(dy.shape, dx.shape, w.shape, {}, false, config);
  const std::int64_t k = config.kernel, channels = dx.shape.c, outputs = w.shape.n;
#pragma omp parallel num_threads(ctx.threads())
  {
    std::vector<double> sums(static_cast<std::size_t>(channels));
#pragma omp for schedule(static)
    for (std::int64_t row = 0; row < dx.shape.rows(); ++row) {
      const std::int64_t n = row / dx.shape.pixels(), yy = row / dx.shape.w % dx.shape.h, xx = row % dx.shape.w;
      std::fill(sums.begin(), sums.end(), 0.0);
      for (std::int64_t i = 0; i < k; ++i)
        for (std::int64_t j = 0; j < k; ++j) {
          // The output pixel that reads this one with tap (i, j), if there is one.
          const std::int64_t y = yy + config.pad - i, q = xx + config.pad - j;
          if (y < 0 || q < 0 || y % config.stride || q % config.stride) continue;
          if (y / config.stride >= dy.shape.h || q / config.stride >= dy.shape.w) continue;
          const double* const g =
              dy.data + ((n * dy.shape.h + y / config.stride) * dy.shape.w + q / config.stride) * outputs;
          for (std::int64_t o = 0; o < outputs; ++o) {
            const double* const weights = w.data + ((o * k + i) * k + j) * channels;
            for (std::int64_t c = 0; c < channels; ++c) sums[static_cast<std::size_t>(c)] += g[o] * weights[c];
          }
        }
      for (std::int64_t c = 0; c < channels; ++c) dx.data[row * channels + c] = sums[static_cast<std::size_t>(c)];
    }
  }
}

template <>
D3AD_INLINE void conv2d_backward_weights(Context<Reference>& ctx, View<double, Reference> dw,
                                         View<double, Reference> db, In<double, Reference> x, In<double, Reference> dy,
                                         Conv2d config) {
  check_conv2d(dy.shape, x.shape, dw.shape, db.shape, db.data != nullptr, config);
  const std::int64_t k = config.kernel, channels = x.shape.c, outputs = dw.shape.n;
#pragma omp parallel num_threads(ctx.threads())
  {
    std::vector<double> sums(static_cast<std::size_t>(channels));
#pragma omp for schedule(static)
    for (std::int64_t job = 0; job < outputs * k * k; ++job) {
      const std::int64_t o = job / (k * k), i = job / k % k, j = job % k;
      std::fill(sums.begin(), sums.end(), 0.0);
      for (std::int64_t row = 0; row < dy.shape.rows(); ++row) {
        const std::int64_t n = row / dy.shape.pixels(), y = row / dy.shape.w % dy.shape.h, q = row % dy.shape.w;
        const std::int64_t yy = y * config.stride - config.pad + i, xx = q * config.stride - config.pad + j;
        if (yy < 0 || xx < 0 || yy >= x.shape.h || xx >= x.shape.w) continue;
        const double* const in = x.data + ((n * x.shape.h + yy) * x.shape.w + xx) * channels;
        const double g = dy.data[row * outputs + o];
        for (std::int64_t c = 0; c < channels; ++c) sums[static_cast<std::size_t>(c)] += g * in[c];
      }
      for (std::int64_t c = 0; c < channels; ++c) dw.data[job * channels + c] += sums[static_cast<std::size_t>(c)];
    }
  }
  if (!db.data) return;
  for (std::int64_t o = 0; o < outputs; ++o) {
    double sum = 0;
    for (std::int64_t row = 0; row < dy.shape.rows(); ++row) sum += dy.data[row * outputs + o];
    db.data[o] += sum;
  }
}

}  // namespace d3ad::ops
