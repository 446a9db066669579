// CUDA variant of ops/conv2d.hpp, the host's part: cuDNN's convolutions; a 1x1 one is a matrix product.

#include "d3ad/backend/cuda/conv2d.hpp"

#include "d3ad/backend/cuda/ops.hpp"
#include "kernels/instantiate.hpp"

namespace d3ad::ops {

template <class Device>
void conv2d(Context<Device>& ctx, View<Real<Device>, Device> out, In<Real<Device>, Device> x,
            const Parameter<Device>& w, In<Weight<Device>, Device> bias, Conv2d config) {
  using T = Real<Device>;
  check_conv2d(out.shape, x.shape, w.shape(), bias.shape, bias.data != nullptr, config);
  if (cuda::is_product(config)) return linear(ctx, out, x, w, bias);
  cuda::convolve(ctx, out, x, w, config);
  if (bias.data) cuda::finish<T>(ctx, {.y = out, .bias = bias}, /*with_bias=*/true);
}

template <class Device>
void conv2d_backward_data(Context<Device>& ctx, View<Real<Device>, Device> dx, In<Real<Device>, Device> dy,
                          const Parameter<Device>& w, Conv2d config) {
  using T = Real<Device>;
  check_conv2d(dy.shape, dx.shape, w.shape(), {}, false, config);
  if (cuda::is_product(config)) return linear_backward_data(ctx, dx, dy, w);
  const auto weights = weights_of(ctx, w);
  cuda::convolve_backward_data<T>(ctx, {dx.shape, w.shape(), dy.shape, config}, dx.data, dy.data, weights.view().data);
}

template <class Device>
void conv2d_backward_weights(Context<Device>& ctx, View<Weight<Device>, Device> dw, View<Weight<Device>, Device> db,
                             In<Real<Device>, Device> x, In<Real<Device>, Device> dy, Conv2d config) {
  using T = Real<Device>;
  check_conv2d(dy.shape, x.shape, dw.shape, db.shape, db.data != nullptr, config);
  if (cuda::is_product(config)) return linear_backward_weights(ctx, dw, db, x, dy);
  {
    const auto gradient = make_value<T>(ctx, dw.shape);
    cuda::convolve_backward_weights<T>(ctx, {x.shape, dw.shape, dy.shape, config}, gradient.view().data, x.data,
                                       dy.data);
    if constexpr (std::is_same_v<T, float>) {
      add(ctx, dw, dw, gradient.view());
    } else {
      const auto wide = make_value<float>(ctx, dw.shape);
      convert(ctx, wide.view(), View<const T, Device>(gradient.view()));
      add(ctx, dw, dw, wide.view());
    }
  }
  if (db.data) cuda::add_column_sums(ctx, db, dy);
}

#define INSTANTIATE(T)                                                                                         \
  template void conv2d(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>, const Parameter<CudaOf<T>>&, \
                       In<float, CudaOf<T>>, Conv2d);                                                          \
  template void conv2d_backward_data(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>,                \
                                     const Parameter<CudaOf<T>>&, Conv2d);                                     \
  template void conv2d_backward_weights(Context<CudaOf<T>>&, View<float, CudaOf<T>>, View<float, CudaOf<T>>,   \
                                        In<T, CudaOf<T>>, In<T, CudaOf<T>>, Conv2d);

D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::ops
