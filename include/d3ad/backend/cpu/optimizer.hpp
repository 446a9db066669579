#pragma once
// CPU variant of ops/optimizer.hpp: one pass over a tensor and its moments.

#include "d3ad/backend/cpu/loss.hpp"
#include "d3ad/ops/optimizer.hpp"

namespace d3ad::ops {

namespace detail {

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

template <>
D3AD_INLINE void adamw(Context<Cpu>& ctx, View<float, Cpu> w, View<float, Cpu> m, View<float, Cpu> v,
                       In<float, Cpu> gradient, AdamW config, std::int64_t step, float gradient_scale) {
  check_adamw(w.shape, m.shape, v.shape, gradient.shape, step);
  const AdamWFactors factors(config, step, gradient_scale);
  detail::for_each_block(ctx, w.size(), [&](std::int64_t first, std::int64_t count) {
    simd::run<detail::AdamWStep>(w.data + first, m.data + first, v.data + first, gradient.data + first, factors, count);
  });
}

template <>
D3AD_INLINE void ema(Context<Cpu>& ctx, View<float, Cpu> average, In<float, Cpu> value, float decay) {
  check_ema(average.shape, value.shape);
  detail::for_each_block(ctx, value.size(), [&](std::int64_t first, std::int64_t count) {
    simd::run<detail::MoveTowards>(average.data + first, value.data + first, 1.0f - decay, count);
  });
}

template <>
D3AD_INLINE double sum_squares(Context<Cpu>& ctx, In<float, Cpu> x) {
  return detail::sum_of_terms<detail::Product>(ctx, x.data, x.data, x.size());
}

template <>
D3AD_INLINE void adamw_all(Context<Cpu>& ctx, const std::vector<AdamWTensor<Cpu>>& tensors, AdamW config,
                           std::int64_t step, float gradient_scale, float ema_decay) {
  for (const auto& t : tensors) {
    adamw(ctx, t.w, t.m, t.v, t.gradient, config, step, gradient_scale);
    if (t.average.data) ema(ctx, t.average, t.w, ema_decay);
  }
}

template <>
D3AD_INLINE double sum_squares_all(Context<Cpu>& ctx, const std::vector<AdamWTensor<Cpu>>& tensors) {
  double sum = 0;
  for (const auto& t : tensors) sum += sum_squares(ctx, t.gradient);
  return sum;
}

}  // namespace d3ad::ops
