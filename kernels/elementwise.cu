// CUDA variant of ops/elementwise.hpp: element-wise passes over contiguous memory.

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/ops/elementwise.hpp"
#include "kernels/elementwise.cuh"

namespace d3ad::ops {

namespace {

constexpr int kElementThreads = 256;

}  // namespace

template <class T, class Device>
void fill(Context<Device>& ctx, View<T, Device> out, Weight<Device> value) {
  if (out.size()) kernels::map("fill", ctx, out, kernels::Constant{value});
}

template <class T, class Device>
void copy(Context<Device>& ctx, View<T, Device> out, In<T, Device> x) {
  check_elementwise("copy", out.shape, x.shape);
  if (x.size()) kernels::map("copy", ctx, out, kernels::Same{}, x.data);
}

template <class T, class Device>
void add(Context<Device>& ctx, View<T, Device> out, In<T, Device> x, In<T, Device> y) {
  check_elementwise("add", out.shape, x.shape);
  check_elementwise("add", out.shape, y.shape);
  if (x.size()) kernels::map("add", ctx, out, kernels::Sum{}, x.data, y.data);
}

template <class T, class Device>
void scale(Context<Device>& ctx, View<T, Device> out, In<T, Device> x, Weight<Device> factor, Weight<Device> offset) {
  check_elementwise("scale", out.shape, x.shape);
  if (x.size()) kernels::map("scale", ctx, out, kernels::Line{factor, offset}, x.data);
}

template <class T, class Device>
void add_scaled(Context<Device>& ctx, View<T, Device> out, In<T, Device> x, Weight<Device> factor) {
  check_elementwise("add_scaled", out.shape, x.shape);
  if (x.size())
    kernels::map("add_scaled", ctx, out, kernels::PlusScaled{factor}, static_cast<const T*>(out.data), x.data);
}

template <class Device>
void scale_channels(Context<Device>& ctx, View<Real<Device>, Device> out, In<Real<Device>, Device> x,
                    In<Weight<Device>, Device> factor, In<Weight<Device>, Device> offset) {
  using T = Real<Device>;
  check_scale_channels(out.shape, x.shape, factor.shape, offset.shape);
  kernels::launch("scale_channels", ctx.stream(), kernels::scale_channels_kernel<T>,
                  kernels::blocks_for(x.size(), kElementThreads), kElementThreads, 0, out.data, x.data, factor.data,
                  offset.data, x.size(), x.shape.c);
}

template <class Device>
void add_per_image(Context<Device>& ctx, View<Real<Device>, Device> out, In<Real<Device>, Device> x,
                   In<Real<Device>, Device> shift) {
  using T = Real<Device>;
  check_elementwise("add_per_image", out.shape, x.shape);
  check_per_image("add_per_image", x.shape, shift.shape);
  kernels::launch("add_per_image", ctx.stream(), kernels::add_per_image_kernel<T>,
                  kernels::blocks_for(x.size(), kElementThreads), kElementThreads, 0, out.data, x.data, shift.data,
                  x.size(), x.shape.pixels() * x.shape.c, x.shape.c);
}

template <class Device>
void sum_pixels(Context<Device>& ctx, View<Real<Device>, Device> out, In<Real<Device>, Device> x) {
  using T = Real<Device>;
  check_per_image("sum_pixels", x.shape, out.shape);
  const dim3 blocks(static_cast<unsigned>((x.shape.c + 31) / 32), static_cast<unsigned>(x.shape.n));
  kernels::launch("sum_pixels", ctx.stream(), kernels::sum_pixels_kernel<T>, blocks, dim3(32, 8), 0, out.data, x.data,
                  x.shape.pixels(), x.shape.c);
}

#define INSTANTIATE_FOR(U, T)                                                                     \
  template void fill(Context<CudaOf<T>>&, View<U, CudaOf<T>>, float);                             \
  template void copy(Context<CudaOf<T>>&, View<U, CudaOf<T>>, In<U, CudaOf<T>>);                  \
  template void add(Context<CudaOf<T>>&, View<U, CudaOf<T>>, In<U, CudaOf<T>>, In<U, CudaOf<T>>); \
  template void scale(Context<CudaOf<T>>&, View<U, CudaOf<T>>, In<U, CudaOf<T>>, float, float);   \
  template void add_scaled(Context<CudaOf<T>>&, View<U, CudaOf<T>>, In<U, CudaOf<T>>, float);
#define INSTANTIATE(T)                                                                                          \
  INSTANTIATE_FOR(T, T)                                                                                         \
  template void scale_channels(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>, In<float, CudaOf<T>>, \
                               In<float, CudaOf<T>>);                                                           \
  template void add_per_image(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>, In<T, CudaOf<T>>);     \
  template void sum_pixels(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>);

D3AD_FOR_ACTIVATIONS(INSTANTIATE)
INSTANTIATE_FOR(float, half)
INSTANTIATE_FOR(float, bfloat16)
#undef INSTANTIATE

}  // namespace d3ad::ops
