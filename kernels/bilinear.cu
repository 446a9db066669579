// CUDA variant of ops/bilinear.hpp.

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/ops/bilinear.hpp"
#include "kernels/bilinear.cuh"

namespace d3ad::ops {

template <class Device>
void bilinear_align_corners(Context<Device>& ctx, View<Weight<Device>, Device> out, In<Weight<Device>, Device> x) {
  check_bilinear(out.shape, x.shape);
  constexpr int kThreads = 256;
  const bool packs = kernels::packed<float>({out.data, x.data}, x.shape.c);
  kernels::launch("bilinear_align_corners", ctx.stream(),
                  packs ? kernels::bilinear_kernel<4> : kernels::bilinear_kernel<1>,
                  kernels::blocks_for(packs ? out.size() / 4 : out.size(), kThreads), kThreads, 0, out.data, x.data,
                  out.shape, x.shape);
}

#define INSTANTIATE(T) \
  template void bilinear_align_corners(Context<CudaOf<T>>&, View<float, CudaOf<T>>, In<float, CudaOf<T>>);
D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::ops
