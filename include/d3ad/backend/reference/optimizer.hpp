#pragma once
// Reference variant of ops/optimizer.hpp.

#include <cmath>

#include "d3ad/backend/reference/context.hpp"
#include "d3ad/ops/optimizer.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void adamw(Context<Reference>&, View<double, Reference> w, View<double, Reference> m,
                       View<double, Reference> v, In<double, Reference> gradient, AdamW config, std::int64_t step,
                       double gradient_scale) {
  check_adamw(w.shape, m.shape, v.shape, gradient.shape, step);
  const double beta1 = double{config.beta1}, beta2 = double{config.beta2}, lr = double{config.lr};
  const double unbias1 = 1 - std::pow(beta1, static_cast<double>(step));
  const double unbias2 = 1 - std::pow(beta2, static_cast<double>(step));
  for (std::int64_t i = 0; i < w.size(); ++i) {
    const double g = gradient.data[i] * gradient_scale;
    m.data[i] += (1 - beta1) * (g - m.data[i]);
    v.data[i] = beta2 * v.data[i] + (1 - beta2) * g * g;
    w.data[i] -= lr * double{config.weight_decay} * w.data[i];
    w.data[i] -= lr / unbias1 * m.data[i] / (std::sqrt(v.data[i]) / std::sqrt(unbias2) + double{config.eps});
  }
}

template <>
D3AD_INLINE void ema(Context<Reference>&, View<double, Reference> average, In<double, Reference> value, double decay) {
  check_ema(average.shape, value.shape);
  for (std::int64_t i = 0; i < value.size(); ++i) average.data[i] += (1 - decay) * (value.data[i] - average.data[i]);
}

template <>
D3AD_INLINE double sum_squares(Context<Reference>&, In<double, Reference> x) {
  double sum = 0;
  for (std::int64_t i = 0; i < x.size(); ++i) sum += x.data[i] * x.data[i];
  return sum;
}

template <>
D3AD_INLINE void adamw_all(Context<Reference>& ctx, const std::vector<AdamWTensor<Reference>>& tensors, AdamW config,
                           std::int64_t step, double gradient_scale, double ema_decay) {
  for (const auto& t : tensors) {
    adamw(ctx, t.w, t.m, t.v, t.gradient, config, step, gradient_scale);
    if (t.average.data) ema(ctx, t.average, t.w, ema_decay);
  }
}

template <>
D3AD_INLINE double sum_squares_all(Context<Reference>& ctx, const std::vector<AdamWTensor<Reference>>& tensors) {
  double sum = 0;
  for (const auto& t : tensors) sum += sum_squares(ctx, t.gradient);
  return sum;
}

}  // namespace d3ad::ops
