#pragma once
// Reference variant of ops/linear.hpp: a 1x1 convolution.

#include "d3ad/backend/reference/conv2d.hpp"
#include "d3ad/ops/linear.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void linear(Context<Reference>& ctx, View<double, Reference> out, In<double, Reference> x,
                        const Parameter<Reference>& w, In<double, Reference> bias) {
  check_linear(out.shape, x.shape, w.shape(), bias.shape, bias.data != nullptr);
  conv2d(ctx, out, x, w, bias, {.kernel = 1});
}

template <>
D3AD_INLINE void linear_backward_data(Context<Reference>& ctx, View<double, Reference> dx, In<double, Reference> dy,
                                      const Parameter<Reference>& w) {
  check_linear(dy.shape, dx.shape, w.shape(), {}, false);
  conv2d_backward_data(ctx, dx, dy, w, {.kernel = 1});
}

template <>
D3AD_INLINE void linear_backward_weights(Context<Reference>& ctx, View<double, Reference> dw,
                                         View<double, Reference> db, In<double, Reference> x,
                                         In<double, Reference> dy) {
  check_linear(dy.shape, x.shape, dw.shape, db.shape, db.data != nullptr);
  conv2d_backward_weights(ctx, dw, db, x, dy, {.kernel = 1});
}

}  // namespace d3ad::ops
