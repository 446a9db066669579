// CUDA variant of ops/conv_block.hpp, the host's part: the operations around a convolution are our own kernels
// (conv_block.cu).

#include "d3ad/backend/cuda/conv_block.hpp"

#include "d3ad/backend/cuda/ops.hpp"
#include "kernels/instantiate.hpp"

namespace d3ad::ops {

template <class Device>
void conv_block(Context<Device>& ctx, const ConvBlockOutput<Device>& out, const ConvBlockInput<Device>& in,
                const Parameter<Device>& w, Conv2d config) {
  using T = Real<Device>;
  const Shape shape = check_conv_block(out, in, w.shape(), config);
  D3AD_CHECK(out.y.data != in.x.data, "conv_block: y is x, which a GPU's convolution cannot write over");
  auto x = Value<T, Device>::borrow(in.x);
  if (in.norm_scale.data || in.more.data || in.resample != Resample::none) {
    x = make_value<T>(ctx, shape);
    cuda::gather(ctx, x.view(), in);
  }
  const bool product = cuda::is_product(config);
  const bool bias_at_most =
      !out.batch_norm.scale.data && !out.shift.data && !out.residual.data && !out.relu && !out.moments.data;
  if (product && bias_at_most) return linear(ctx, out.y, x.view(), w, out.bias);
  if (product)
    linear(ctx, out.y, x.view(), w, {});
  else
    cuda::convolve(ctx, out.y, x.view(), w, config);
  x.reset();
  if (out.bias.data || !bias_at_most) cuda::finish(ctx, out, /*with_bias=*/true);
}

#define INSTANTIATE(T)                                                                                               \
  template void conv_block(Context<CudaOf<T>>&, const ConvBlockOutput<CudaOf<T>>&, const ConvBlockInput<CudaOf<T>>&, \
                           const Parameter<CudaOf<T>>&, Conv2d);

D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::ops
