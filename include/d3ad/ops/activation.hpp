#pragma once
// activate: an element-wise non-linearity, and its gradient.
//
//   silu  y = x / (1 + e^-x)        relu  y = max(x, 0)        tanh  y = tanh(x)
//   dx = dy * y'(x), overwritten; relu's derivative at 0 is 0
//
// All shapes are equal. out may be x, dx may be dy or x. NaN stays NaN. float, relative error below 1e-6.

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::ops {

enum class Activation { silu, relu, tanh };

inline void check_activate(Shape out, Shape x) {
  D3AD_CHECK(out == x, "activate: the output (or its gradient) is ", out, ", expected ", x);
}

template <class Device>
void activate(Context<Device>&, View<Real<Device>, Device> out, In<Real<Device>, Device> x, Activation);
template <class Device>
void activate_backward(Context<Device>&, View<Real<Device>, Device> dx, In<Real<Device>, Device> dy,
                       In<Real<Device>, Device> x, Activation);

}  // namespace d3ad::ops
