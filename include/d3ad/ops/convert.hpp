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

void widen(Context<Cpu>&, View<float, Cpu> out, In<bfloat16, Cpu> x);
void narrow(Context<Cpu>&, View<bfloat16, Cpu> out, In<float, Cpu> x);

template <class T>
void widen(Context<CudaOf<T>>&, View<float, CudaOf<T>> out, In<bfloat16, CudaOf<T>> x);
template <class T>
void narrow(Context<CudaOf<T>>&, View<bfloat16, CudaOf<T>> out, In<float, CudaOf<T>> x);

// Any of float, half and bfloat16 to any of them, rounded to nearest even.
template <class To, class From, class T>
void convert(Context<CudaOf<T>>&, View<To, CudaOf<T>> out, View<const From, CudaOf<T>> x);

}  // namespace d3ad::ops
