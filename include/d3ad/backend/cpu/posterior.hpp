#pragma once
// CPU variant of ops/posterior.hpp.

#include <algorithm>
#include <cmath>

#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/ops/posterior.hpp"

namespace d3ad::ops {

inline constexpr float kLogvarLow = -30.0f, kLogvarHigh = 20.0f;

template <>
D3AD_INLINE void posterior(Context<Cpu>& ctx, View<float, Cpu> z, In<float, Cpu> moments, In<float, Cpu> noise) {
  check_posterior(z.shape, moments.shape, noise.shape, noise.data != nullptr);
  const std::int64_t rows = z.shape.rows(), c = z.shape.c;
#pragma omp parallel for num_threads(ctx.threads())
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* mean = moments.data + r * 2 * c;
    for (std::int64_t i = 0; i < c; ++i) {
      const float logvar = std::clamp(mean[c + i], kLogvarLow, kLogvarHigh);
      const float spread = noise.data ? std::exp(0.5f * logvar) * noise.data[r * c + i] : 0.0f;
      z.data[r * c + i] = mean[i] + spread;
    }
  }
}

template <>
D3AD_INLINE void posterior_backward(Context<Cpu>& ctx, View<float, Cpu> dmoments, In<float, Cpu> dz,
                                    In<float, Cpu> moments, In<float, Cpu> noise) {
  check_posterior(dz.shape, moments.shape, noise.shape, noise.data != nullptr);
  D3AD_CHECK(dmoments.shape == moments.shape, "posterior: gradient ", dmoments.shape, " for moments ", moments.shape);
  const std::int64_t rows = dz.shape.rows(), c = dz.shape.c;
#pragma omp parallel for num_threads(ctx.threads())
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* mean = moments.data + r * 2 * c;
    float* out = dmoments.data + r * 2 * c;
    for (std::int64_t i = 0; i < c; ++i) {
      const float logvar = mean[c + i], g = dz.data[r * c + i];
      const bool inside = logvar >= kLogvarLow && logvar <= kLogvarHigh;
      out[i] = g;
      out[c + i] = noise.data && inside ? 0.5f * g * noise.data[r * c + i] * std::exp(0.5f * logvar) : 0.0f;
    }
  }
}

}  // namespace d3ad::ops
