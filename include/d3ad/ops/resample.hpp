#pragma once
// upsample_nearest2: each pixel becomes 2 x 2 equal ones; and its gradient, the sum of the four.
//
//   x [n, h, w, c] -> out [n, 2h, 2w, c]        dx is overwritten; no aliasing

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::ops {

inline void check_upsample_nearest2(Shape out, Shape x) {
  const Shape expected{x.n, 2 * x.h, 2 * x.w, x.c};
  D3AD_CHECK(out == expected, "upsample_nearest2: the output (or its gradient) is ", out, ", expected ", expected);
}

template <class Device>
void upsample_nearest2(Context<Device>&, View<Real<Device>, Device> out, In<Real<Device>, Device> x);
template <class Device>
void upsample_nearest2_backward(Context<Device>&, View<Real<Device>, Device> dx, In<Real<Device>, Device> dy);

}  // namespace d3ad::ops
