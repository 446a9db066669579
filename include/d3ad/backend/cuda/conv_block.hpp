#pragma once
// CUDA variant of ops/conv_block.hpp: what comes before a convolution in one pass (cuda::gather), cuDNN's or cuBLASLt's
// convolution, what comes after it in one pass over its result (cuda::finish). Each pass is left out where there is
// nothing for it to do; a 1x1 convolution with nothing but a bias after it has the product add it.

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/backend/cuda/conv2d.hpp"
#include "d3ad/backend/cuda/conv_parts.hpp"
#include "d3ad/backend/cuda/linear.hpp"
#include "d3ad/core/parameter.hpp"
#include "d3ad/ops/conv_block.hpp"

namespace d3ad::ops {

template <class T>
void conv_block(Context<CudaOf<T>>& ctx, const ConvBlockOutput<CudaOf<T>>& out, const ConvBlockInput<CudaOf<T>>& in,
                const Parameter<CudaOf<T>>& w, Conv2d config) {
  const Shape shape = check_conv_block(out, in, w.shape(), config);
  D3AD_CHECK(out.y.data != in.x.data, "conv_block: y is x, which a GPU's convolution cannot write over");
  auto x = Value<T, CudaOf<T>>::borrow(in.x);
  if (in.norm_scale.data || in.more.data || in.resample != Resample::none) {
    x = ctx.arena.template make<T>(shape);
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

}  // namespace d3ad::ops
