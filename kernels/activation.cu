// CUDA variant of ops/activation.hpp: one pass, each element read and written once.

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/ops/activation.hpp"
#include "kernels/activation.cuh"

namespace d3ad::ops {

namespace {

template <class T, class F, class... X>
void map(const char* name, Context<CudaOf<T>>& ctx, View<T, CudaOf<T>> out, F f, const X*... x) {
  constexpr int kThreads = 256;
  const bool packs = kernels::packed<T>({out.data, x...}, 0);
  const std::int64_t count = out.size(), items = packs ? count / kernels::kPack<T> + kernels::kPack<T> : count;
  if (count == 0) return;
  kernels::launch(name, ctx.stream(), kernels::map_elements<T, F, X...>, kernels::blocks_for(items, kThreads), kThreads,
                  0, out.data, count, packs, f, x...);
}

}  // namespace

template <class Device>
void activate(Context<Device>& ctx, View<Real<Device>, Device> out, In<Real<Device>, Device> x, Activation kind) {
  check_activate(out.shape, x.shape);
  if (kind == Activation::silu) return map("activate", ctx, out, kernels::Silu{}, x.data);
  if (kind == Activation::relu) return map("activate", ctx, out, kernels::Relu{}, x.data);
  map("activate", ctx, out, kernels::Tanh{}, x.data);
}

template <class Device>
void activate_backward(Context<Device>& ctx, View<Real<Device>, Device> dx, In<Real<Device>, Device> dy,
                       In<Real<Device>, Device> x, Activation kind) {
  check_activate(dx.shape, x.shape);
  check_activate(dy.shape, x.shape);
  if (kind == Activation::silu) return map("activate_backward", ctx, dx, kernels::SiluBackward{}, dy.data, x.data);
  if (kind == Activation::relu) return map("activate_backward", ctx, dx, kernels::ReluBackward{}, dy.data, x.data);
  map("activate_backward", ctx, dx, kernels::TanhBackward{}, dy.data, x.data);
}

#define INSTANTIATE(T)                                                                                         \
  template void activate(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>, Activation);               \
  template void activate_backward(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>, In<T, CudaOf<T>>, \
                                  Activation);

D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::ops
