// CUDA variant of ops/pool.hpp. A global mean over many pixels is cut into slices, whose sums are joined in order.

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/ops/pool.hpp"
#include "kernels/pool.cuh"

namespace d3ad::ops {

using kernels::kPack;

namespace {

template <class T, int N>
void mean_of_images(Context<CudaOf<T>>& ctx, T* out, const T* x, Shape s) {
  const kernels::PoolGrid grid = kernels::pool_grid(s, N);
  const std::int64_t blocks = s.n * grid.chunks * grid.slices, outputs = s.n * s.c;
  const double factor = 1.0 / static_cast<double>(s.pixels());
  constexpr int kThreads = kernels::kChannelThreads;
  if (grid.slices == 1)
    return kernels::launch("global_avg_pool", ctx.stream(), kernels::sum_slices_kernel<T, T, N>,
                           static_cast<unsigned>(blocks), kThreads, 0, out, x, s.n, grid, factor);
  auto sums = make_value<double>(ctx, {.n = grid.slices, .c = outputs});
  kernels::launch("global_avg_pool", ctx.stream(), kernels::sum_slices_kernel<T, double, N>,
                  static_cast<unsigned>(blocks), kThreads, 0, sums.view().data, x, s.n, grid, factor);
  kernels::launch("global_avg_pool", ctx.stream(), kernels::join_slices_kernel<T>,
                  kernels::blocks_for(outputs, kThreads), kThreads, 0, out, sums.view().data, outputs, grid.slices);
}

}  // namespace

template <class Device>
void avg_pool2(Context<Device>& ctx, View<Real<Device>, Device> out, In<Real<Device>, Device> x) {
  check_avg_pool2(out.shape, x.shape);
  kernels::sum_four("avg_pool2", ctx.stream(), out.data, x.data, out.shape, 0.25f);
}

template <class Device>
void avg_pool2_backward(Context<Device>& ctx, View<Real<Device>, Device> dx, In<Real<Device>, Device> dy) {
  check_avg_pool2(dy.shape, dx.shape);
  kernels::spread_to_four("avg_pool2_backward", ctx.stream(), dx.data, dy.data, dy.shape, 0.25f);
}

template <class Device>
void max_pool3(Context<Device>& ctx, View<Real<Device>, Device> out, View<std::int32_t, Device> argmax,
               In<Real<Device>, Device> x) {
  using T = Real<Device>;
  check_max_pool3(out.shape, argmax.shape, argmax.data != nullptr, x.shape);
  const bool packs = kernels::packed<T>({out.data, argmax.data, x.data}, x.shape.c);
  kernels::launch_channels<T>("max_pool3", ctx.stream(), packs, kernels::max_pool3_kernel<T, kPack<T>>,
                              kernels::max_pool3_kernel<T, 1>, out.size(), out.data, argmax.data, x.data, out.size(),
                              out.shape, x.shape);
}

template <class Device>
void max_pool3_backward(Context<Device>& ctx, View<Real<Device>, Device> dx, In<Real<Device>, Device> dy,
                        In<std::int32_t, Device> argmax) {
  using T = Real<Device>;
  check_max_pool3(dy.shape, argmax.shape, true, dx.shape);
  const bool packs = kernels::packed<T>({dx.data, dy.data, argmax.data}, dx.shape.c);
  kernels::launch_channels<T>("max_pool3_backward", ctx.stream(), packs,
                              kernels::max_pool3_backward_kernel<T, kPack<T>>, kernels::max_pool3_backward_kernel<T, 1>,
                              dx.size(), dx.data, dy.data, argmax.data, dx.size(), dy.shape, dx.shape);
}

template <class Device>
void global_avg_pool(Context<Device>& ctx, View<Real<Device>, Device> out, In<Real<Device>, Device> x) {
  using T = Real<Device>;
  check_global_avg_pool(out.shape, x.shape);
  if (kernels::packed<T>({x.data}, x.shape.c)) return mean_of_images<T, kPack<T>>(ctx, out.data, x.data, x.shape);
  mean_of_images<T, 1>(ctx, out.data, x.data, x.shape);
}

template <class Device>
void global_avg_pool_backward(Context<Device>& ctx, View<Real<Device>, Device> dx, In<Real<Device>, Device> dy) {
  using T = Real<Device>;
  check_global_avg_pool(dy.shape, dx.shape);
  const Shape s = dx.shape;
  kernels::launch_channels<T>("global_avg_pool_backward", ctx.stream(), kernels::packed<T>({dx.data, dy.data}, s.c),
                              kernels::spread_over_image_kernel<T, kPack<T>>, kernels::spread_over_image_kernel<T, 1>,
                              s.size(), dx.data, dy.data, s.size(), s.pixels() * s.c, s.c,
                              1.0f / static_cast<float>(s.pixels()));
}

template <class Device>
void adaptive_avg_pool(Context<Device>& ctx, View<Real<Device>, Device> out, In<Real<Device>, Device> x) {
  using T = Real<Device>;
  check_adaptive_avg_pool(out.shape, x.shape);
  if (out.shape.pixels() == 1) return global_avg_pool(ctx, out.reshaped({.n = x.shape.n, .c = x.shape.c}), x);
  kernels::launch_channels<T>("adaptive_avg_pool", ctx.stream(), kernels::packed<T>({out.data, x.data}, x.shape.c),
                              kernels::adaptive_avg_pool_kernel<T, kPack<T>>, kernels::adaptive_avg_pool_kernel<T, 1>,
                              out.size(), out.data, x.data, out.size(), out.shape, x.shape);
}

#define INSTANTIATE(T)                                                                                               \
  template void avg_pool2(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>);                                \
  template void avg_pool2_backward(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>);                       \
  template void max_pool3(Context<CudaOf<T>>&, View<T, CudaOf<T>>, View<std::int32_t, CudaOf<T>>, In<T, CudaOf<T>>); \
  template void max_pool3_backward(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>,                        \
                                   In<std::int32_t, CudaOf<T>>);                                                     \
  template void global_avg_pool(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>);                          \
  template void global_avg_pool_backward(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>);                 \
  template void adaptive_avg_pool(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>);

D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::ops
