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

void upsample_nearest2(Context<Cpu>&, View<float, Cpu> out, In<float, Cpu> x);
void upsample_nearest2_backward(Context<Cpu>&, View<float, Cpu> dx, In<float, Cpu> dy);

template <class T>
void upsample_nearest2(Context<CudaOf<T>>&, View<T, CudaOf<T>> out, In<T, CudaOf<T>> x);
template <class T>
void upsample_nearest2_backward(Context<CudaOf<T>>&, View<T, CudaOf<T>> dx, In<T, CudaOf<T>> dy);

}  // namespace d3ad::ops
