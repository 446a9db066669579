#pragma once
// CUDA variant of ops/conv2d.hpp: cuDNN's convolutions (backend/cuda/cudnn.hpp), and a matrix product for 1x1 without
// stride or padding. Gradients of weights leave cuDNN in the activations' type and are added to the float ones.

#include <type_traits>

#include "d3ad/backend/cuda/column_sums.hpp"
#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/backend/cuda/conv_parts.hpp"
#include "d3ad/backend/cuda/convolution.hpp"
#include "d3ad/backend/cuda/cudnn.hpp"
#include "d3ad/backend/cuda/linear.hpp"
#include "d3ad/backend/cuda/packed_weights.hpp"
#include "d3ad/ops/conv2d.hpp"
#include "d3ad/ops/convert.hpp"
#include "d3ad/ops/elementwise.hpp"

namespace d3ad {

namespace cuda {

inline bool is_product(ops::Conv2d config) {
  return config.kernel == 1 && config.stride == 1 && config.pad == 0 && config.end() == 0;
}

// The convolution alone.
template <class T>
void convolve(Context<CudaOf<T>>& ctx, View<T, CudaOf<T>> out, In<T, CudaOf<T>> x, const Parameter<CudaOf<T>>& w,
              ops::Conv2d config) {
  const auto weights = weights_of(ctx, w);
  convolve<T>(ctx, {x.shape, w.shape(), out.shape, config}, out.data, x.data, weights.view().data);
}

}  // namespace cuda

}  // namespace d3ad
