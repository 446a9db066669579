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

namespace ops {

template <class T>
void conv2d(Context<CudaOf<T>>& ctx, View<T, CudaOf<T>> out, In<T, CudaOf<T>> x, const Parameter<CudaOf<T>>& w,
            In<float, CudaOf<T>> bias, Conv2d config) {
  check_conv2d(out.shape, x.shape, w.shape(), bias.shape, bias.data != nullptr, config);
  if (cuda::is_product(config)) return linear(ctx, out, x, w, bias);
  cuda::convolve(ctx, out, x, w, config);
  if (bias.data) cuda::finish<T>(ctx, {.y = out, .bias = bias}, /*with_bias=*/true);
}

template <class T>
void conv2d_backward_data(Context<CudaOf<T>>& ctx, View<T, CudaOf<T>> dx, In<T, CudaOf<T>> dy,
                          const Parameter<CudaOf<T>>& w, Conv2d config) {
  check_conv2d(dy.shape, dx.shape, w.shape(), {}, false, config);
  if (cuda::is_product(config)) return linear_backward_data(ctx, dx, dy, w);
  const auto weights = weights_of(ctx, w);
  cuda::convolve_backward_data<T>(ctx, {dx.shape, w.shape(), dy.shape, config}, dx.data, dy.data, weights.view().data);
}

template <class T>
void conv2d_backward_weights(Context<CudaOf<T>>& ctx, View<float, CudaOf<T>> dw, View<float, CudaOf<T>> db,
                             In<T, CudaOf<T>> x, In<T, CudaOf<T>> dy, Conv2d config) {
  check_conv2d(dy.shape, x.shape, dw.shape, db.shape, db.data != nullptr, config);
  if (cuda::is_product(config)) return linear_backward_weights(ctx, dw, db, x, dy);
  {
    const auto gradient = ctx.arena.template make<T>(dw.shape);
    cuda::convolve_backward_weights<T>(ctx, {x.shape, dw.shape, dy.shape, config}, gradient.view().data, x.data,
                                       dy.data);
    if constexpr (std::is_same_v<T, float>) {
      add(ctx, dw, dw, gradient.view());
    } else {
      const auto wide = ctx.arena.template make<float>(dw.shape);
      convert(ctx, wide.view(), View<const T, CudaOf<T>>(gradient.view()));
      add(ctx, dw, dw, wide.view());
    }
  }
  if (db.data) cuda::add_column_sums(ctx, db, dy);
}

}  // namespace ops

}  // namespace d3ad
