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
// Tensors are of one shape where nothing else is said; out may be any of the inputs, but not in sum_pixels.

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

void fill(Context<Cpu>&, View<float, Cpu> out, float value);
void copy(Context<Cpu>&, View<float, Cpu> out, In<float, Cpu> x);
void add(Context<Cpu>&, View<float, Cpu> out, In<float, Cpu> x, In<float, Cpu> y);
void scale(Context<Cpu>&, View<float, Cpu> out, In<float, Cpu> x, float factor, float offset);
void add_scaled(Context<Cpu>&, View<float, Cpu> out, In<float, Cpu> x, float factor);
void scale_channels(Context<Cpu>&, View<float, Cpu> out, In<float, Cpu> x, In<float, Cpu> factor,
                    In<float, Cpu> offset);
void add_per_image(Context<Cpu>&, View<float, Cpu> out, In<float, Cpu> x, In<float, Cpu> shift);
void sum_pixels(Context<Cpu>&, View<float, Cpu> out, In<float, Cpu> x);

// U: float or the activations' type T.
template <class U, class T>
void fill(Context<CudaOf<T>>&, View<U, CudaOf<T>> out, float value);
template <class U, class T>
void copy(Context<CudaOf<T>>&, View<U, CudaOf<T>> out, In<U, CudaOf<T>> x);
template <class U, class T>
void add(Context<CudaOf<T>>&, View<U, CudaOf<T>> out, In<U, CudaOf<T>> x, In<U, CudaOf<T>> y);
template <class U, class T>
void scale(Context<CudaOf<T>>&, View<U, CudaOf<T>> out, In<U, CudaOf<T>> x, float factor, float offset);
template <class U, class T>
void add_scaled(Context<CudaOf<T>>&, View<U, CudaOf<T>> out, In<U, CudaOf<T>> x, float factor);
template <class T>
void scale_channels(Context<CudaOf<T>>&, View<T, CudaOf<T>> out, In<T, CudaOf<T>> x, In<float, CudaOf<T>> factor,
                    In<float, CudaOf<T>> offset);
template <class T>
void add_per_image(Context<CudaOf<T>>&, View<T, CudaOf<T>> out, In<T, CudaOf<T>> x, In<T, CudaOf<T>> shift);
template <class T>
void sum_pixels(Context<CudaOf<T>>&, View<T, CudaOf<T>> out, In<T, CudaOf<T>> x);

}  // namespace d3ad::ops
