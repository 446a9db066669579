#pragma once
// linear: a matrix product along the channels, and its gradients.
//
//   x [n, h, w, in] is the matrix [rows = n h w, in];  w {n = out, c = in};  bias {c = out}, null: none
//   out = x w^T + bias                       [rows, out]
//   dx = dy w, overwritten      dw += dy^T x      db += column sums of dy, null: not wanted
//
// No aliasing. float, accumulated in float; the sums' order depends on the shapes alone, so any number of threads gives
// the same bits.

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/parameter.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::ops {

inline void check_linear(Shape out, Shape x, Shape w, Shape bias, bool has_bias) {
  D3AD_CHECK(w.h == 1 && w.w == 1 && w.n >= 1 && w.c >= 1, "linear: weight ", w, " is not a matrix [out, in]");
  D3AD_CHECK(x.c == w.c, "linear: x has ", x.c, " channels, weight expects ", w.c);
  const Shape expected{x.n, x.h, x.w, w.n};
  D3AD_CHECK(out == expected && x.rows() >= 1, "linear: the output (or its gradient) is ", out, ", expected ", expected,
             " for x ", x, " and weight ", w);
  D3AD_CHECK(!has_bias || bias.size() == w.n, "linear: bias ", bias, ", expected ", w.n, " values for weight ", w);
}

template <class Device>
void linear(Context<Device>&, View<Real<Device>, Device> out, In<Real<Device>, Device> x, const Parameter<Device>& w,
            In<Weight<Device>, Device> bias);
template <class Device>
void linear_backward_data(Context<Device>&, View<Real<Device>, Device> dx, In<Real<Device>, Device> dy,
                          const Parameter<Device>& w);
template <class Device>
void linear_backward_weights(Context<Device>&, View<Weight<Device>, Device> dw, View<Weight<Device>, Device> db,
                             In<Real<Device>, Device> x, In<Real<Device>, Device> dy);

}  // namespace d3ad::ops
