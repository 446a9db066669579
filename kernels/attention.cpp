// CUDA variant of ops/attention.hpp, the host's part: cuDNN in one pass if it has an engine, otherwise products and our
// own softmax.

#include "d3ad/backend/cuda/attention.hpp"

#include "d3ad/backend/cuda/ops.hpp"
#include "kernels/instantiate.hpp"

namespace d3ad::ops {

template <class Device>
void attention(Context<Device>& ctx, View<Real<Device>, Device> out, In<Real<Device>, Device> qkv, Attention config) {
  check_attention(out.shape, qkv.shape, config);
  const std::int64_t heads = config.heads, width = qkv.shape.c / 3 / heads;
  const cuda::FusedAttention fused{.images = qkv.shape.n,
                                   .positions = qkv.shape.pixels(),
                                   .heads = heads,
                                   .width = width,
                                   .scale = 1.0f / std::sqrt(static_cast<float>(width))};
  if (!cuda::fused_attention(ctx, fused, out.data, qkv.data))
    detail::attention(ctx, out, qkv, config, detail::kScoreBytes);
}

template <class Device>
void attention_backward(Context<Device>& ctx, View<Real<Device>, Device> dqkv, In<Real<Device>, Device> dout,
                        In<Real<Device>, Device> qkv, Attention config) {
  detail::attention_backward(ctx, dqkv, dout, qkv, config, detail::kScoreBytes);
}

#define INSTANTIATE(T)                                                                                          \
  template void attention(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>, Attention);                \
  template void attention_backward(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>, In<T, CudaOf<T>>, \
                                   Attention);

D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::ops
