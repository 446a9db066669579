#pragma once
// conv_block: a convolution with the operations around it in the networks, so that a device can do all in one pass.
//
//   h    = channels of x, then those of more                          [n, h, w, c + c']
//   h    = group_norm(h), with SiLU if norm.silu                      if norm_scale is given
//   h    = h, upsample_nearest2(h) or avg_pool2(h)                    by `resample`
//   h    = conv2d(h, w) + bias
//   h    = (h - mean) / sqrt(var + eps) * scale + shift               if batch_norm is given (running statistics)
//   h    = h + shift[n]                                               {n, c = out}
//   h    = h + residual, upsampled or pooled by `residual_resample`
//   y    = h or relu(h)
//
// A view that is absent (data = nullptr) leaves its line out. A 1x1 convolution is a linear layer: its weight may be
// that of a linear layer. No aliasing: y is none of the inputs, except if narrows_in_place allows it: then y may begin
// where x does, and x is lost.
//
// moments {n, h = 2, c}: of each image and channel the mean over its pixels and the sum of squared deviations from it.
// A block that is asked for them measures its result as it writes it. If they are passed to the next block with the
// tensor that they measure, its normalisation does not need to read the tensor. A block without them measures its
// input.

#include <cstdint>

#include "d3ad/ops/batch_norm.hpp"
#include "d3ad/ops/conv2d.hpp"
#include "d3ad/ops/group_norm.hpp"

namespace d3ad::ops {

enum class Resample { none, up, down };  // nearest, twice as large; 2 x 2 average

inline Shape resampled(Shape s, Resample how) {
  if (how == Resample::up) return {s.n, 2 * s.h, 2 * s.w, s.c};
  if (how == Resample::down) return {s.n, s.h / 2, s.w / 2, s.c};
  return s;
}

template <class Device>
struct ConvBlockInput {
  View<const Real<Device>, Device> x, more{};
  View<const Weight<Device>, Device> x_moments{}, more_moments{};
  View<const Weight<Device>, Device> norm_scale{}, norm_shift{};  // {c + c'}
  GroupNorm norm{.groups = 1, .eps = 0.0f};
  Resample resample = Resample::none;
};

// The parameters of a batch norm that is not training, {out} each.
template <class Device>
struct BatchNormViews {
  View<const Weight<Device>, Device> scale{}, shift{}, mean{}, var{};
  float eps = 0;
};

template <class Device>
struct ConvBlockOutput {
  View<Real<Device>, Device> y;
  View<Weight<Device>, Device> moments{};
  View<const Weight<Device>, Device> bias{};
  BatchNormViews<Device> batch_norm{};
  View<const Real<Device>, Device> shift{};
  View<const Real<Device>, Device> residual{};
  Resample residual_resample = Resample::none;
  bool relu = false;
};

// Whether a device can write a convolution to the beginning of its input: a 1x1 one to at most half as many channels,
// with nothing around it but a bias. The largest tensors of a decoder are those before such a convolution.
template <class Device>
inline constexpr bool kNarrowsInPlace = false;
template <>
inline constexpr bool kNarrowsInPlace<Cpu> = true;

template <class Device>
bool narrows_in_place(const ConvBlockOutput<Device>& out, const ConvBlockInput<Device>& in, Shape w, Conv2d config) {
  const bool bare = !in.more.data && !in.norm_scale.data && in.resample == Resample::none && !out.moments.data &&
                    !out.batch_norm.scale.data && !out.shift.data && !out.residual.data && !out.relu;
  const bool one_by_one = config.kernel == 1 && config.stride == 1 && config.pad == 0 && config.end() == 0;
  return kNarrowsInPlace<Device> && bare && one_by_one && 2 * w.n <= w.c;
}

inline Shape moments_shape(Shape x) { return {.n = x.n, .h = 2, .c = x.c}; }

// The shape that is convolved: concatenated and resampled. Throws if the parts do not fit each other.
template <class Device>
Shape check_conv_block(const ConvBlockOutput<Device>& out, const ConvBlockInput<Device>& in, Shape w, Conv2d config) {
  Shape x = in.x.shape;
  D3AD_CHECK(in.x.data, "conv_block: there is no input");
  if (in.more.data) {
    const Shape m = in.more.shape;
    D3AD_CHECK(m.n == x.n && m.h == x.h && m.w == x.w, "conv_block: more channels ", m, " for x ", x);
    x.c += m.c;
  }
  if (in.norm_scale.data) check_group_norm(x, {}, false, x, in.norm_scale.shape, in.norm_shift.shape, in.norm);
  D3AD_CHECK(!in.x_moments.data || in.x_moments.shape == moments_shape(in.x.shape), "conv_block: moments ",
             in.x_moments.shape, " for x ", in.x.shape);
  D3AD_CHECK(!in.more_moments.data || in.more_moments.shape == moments_shape(in.more.shape), "conv_block: moments ",
             in.more_moments.shape, " for more channels ", in.more.shape);
  D3AD_CHECK(in.resample != Resample::down || (x.h % 2 == 0 && x.w % 2 == 0), "conv_block: ", x,
             " does not divide into 2x2 pixels");
  x = resampled(x, in.resample);
  const Shape y = out.y.shape;
  check_conv2d(y, x, w, out.bias.shape, out.bias.data != nullptr, config);
  const auto& bn = out.batch_norm;
  D3AD_CHECK(!bn.scale.data ||
                 (bn.scale.size() == y.c && bn.shift.size() == y.c && bn.mean.size() == y.c && bn.var.size() == y.c),
             "conv_block: a batch norm of ", bn.scale.size(), ", ", bn.shift.size(), ", ", bn.mean.size(), " and ",
             bn.var.size(), " values for ", y.c, " channels");
  D3AD_CHECK(!out.shift.data || (out.shift.shape.n == y.n && out.shift.size() == y.n * y.c), "conv_block: shift ",
             out.shift.shape, " for y ", y);
  const Shape r = out.residual.shape;
  D3AD_CHECK(!out.residual.data || (resampled(r, out.residual_resample) == y &&
                                    (out.residual_resample != Resample::down || (r.h % 2 == 0 && r.w % 2 == 0))),
             "conv_block: residual ", r, " for y ", y);
  D3AD_CHECK(!out.moments.data || out.moments.shape == moments_shape(y), "conv_block: moments ", out.moments.shape,
             " for y ", y);
  return x;
}

inline void check_channel_moments(Shape moments, Shape x) {
  D3AD_CHECK(x.size() >= 1 && moments == moments_shape(x), "channel_moments: moments ", moments, " for x ", x,
             ", expected ", moments_shape(x));
}

template <class Device>
void conv_block(Context<Device>&, const ConvBlockOutput<Device>&, const ConvBlockInput<Device>&,
                const Parameter<Device>& w, Conv2d);
// Those of x: what a block that was not handed them does first.
template <class Device>
void channel_moments(Context<Device>&, View<Weight<Device>, Device> moments, In<Real<Device>, Device> x);

}  // namespace d3ad::ops
