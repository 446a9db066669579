#pragma once
// CPU variant of ops/optimizer.hpp: one pass over a tensor and its moments.

#include <cmath>

#include "d3ad/backend/cpu/loss.hpp"
#include "d3ad/ops/optimizer.hpp"

namespace d3ad::ops {

namespace detail {

struct AdamWFactors {
  float gradient_scale, beta1, beta2, keep, size, unbias, eps;
};

struct AdamWStep {
  D3AD_SIMD_INLINE static void run(float* w, float* m, float* v, const float* gradient, AdamWFactors f,
                                   std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      const float g = gradient[i] * f.gradient_scale;
      m[i] += (1.0f - f.beta1) * (g - m[i]);
      v[i] = f.beta2 * v[i] + (1.0f - f.beta2) * g * g;
      w[i] = w[i] * f.keep - f.size * m[i] / (__builtin_sqrtf(v[i]) * f.unbias + f.eps);
    }
  }
};

// average += rate * (value - average)
struct MoveTowards {
  D3AD_SIMD_INLINE static void run(float* average, const float* value, float rate, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) average[i] += rate * (value[i] - average[i]);
  }
};

}  // namespace detail

inline void adamw(Context<Cpu>& ctx, View<float, Cpu> w, View<float, Cpu> m, View<float, Cpu> v,
                  In<float, Cpu> gradient, AdamW config, std::int64_t step, float gradient_scale) {
  check_adamw(w.shape, m.shape, v.shape, gradient.shape, step);
  const double unbias1 = 1 - std::pow(double{config.beta1}, static_cast<double>(step));
  const double unbias2 = 1 - std::pow(double{config.beta2}, static_cast<double>(step));
  const detail::AdamWFactors factors{.gradient_scale = gradient_scale,
                                     .beta1 = config.beta1,
                                     .beta2 = config.beta2,
                                     .keep = static_cast<float>(1 - double{config.lr} * double{config.weight_decay}),
                                     .size = static_cast<float>(double{config.lr} / unbias1),
                                     .unbias = static_cast<float>(1 / std::sqrt(unbias2)),
                                     .eps = config.eps};
  detail::for_each_block(ctx, w.size(), [&](std::int64_t first, std::int64_t count) {
    simd::run<detail::AdamWStep>(w.data + first, m.data + first, v.data + first, gradient.data + first, factors, count);
  });
}

inline void ema(Context<Cpu>& ctx, View<float, Cpu> average, In<float, Cpu> value, float decay) {
  check_ema(average.shape, value.shape);
  detail::for_each_block(ctx, value.size(), [&](std::int64_t first, std::int64_t count) {
    simd::run<detail::MoveTowards>(average.data + first, value.data + first, 1.0f - decay, count);
  });
}

inline double sum_squares(Context<Cpu>& ctx, In<float, Cpu> x) {
  return detail::sum_of_terms<detail::Product>(ctx, x.data, x.data, x.size());
}

}  // namespace d3ad::ops
