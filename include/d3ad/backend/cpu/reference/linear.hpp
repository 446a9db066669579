#pragma once
// The plain version of ops/linear.hpp: a 1x1 convolution (reference/conv2d.hpp), sums in double.

#include "d3ad/backend/cpu/reference/conv2d.hpp"
#include "d3ad/ops/linear.hpp"

namespace d3ad::ops::reference {

inline void linear(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> x, In<float, Cpu> w, In<float, Cpu> bias) {
  check_linear(out.shape, x.shape, w.shape, bias.shape, bias.data != nullptr);
  conv2d(ctx, out, x, w, bias, {.kernel = 1});
}

inline void linear_backward_data(Context<Cpu>& ctx, View<float, Cpu> dx, In<float, Cpu> dy, In<float, Cpu> w) {
  check_linear(dy.shape, dx.shape, w.shape, {}, false);
  conv2d_backward_data(ctx, dx, dy, w, {.kernel = 1});
}

inline void linear_backward_weights(Context<Cpu>& ctx, View<float, Cpu> dw, View<float, Cpu> db, In<float, Cpu> x,
                                    In<float, Cpu> dy) {
  check_linear(dy.shape, x.shape, dw.shape, db.shape, db.data != nullptr);
  conv2d_backward_weights(ctx, dw, db, x, dy, {.kernel = 1});
}

}  // namespace d3ad::ops::reference
