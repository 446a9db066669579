#pragma once
// widen, narrow: between float and the two-byte storage of weights.
//
//   widen(ctx, out, x)     bfloat16 -> float, exact
//   narrow(ctx, out, x)    float -> bfloat16, rounded to nearest even, NaN stays NaN
//
// Shapes are equal; no aliasing.

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/dtype.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::ops {

inline void check_convert(Shape out, Shape x) {
  D3AD_CHECK(out == x, "convert: the output is ", out, ", expected ", x);
}

template <class Device>
void widen(Context<Device>&, View<Weight<Device>, Device> out, In<bfloat16, Device> x);
template <class Device>
void narrow(Context<Device>&, View<bfloat16, Device> out, In<Weight<Device>, Device> x);

// Any of float, half and bfloat16 to any of them, rounded to nearest even.

template <class To, class From, class Device>
void convert(Context<Device>&, View<To, Device> out, View<const From, Device> x);

}  // namespace d3ad::ops
