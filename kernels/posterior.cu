// CUDA variant of ops/posterior.hpp.

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/ops/posterior.hpp"
#include "kernels/posterior.cuh"

namespace d3ad::ops {

using kernels::kPack;

template <class Device>
void posterior(Context<Device>& ctx, View<Real<Device>, Device> z, In<Real<Device>, Device> moments,
               In<Real<Device>, Device> noise) {
  using T = Real<Device>;
  check_posterior(z.shape, moments.shape, noise.shape, noise.data != nullptr);
  kernels::launch_channels<T>("posterior", ctx.stream(),
                              kernels::packed<T>({z.data, moments.data, noise.data}, z.shape.c),
                              kernels::posterior_kernel<T, kPack<T>>, kernels::posterior_kernel<T, 1>, z.size(), z.data,
                              moments.data, noise.data, z.size(), z.shape.c);
}

template <class Device>
void posterior_backward(Context<Device>& ctx, View<Real<Device>, Device> dmoments, In<Real<Device>, Device> dz,
                        In<Real<Device>, Device> moments, In<Real<Device>, Device> noise) {
  using T = Real<Device>;
  check_posterior(dz.shape, moments.shape, noise.shape, noise.data != nullptr);
  D3AD_CHECK(dmoments.shape == moments.shape, "posterior: gradient ", dmoments.shape, " for moments ", moments.shape);
  kernels::launch_channels<T>("posterior_backward", ctx.stream(),
                              kernels::packed<T>({dmoments.data, dz.data, moments.data, noise.data}, dz.shape.c),
                              kernels::posterior_backward_kernel<T, kPack<T>>, kernels::posterior_backward_kernel<T, 1>,
                              dz.size(), dmoments.data, dz.data, moments.data, noise.data, dz.size(), dz.shape.c);
}

#define INSTANTIATE(T)                                                                                          \
  template void posterior(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>, In<T, CudaOf<T>>);         \
  template void posterior_backward(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>, In<T, CudaOf<T>>, \
                                   In<T, CudaOf<T>>);

D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::ops
