#pragma once
// A tensor placed in a larger or smaller one: padding and cropping. Compiled in kernels/place.cu.

#include <cstdint>

#include "d3ad/backend/cuda/context.hpp"

namespace d3ad::cuda {

// out(n, y, x, c) = in(n, y - top, x - left, c), or 0 outside of it. Images and channels that `out` has not are left
// out, those that it has more are 0. top and left may be negative. U: T or float. No aliasing.
template <class U, class T>
void place(Context<CudaOf<T>>&, View<U, CudaOf<T>> out, In<U, CudaOf<T>> in, std::int64_t top, std::int64_t left);

}  // namespace d3ad::cuda
