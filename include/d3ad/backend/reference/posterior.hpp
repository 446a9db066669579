#pragma once
// Reference variant of ops/posterior.hpp.

#include <algorithm>
#include <cmath>

#include "d3ad/backend/reference/context.hpp"
#include "d3ad/ops/posterior.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void posterior(Context<Reference>&, View<double, Reference> z, In<double, Reference> moments,
                           In<double, Reference> noise) {
  check_posterior(z.shape, moments.shape, noise.shape, noise.data != nullptr);
  const std::int64_t c = z.shape.c;
  for (std::int64_t i = 0; i < z.size(); ++i) {
    const double mean = moments.data[i / c * 2 * c + i % c], logvar = moments.data[i / c * 2 * c + c + i % c];
    z.data[i] = mean;
    if (noise.data) z.data[i] += std::exp(0.5 * std::clamp(logvar, -30.0, 20.0)) * noise.data[i];
  }
}

template <>
D3AD_INLINE void posterior_backward(Context<Reference>&, View<double, Reference> dmoments, In<double, Reference> dz,
                                    In<double, Reference> moments, In<double, Reference> noise) {
  check_posterior(dz.shape, moments.shape, noise.shape, noise.data != nullptr);
  check_posterior(dz.shape, dmoments.shape, noise.shape, noise.data != nullptr);
  const std::int64_t c = dz.shape.c;
  for (std::int64_t i = 0; i < dz.size(); ++i) {
    const double logvar = moments.data[i / c * 2 * c + c + i % c], g = dz.data[i];
    const bool moves = noise.data && logvar >= -30 && logvar <= 20;
    dmoments.data[i / c * 2 * c + i % c] = g;
    dmoments.data[i / c * 2 * c + c + i % c] = moves ? 0.5 * g * noise.data[i] * std::exp(0.5 * logvar) : 0.0;
  }
}

}  // namespace d3ad::ops
