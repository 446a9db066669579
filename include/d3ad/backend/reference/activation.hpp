#pragma once
// Reference variant of ops/activation.hpp.

#include <algorithm>
#include <cmath>

#include "d3ad/backend/reference/context.hpp"
#include "d3ad/ops/activation.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void activate(Context<Reference>&, View<double, Reference> out, In<double, Reference> x, Activation kind) {
  check_activate(out.shape, x.shape);
  for (std::int64_t i = 0; i < x.size(); ++i) {
    const double v = x.data[i];
    switch (kind) {
      case Activation::silu:
        out.data[i] = v / (1 + std::exp(-v));
        break;
      case Activation::relu:
        out.data[i] = v < 0 ? 0 : v;
        break;
      case Activation::tanh:
        out.data[i] = std::tanh(v);
    }
  }
}

template <>
D3AD_INLINE void activate_backward(Context<Reference>&, View<double, Reference> dx, In<double, Reference> dy,
                                   In<double, Reference> x, Activation kind) {
  check_activate(dx.shape, x.shape);
  check_activate(dy.shape, x.shape);
  for (std::int64_t i = 0; i < x.size(); ++i) {
    const double v = x.data[i], s = 1 / (1 + std::exp(-v)), t = std::tanh(v);
    const double slope = kind == Activation::silu   ? s * (1 + v * (1 - s))
                         : kind == Activation::relu ? (v > 0 ? 1.0 : 0.0)
                                                    : 1 - t * t;
    dx.data[i] = dy.data[i] * slope;
  }
}

}  // namespace d3ad::ops
