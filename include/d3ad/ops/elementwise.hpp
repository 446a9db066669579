#pragma once
// Sums and scalings of whole tensors.
//
//   fill            out = value
//   copy            out = x
//   add             out = x + y
//   scale           out = factor * x + offset
//   add_scaled      out += factor * x
//   scale_channels  out = factor[c] * x + offset[c]              factor, offset {c}
//   add_per_image   out = x + shift[n, c]                         shift {n, c}
//   sum_pixels      out {n, c} = sum over an image's pixels of x [n, h, w, c]: add_per_image's gradient of shift
//
// Tensors are of one shape unless stated; out may be any of the inputs, except in sum_pixels.

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::ops {

inline void check_elementwise(const char* op, Shape out, Shape x) {
  D3AD_CHECK(out == x, op, ": the output is ", out, ", expected ", x);
}
inline void check_scale_channels(Shape out, Shape x, Shape factor, Shape offset) {
  check_elementwise("scale_channels", out, x);
  D3AD_CHECK(factor.size() == x.c && offset.size() == x.c, "scale_channels: factor ", factor, " and offset ", offset,
             ", expected ", x.c, " values each");
}
inline void check_per_image(const char* op, Shape x, Shape per_image) {
  D3AD_CHECK((per_image == Shape{.n = x.n, .c = x.c}), op, ": ", per_image, " for x ", x,
             ", expected one value for each image and channel");
}

// T: Real<Device> or Weight<Device>.
template <class T, class Device>
void fill(Context<Device>&, View<T, Device> out, Weight<Device> value);
template <class T, class Device>
void copy(Context<Device>&, View<T, Device> out, In<T, Device> x);
template <class T, class Device>
void add(Context<Device>&, View<T, Device> out, In<T, Device> x, In<T, Device> y);
template <class T, class Device>
void scale(Context<Device>&, View<T, Device> out, In<T, Device> x, Weight<Device> factor, Weight<Device> offset);
template <class T, class Device>
void add_scaled(Context<Device>&, View<T, Device> out, In<T, Device> x, Weight<Device> factor);
template <class Device>
void scale_channels(Context<Device>&, View<Real<Device>, Device> out, In<Real<Device>, Device> x,
                    In<Weight<Device>, Device> factor, In<Weight<Device>, Device> offset);
template <class Device>
void add_per_image(Context<Device>&, View<Real<Device>, Device> out, In<Real<Device>, Device> x,
                   In<Real<Device>, Device> shift);
template <class Device>
void sum_pixels(Context<Device>&, View<Real<Device>, Device> out, In<Real<Device>, Device> x);

}  // namespace d3ad::ops
