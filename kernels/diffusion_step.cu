// CUDA variant of ops/diffusion_step.hpp. The UNet's prediction e comes as T, the latents are float.

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/ops/diffusion_step.hpp"
#include "kernels/diffusion_step.cuh"

namespace d3ad::ops {

namespace {

constexpr int kStepThreads = 256;

}  // namespace

template <class T>
void scale_start(Context<CudaOf<T>>& ctx, View<float, CudaOf<T>> out, In<float, CudaOf<T>> z0,
                 In<float, CudaOf<T>> noise, In<float, CudaOf<T>> a, In<float, CudaOf<T>> b) {
  check_scale_start(out.shape, z0.shape, noise.shape, noise.data != nullptr, a.shape, b.shape);
  if (!z0.size()) return;
  const std::int64_t image = z0.size() / z0.shape.n;
  const bool packs = kernels::packed<float>({out.data, z0.data, noise.data}, image);
  kernels::launch("scale_start", ctx.stream(), kernels::scale_start_kernel<float>,
                  kernels::blocks_for(packs ? z0.size() / kernels::kPack<float> : z0.size(), kStepThreads),
                  kStepThreads, 0, out.data, z0.data, noise.data, a.data, b.data, z0.size(), image, packs);
}

template <class T>
void guided_step(Context<CudaOf<T>>& ctx, View<float, CudaOf<T>> out, In<float, CudaOf<T>> x, In<T, CudaOf<T>> e,
                 In<float, CudaOf<T>> z0, In<float, CudaOf<T>> noise, In<StepCoefficients, CudaOf<T>> coefficients,
                 float eta2) {
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
