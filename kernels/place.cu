// Host side of backend/cuda/place.hpp: padding and cropping.

#include "d3ad/backend/cuda/place.hpp"
#include "kernels/place.cuh"

namespace d3ad::cuda {

template <class U, class T>
void place(Context<CudaOf<T>>& ctx, View<U, CudaOf<T>> out, In<U, CudaOf<T>> in, std::int64_t top, std::int64_t left) {
  constexpr int kThreads = 256, kWidth = kernels::kPack<U>;
  const bool packs = kernels::packed<U>({out.data, in.data}, out.shape.c) && in.shape.c % kWidth == 0;
  kernels::launch("place", ctx.stream(), packs ? kernels::place_kernel<kWidth, U> : kernels::place_kernel<1, U>,
                  kernels::blocks_for(out.size() / (packs ? kWidth : 1), kThreads), kThreads, 0, out.data, out.shape,
                  in.data, in.shape, top, left);
}

#define INSTANTIATE_FOR(U, T) \
  template void place(Context<CudaOf<T>>&, View<U, CudaOf<T>>, In<U, CudaOf<T>>, std::int64_t, std::int64_t);
#define INSTANTIATE(T) INSTANTIATE_FOR(T, T)
D3AD_FOR_ACTIVATIONS(INSTANTIATE)
INSTANTIATE_FOR(float, half)
INSTANTIATE_FOR(float, bfloat16)

}  // namespace d3ad::cuda
