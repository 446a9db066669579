#pragma once
// Sums of the columns of a matrix: the gradients of biases. Compiled in kernels/column_sums.cu.

#include "d3ad/backend/cuda/context.hpp"

namespace d3ad::cuda {

// sums[c] += sum over all rows of x [n h w, c]; sums {c}. The same bits in every run.
template <class T>
void add_column_sums(Context<CudaOf<T>>&, View<float, CudaOf<T>> sums, In<T, CudaOf<T>> x);

}  // namespace d3ad::cuda
