// CUDA variant of ops/resample.hpp.

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/ops/resample.hpp"
#include "kernels/resample.cuh"

namespace d3ad::ops {

template <class Device>
void upsample_nearest2(Context<Device>& ctx, View<Real<Device>, Device> out, In<Real<Device>, Device> x) {
  check_upsample_nearest2(out.shape, x.shape);
  kernels::spread_to_four("upsample_nearest2", ctx.stream(), out.data, x.data, x.shape, 1.0f);
}

template <class Device>
void upsample_nearest2_backward(Context<Device>& ctx, View<Real<Device>, Device> dx, In<Real<Device>, Device> dy) {
  check_upsample_nearest2(dy.shape, dx.shape);
  kernels::sum_four("upsample_nearest2_backward", ctx.stream(), dx.data, dy.data, dx.shape, 1.0f);
}

#define INSTANTIATE(T)                                                                        \
  template void upsample_nearest2(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>); \
  template void upsample_nearest2_backward(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>);

D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::ops
