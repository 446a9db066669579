// CUDA variant of ops/diffusion_step.hpp. The UNet's prediction e comes as T, the latents are float.

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/ops/diffusion_step.hpp"
#include "kernels/diffusion_step.cuh"

namespace d3ad::ops {

namespace {

constexpr int kStepThreads = 256;

}  // namespace

template <class Device>
void scale_start(Context<Device>& ctx, View<Weight<Device>, Device> out, In<Weight<Device>, Device> z0,
                 In<Weight<Device>, Device> noise, In<float, Device> a, In<float, Device> b) {
  check_scale_start(out.shape, z0.shape, noise.shape, noise.data != nullptr, a.shape, b.shape);
  if (!z0.size()) return;
  const std::int64_t image = z0.size() / z0.shape.n;
  const bool packs = kernels::packed<float>({out.data, z0.data, noise.data}, image);
  kernels::launch("scale_start", ctx.stream(), kernels::scale_start_kernel<float>,
                  kernels::blocks_for(packs ? z0.size() / kernels::kPack<float> : z0.size(), kStepThreads),
                  kStepThreads, 0, out.data, z0.data, noise.data, a.data, b.data, z0.size(), image, packs);
}

template <class Device>
void guided_step(Context<Device>& ctx, View<Weight<Device>, Device> out, In<Weight<Device>, Device> x,
                 In<Real<Device>, Device> e, In<Weight<Device>, Device> z0, In<Weight<Device>, Device> noise,
                 In<StepCoefficients, Device> coefficients, float eta2) {
  using T = Real<Device>;
  check_guided_step(out.shape, x.shape, e.shape, z0.shape, noise.shape, noise.data != nullptr, coefficients.shape);
  if (!x.size()) return;
  const std::int64_t image = x.size() / x.shape.n;
  const bool packs = kernels::packed<T>({out.data, x.data, e.data, z0.data, noise.data}, image);
  kernels::launch("guided_step", ctx.stream(), kernels::guided_step_kernel<T>,
                  kernels::blocks_for(packs ? x.size() / kernels::kPack<T> : x.size(), kStepThreads), kStepThreads, 0,
                  out.data, x.data, e.data, z0.data, noise.data, coefficients.data, eta2, x.size(), image, packs);
}

#define INSTANTIATE(T)                                                                                               \
  template void scale_start(Context<CudaOf<T>>&, View<float, CudaOf<T>>, In<float, CudaOf<T>>, In<float, CudaOf<T>>, \
                            In<float, CudaOf<T>>, In<float, CudaOf<T>>);                                             \
  template void guided_step(Context<CudaOf<T>>&, View<float, CudaOf<T>>, In<float, CudaOf<T>>, In<T, CudaOf<T>>,     \
                            In<float, CudaOf<T>>, In<float, CudaOf<T>>, In<StepCoefficients, CudaOf<T>>, float);

D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::ops
