#pragma once
// The plain version of ops/conv2d.hpp: its formula as loops, sums in double. What the fast one is tested against, and
// what a Context made with {.reference = true} computes with.
//
// Forward, its accuracy is that of the rounding of the result: a sign that decides which way a ReLU goes is then the
// true one, which a comparison of gradients with another framework needs.

#include <algorithm>
#include <vector>

#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/ops/conv2d.hpp"

namespace d3ad::ops::reference {

// w [out, k, k, in]; bias null: none
inline void conv2d(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> x, In<float, Cpu> w, In<float, Cpu> bias,
                   Conv2d config) {
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
          const float* const in = x.data + ((n * x.shape.h + yy) * x.shape.w + xx) * channels;
          const float* const weights = w.data + ((o * k + i) * k + j) * channels;
          std::int64_t c = 0;
          for (; c + kLanes <= channels; c += kLanes)
            for (std::int64_t lane = 0; lane < kLanes; ++lane)
              lanes[lane] += double{in[c + lane]} * double{weights[c + lane]};
          for (; c < channels; ++c) lanes[0] += double{in[c]} * double{weights[c]};
        }
      double sum = bias.data ? double{bias.data[o]} : 0.0;
      for (const double lane : lanes) sum += lane;
      out.data[row * outputs + o] = static_cast<float>(sum);
    }
  }
}

inline void conv2d_backward_data(Context<Cpu>& ctx, View<float, Cpu> dx, In<float, Cpu> dy, In<float, Cpu> w,
                                 Conv2d config) {
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
          // The output pixel that saw this one through tap (i, j), if there is one.
          const std::int64_t y = yy + config.pad - i, q = xx + config.pad - j;
          if (y < 0 || q < 0 || y % config.stride || q % config.stride) continue;
          if (y / config.stride >= dy.shape.h || q / config.stride >= dy.shape.w) continue;
          const float* const g =
              dy.data + ((n * dy.shape.h + y / config.stride) * dy.shape.w + q / config.stride) * outputs;
          for (std::int64_t o = 0; o < outputs; ++o) {
            const float* const weights = w.data + ((o * k + i) * k + j) * channels;
            for (std::int64_t c = 0; c < channels; ++c)
              sums[static_cast<std::size_t>(c)] += double{g[o]} * double{weights[c]};
          }
        }
      for (std::int64_t c = 0; c < channels; ++c)
        dx.data[row * channels + c] = static_cast<float>(sums[static_cast<std::size_t>(c)]);
    }
  }
}

inline void conv2d_backward_weights(Context<Cpu>& ctx, View<float, Cpu> dw, View<float, Cpu> db, In<float, Cpu> x,
                                    In<float, Cpu> dy, Conv2d config) {
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
        const float* const in = x.data + ((n * x.shape.h + yy) * x.shape.w + xx) * channels;
        const double g = double{dy.data[row * outputs + o]};
        for (std::int64_t c = 0; c < channels; ++c) sums[static_cast<std::size_t>(c)] += g * double{in[c]};
      }
      for (std::int64_t c = 0; c < channels; ++c)
        dw.data[job * channels + c] += static_cast<float>(sums[static_cast<std::size_t>(c)]);
    }
  }
  if (!db.data) return;
  for (std::int64_t o = 0; o < outputs; ++o) {
    double sum = 0;
    for (std::int64_t row = 0; row < dy.shape.rows(); ++row) sum += double{dy.data[row * outputs + o]};
    db.data[o] += static_cast<float>(sum);
  }
}

}  // namespace d3ad::ops::reference
