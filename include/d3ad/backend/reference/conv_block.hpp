#pragma once
// Reference variant of ops/conv_block.hpp: one operation after the other, then what follows the convolution element by
// element.

#include <algorithm>
#include <cmath>

#include "d3ad/backend/reference/concat.hpp"
#include "d3ad/backend/reference/conv2d.hpp"
#include "d3ad/backend/reference/group_norm.hpp"
#include "d3ad/backend/reference/pool.hpp"
#include "d3ad/backend/reference/resample.hpp"
#include "d3ad/ops/conv_block.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void channel_moments(Context<Reference>&, View<double, Reference> moments, In<double, Reference> x) {
  check_channel_moments(moments.shape, x.shape);
  const std::int64_t channels = x.shape.c, pixels = x.shape.pixels();
  for (std::int64_t n = 0; n < x.shape.n; ++n)
    for (std::int64_t c = 0; c < channels; ++c) {
      const double* const of = x.data + n * pixels * channels + c;
      double mean = 0, square = 0;
      for (std::int64_t p = 0; p < pixels; ++p) mean += of[p * channels] / static_cast<double>(pixels);
      for (std::int64_t p = 0; p < pixels; ++p) square += (of[p * channels] - mean) * (of[p * channels] - mean);
      moments.data[n * 2 * channels + c] = mean;
      moments.data[(n * 2 + 1) * channels + c] = square;
    }
}

template <>
D3AD_INLINE void conv_block(Context<Reference>& ctx, const ConvBlockOutput<Reference>& out,
                            const ConvBlockInput<Reference>& in, const Parameter<Reference>& w, Conv2d config) {
  const Shape convolved = check_conv_block(out, in, w.shape(), config);
  using V = Value<double, Reference>;
  const auto resample = [&](V x, Resample how) {
    if (how == Resample::none) return x;
    auto to = make_value<double>(ctx, resampled(x.shape(), how));
    how == Resample::up ? upsample_nearest2(ctx, to.view(), x.view()) : avg_pool2(ctx, to.view(), x.view());
    return to;
  };

  V h = V::borrow(in.x);
  if (in.more.data) {
    Shape both = in.x.shape;
    both.c += in.more.shape.c;
    h = make_value<double>(ctx, both);
    concat(ctx, h.view(), in.x, in.more);
  }
  if (in.norm_scale.data) {
    auto normal = make_value<double>(ctx, h.shape());
    group_norm(ctx, normal.view(), {}, h.view(), in.norm_scale, in.norm_shift, in.norm);
    h = normal;
  }
  h = resample(h, in.resample);
  conv2d(ctx, out.y, h.view().reshaped(convolved), w, out.bias, config);

  V residual;
  if (out.residual.data) residual = resample(V::borrow(out.residual), out.residual_resample);
  const std::int64_t channels = out.y.shape.c, pixels = out.y.shape.pixels();
  const auto& bn = out.batch_norm;
  for (std::int64_t i = 0; i < out.y.size(); ++i) {
    const std::int64_t c = i % channels, n = i / channels / pixels;
    double y = out.y.data[i];
    if (bn.scale.data)
      y = (y - bn.mean.data[c]) / std::sqrt(bn.var.data[c] + bn.eps) * bn.scale.data[c] + bn.shift.data[c];
    if (out.shift.data) y += out.shift.data[n * channels + c];
    if (residual) y += residual.view().data[i];
    if (out.relu && y < 0) y = 0;  // NaN stays NaN
    out.y.data[i] = y;
  }
  if (out.moments.data) channel_moments(ctx, out.moments, out.y);
}

}  // namespace d3ad::ops
