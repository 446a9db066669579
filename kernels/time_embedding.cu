// CUDA variant of ops/time_embedding.hpp: a few hundred numbers, made plainly.

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/ops/time_embedding.hpp"
#include "kernels/time_embedding.cuh"

namespace d3ad::ops {

template <class Device>
void time_embedding(Context<Device>& ctx, View<Real<Device>, Device> out, In<std::int32_t, Device> t) {
  using T = Real<Device>;
  check_time_embedding(out.shape, t.shape);
  constexpr int kThreads = 128;
  const std::int64_t half = out.shape.c / 2;
  kernels::launch("time_embedding", ctx.stream(), kernels::time_embedding_kernel<T>,
                  kernels::blocks_for(t.size() * half, kThreads), kThreads, 0, out.data, t.data, t.size(), half);
}

#define INSTANTIATE(T) \
  template void time_embedding(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<std::int32_t, CudaOf<T>>);

D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::ops
