// CUDA variant of ops/concat.hpp. Packs if both parts' channels are whole packs, one channel at a time otherwise.

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/ops/concat.hpp"
#include "kernels/concat.cuh"

namespace d3ad::ops {

using kernels::kPack;

template <class Device>
void concat(Context<Device>& ctx, View<Real<Device>, Device> out, In<Real<Device>, Device> a,
            In<Real<Device>, Device> b) {
  using T = Real<Device>;
  check_concat(out.shape, a.shape, b.shape);
  const bool packs = kernels::packed<T>({out.data, a.data, b.data}, a.shape.c) && b.shape.c % kPack<T> == 0;
  kernels::launch_channels<T>("concat", ctx.stream(), packs, kernels::concat_kernel<T, kPack<T>>,
                              kernels::concat_kernel<T, 1>, out.size(), out.data, a.data, b.data, out.shape.rows(),
                              a.shape.c, b.shape.c);
}

template <class Device>
void split(Context<Device>& ctx, View<Real<Device>, Device> a, View<Real<Device>, Device> b,
           In<Real<Device>, Device> x) {
  using T = Real<Device>;
  check_split(a.shape, a.data != nullptr, b.shape, b.data != nullptr, x.shape);
  if (!a.data && !b.data) return;
  const std::int64_t of_a = a.data ? a.shape.c : x.shape.c - b.shape.c, of_b = x.shape.c - of_a;
  const bool packs = kernels::packed<T>({a.data, b.data, x.data}, of_a) && of_b % kPack<T> == 0;
  const std::int64_t count = x.shape.rows() * ((a.data ? of_a : 0) + (b.data ? of_b : 0));
  kernels::launch_channels<T>("split", ctx.stream(), packs, kernels::split_kernel<T, kPack<T>>,
                              kernels::split_kernel<T, 1>, count, a.data, b.data, x.data, x.shape.rows(), of_a, of_b);
}

#define INSTANTIATE(T)                                                                               \
  template void concat(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>, In<T, CudaOf<T>>); \
  template void split(Context<CudaOf<T>>&, View<T, CudaOf<T>>, View<T, CudaOf<T>>, In<T, CudaOf<T>>);

D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::ops
