// CUDA variant of ops/noise.hpp. To be compiled with -fmad=false: the numbers are the CPU's to the bit, and nvcc fuses
// multiplications and additions, which rounds once instead of twice, unless it is told not to. A source file cannot ask
// how it is compiled, so the build says so (CMakeLists.txt) and tests/cuda/noise_test.cpp compares the bits.

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/ops/noise.hpp"
#include "kernels/noise.cuh"

namespace d3ad::ops {

namespace {

constexpr int kNoiseThreads = 256;

}  // namespace

template <class Device>
void normal(Context<Device>& ctx, View<Weight<Device>, Device> out, Rng rng, std::uint64_t first) {
  if (!out.size()) return;
  const bool packs = kernels::packed<float>({out.data}, static_cast<std::int64_t>(first % 4));
  kernels::launch("normal", ctx.stream(), kernels::normal_kernel,
                  kernels::blocks_for(out.size() / 4 + 2, kNoiseThreads), kNoiseThreads, 0, out.data, out.size(), rng,
                  first, packs);
}

template <class Device>
void add_noise(Context<Device>& ctx, View<Weight<Device>, Device> out, In<Weight<Device>, Device> z,
               In<Weight<Device>, Device> e, In<Weight<Device>, Device> a, In<Weight<Device>, Device> b) {
  check_add_noise(out.shape, z.shape, e.shape, a.shape, b.shape);
  if (!z.size()) return;
  const std::int64_t image = z.size() / z.shape.n;
  const bool packs = kernels::packed<float>({out.data, z.data, e.data}, image);
  kernels::launch("add_noise", ctx.stream(), kernels::add_noise_kernel<float>,
                  kernels::blocks_for(packs ? z.size() / kernels::kPack<float> : z.size(), kNoiseThreads),
                  kNoiseThreads, 0, out.data, z.data, e.data, a.data, b.data, z.size(), image, packs);
}

#define INSTANTIATE(T)                                                                                             \
  template void normal(Context<CudaOf<T>>&, View<float, CudaOf<T>>, Rng, std::uint64_t);                           \
  template void add_noise(Context<CudaOf<T>>&, View<float, CudaOf<T>>, In<float, CudaOf<T>>, In<float, CudaOf<T>>, \
                          In<float, CudaOf<T>>, In<float, CudaOf<T>>);

D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::ops
