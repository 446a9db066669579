// CUDA variant of ops/linear.hpp, the host's part: cuBLASLt's products.

#include "d3ad/backend/cuda/linear.hpp"

#include "d3ad/backend/cuda/ops.hpp"
#include "kernels/instantiate.hpp"

namespace d3ad::ops {

template <class Device>
void linear(Context<Device>& ctx, View<Real<Device>, Device> out, In<Real<Device>, Device> x,
            const Parameter<Device>& w, In<Weight<Device>, Device> bias) {
  using T = Real<Device>;
  const Shape shape = w.shape();
  check_linear(out.shape, x.shape, shape, bias.shape, bias.data != nullptr);
  const auto weights = weights_of(ctx, w);
  cuda::multiply(ctx,
                 {.rows = x.shape.rows(),
                  .columns = shape.n,
                  .depth = shape.c,
                  .b_transposed = true,
                  .a_stride = shape.c,
                  .b_stride = shape.c,
                  .out_stride = shape.n},
                 out.data, x.data, static_cast<const T*>(weights.view().data), bias.data);
}

template <class Device>
void linear_backward_data(Context<Device>& ctx, View<Real<Device>, Device> dx, In<Real<Device>, Device> dy,
                          const Parameter<Device>& w) {
  using T = Real<Device>;
  const Shape shape = w.shape();
  check_linear(dy.shape, dx.shape, shape, {}, false);
  const auto weights = weights_of(ctx, w);
  cuda::multiply(ctx,
                 {.rows = dx.shape.rows(),
                  .columns = shape.c,
                  .depth = shape.n,
                  .a_stride = shape.n,
                  .b_stride = shape.c,
                  .out_stride = shape.c},
                 dx.data, dy.data, static_cast<const T*>(weights.view().data));
}

template <class Device>
void linear_backward_weights(Context<Device>& ctx, View<Weight<Device>, Device> dw, View<Weight<Device>, Device> db,
                             In<Real<Device>, Device> x, In<Real<Device>, Device> dy) {
  check_linear(dy.shape, x.shape, dw.shape, db.shape, db.data != nullptr);
  const std::int64_t out = dw.shape.n, in = dw.shape.c;
  cuda::multiply(ctx,
                 {.rows = out,
                  .columns = in,
                  .depth = x.shape.rows(),
                  .a_transposed = true,
                  .a_stride = out,
                  .b_stride = in,
                  .out_stride = in,
                  .beta = 1},
                 dw.data, dy.data, x.data);
  if (db.data) cuda::add_column_sums(ctx, db, dy);
}

#define INSTANTIATE(T)                                                                                         \
  template void linear(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>, const Parameter<CudaOf<T>>&, \
                       In<float, CudaOf<T>>);                                                                  \
  template void linear_backward_data(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>,                \
                                     const Parameter<CudaOf<T>>&);                                             \
  template void linear_backward_weights(Context<CudaOf<T>>&, View<float, CudaOf<T>>, View<float, CudaOf<T>>,   \
                                        In<T, CudaOf<T>>, In<T, CudaOf<T>>);

D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::ops
