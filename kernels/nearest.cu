// CUDA variant of ops/nearest.hpp.

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/ops/diffusion_step.hpp"
#include "d3ad/ops/nearest.hpp"
#include "kernels/element.cuh"
#include "kernels/nearest.cuh"

namespace d3ad::ops {

template <class Device>
void nearest_mean(Context<Device>& ctx, View<Weight<Device>, Device> mean, View<std::int32_t, Device> bin,
                  In<Weight<Device>, Device> distances, In<Weight<Device>, Device> edges, Nearest config) {
  check_nearest_mean(mean.shape, bin.shape, bin.data, distances.shape, edges.shape, config);
  kernels::launch("nearest_mean", ctx.stream(), kernels::nearest_mean_kernel, static_cast<unsigned>(distances.shape.n),
                  kernels::kNearestThreads, 0, mean.data, bin.data, distances.data, distances.shape.c,
                  std::int64_t{config.k}, config.left_out, edges.data, edges.shape.c);
}

template <class T, class Device>
void pick(Context<Device>& ctx, View<T, Device> out, In<T, Device> table, In<std::int32_t, Device> choice) {
  check_pick(out.shape, table.shape, choice.shape);
  kernels::launch("pick", ctx.stream(), kernels::pick_kernel<T>, kernels::blocks_for(out.size(), 256), 256, 0, out.data,
                  table.data, choice.data, table.shape.n, table.shape.c, choice.shape.n);
}

#define INSTANTIATE_PICK(U, T) \
  template void pick(Context<CudaOf<T>>&, View<U, CudaOf<T>>, In<U, CudaOf<T>>, In<std::int32_t, CudaOf<T>>);
#define INSTANTIATE(T)                                                                                   \
  template void nearest_mean(Context<CudaOf<T>>&, View<float, CudaOf<T>>, View<std::int32_t, CudaOf<T>>, \
                             In<float, CudaOf<T>>, In<float, CudaOf<T>>, Nearest);                       \
  INSTANTIATE_PICK(float, T)                                                                             \
  INSTANTIATE_PICK(std::int32_t, T)                                                                      \
  INSTANTIATE_PICK(StepCoefficients, T)
D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::ops
