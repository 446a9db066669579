#pragma once
// CPU variant of ops/conv_block.hpp: our own kernels compute all of it in one pass (backend/cpu/tiled_conv.hpp), by the
// algorithm that the context's AlgorithmPlan chooses for the shapes (backend/cpu/conv_plan.hpp). If it chooses oneDNN,
// or our kernels do not support the shapes, the parts run one after the other.

#include <algorithm>
#include <cmath>

#include "d3ad/backend/cpu/activation.hpp"
#include "d3ad/backend/cpu/batch_norm.hpp"
#include "d3ad/backend/cpu/concat.hpp"
#include "d3ad/backend/cpu/conv2d.hpp"
#include "d3ad/backend/cpu/conv_plan.hpp"
#include "d3ad/backend/cpu/elementwise.hpp"
#include "d3ad/backend/cpu/group_norm.hpp"
#include "d3ad/backend/cpu/packed_weights.hpp"
#include "d3ad/backend/cpu/pool.hpp"
#include "d3ad/backend/cpu/resample.hpp"
#include "d3ad/ops/conv_block.hpp"

namespace d3ad::ops {

// Blocks of pixels as in group_norm, joined in double.
template <>
D3AD_INLINE void channel_moments(Context<Cpu>& ctx, View<float, Cpu> moments, In<float, Cpu> x) {
  check_channel_moments(moments.shape, x.shape);
  const detail::NormBlocks blocks(x.shape);
  const std::int64_t channels = x.shape.c;
  const auto partial = make_value<float>(ctx, {.n = blocks.count, .c = 2 * channels});
  float* const m = partial.view().data;
#pragma omp parallel num_threads(ctx.threads())
  {
#pragma omp for schedule(static)
    for (std::int64_t i = 0; i < blocks.count; ++i)
      simd::run<detail::BlockMoments>(m + i * 2 * channels, m + i * 2 * channels + channels, x.data + blocks.offset(i),
                                      blocks.rows(i), channels);
#pragma omp for schedule(static)
    for (std::int64_t n = 0; n < x.shape.n; ++n)
      for (std::int64_t c = 0; c < channels; ++c) {
        detail::Moments sum;
        for (std::int64_t i = n * blocks.per_image; i < (n + 1) * blocks.per_image; ++i)
          sum.join(static_cast<double>(blocks.rows(i)), double{m[i * 2 * channels + c]},
                   double{m[(i * 2 + 1) * channels + c]});
        moments.data[n * 2 * channels + c] = static_cast<float>(sum.mean);
        moments.data[(n * 2 + 1) * channels + c] = static_cast<float>(sum.square);
      }
  }
}

namespace detail {

// A group norm as an affine function for each image and channel: y = x * factor + offset.
struct NormLines {
  Value<float, Cpu> factor, offset;  // {n, c}
};

// moments of x and, if there are any, of the channels after it.
inline NormLines norm_lines(Context<Cpu>& ctx, std::int64_t pixels, View<const float, Cpu> x,
                            View<const float, Cpu> more, const ConvBlockInput<Cpu>& in) {
  const std::int64_t first = x.shape.c, rest = more.data ? more.shape.c : 0, channels = first + rest;
  const std::int64_t images = x.shape.n, groups = in.norm.groups, group = channels / groups;
  NormLines lines{make_value<float>(ctx, {.n = images, .c = channels}),
                  make_value<float>(ctx, {.n = images, .c = channels})};
  const double count = static_cast<double>(pixels), eps = double{in.norm.eps};
  for (std::int64_t n = 0; n < images; ++n) {
    const float *const a = x.data + n * 2 * first, *const b = more.data ? more.data + n * 2 * rest - first : nullptr;
    const auto mean_of = [&](std::int64_t c) { return double{c < first ? a[c] : b[c]}; };
    const auto square_of = [&](std::int64_t c) { return double{c < first ? a[first + c] : b[rest + c]}; };
    float *const factor = lines.factor.view().data + n * channels, *const offset =
                                                                       lines.offset.view().data + n * channels;
    for (std::int64_t g = 0; g < groups; ++g) {
      double mean = 0, square = 0;
      for (std::int64_t c = g * group; c < (g + 1) * group; ++c) mean += mean_of(c);
      mean /= static_cast<double>(group);
      for (std::int64_t c = g * group; c < (g + 1) * group; ++c)
        square += square_of(c) + count * (mean_of(c) - mean) * (mean_of(c) - mean);
      const double inverse = 1.0 / std::sqrt(square / (count * static_cast<double>(group)) + eps);
      for (std::int64_t c = g * group; c < (g + 1) * group; ++c) {
        const double f = inverse * double{in.norm_scale.data[c]};
        factor[c] = static_cast<float>(f);
        offset[c] = static_cast<float>(double{in.norm_shift.data[c]} - mean * f);
      }
    }
  }
  return lines;
}

// The moments that a tensor carries; if it has none, they are measured now.
inline Value<float, Cpu> moments_of(Context<Cpu>& ctx, View<const float, Cpu> x, View<const float, Cpu> given) {
  if (given.data || !x.data) return Value<float, Cpu>::borrow(given);
  auto made = make_value<float>(ctx, moments_shape(x.shape));
  channel_moments(ctx, made.view(), x);
  return made;
}

// A batch norm (and the bias before it) as an affine function for each channel; empty if there is none.
struct ChannelLines {
  Value<float, Cpu> factor, offset;
};
inline ChannelLines batch_norm_lines(Context<Cpu>& ctx, const BatchNormViews<Cpu>& bn, View<const float, Cpu> bias) {
  if (!bn.scale.data) return {};
  const std::int64_t channels = bn.scale.size();
  ChannelLines lines{make_value<float>(ctx, {.c = channels}), make_value<float>(ctx, {.c = channels})};
  for (std::int64_t c = 0; c < channels; ++c) {
    const double factor = double{bn.scale.data[c]} / std::sqrt(double{bn.var.data[c]} + double{bn.eps});
    const double before = (bias.data ? double{bias.data[c]} : 0.0) - double{bn.mean.data[c]};
    lines.factor.view().data[c] = static_cast<float>(factor);
    lines.offset.view().data[c] = static_cast<float>(double{bn.shift.data[c]} + before * factor);
  }
  return lines;
}

inline Value<float, Cpu> resampled_value(Context<Cpu>& ctx, Value<float, Cpu> x, Resample how) {
  if (how == Resample::none) return x;
  auto to = make_value<float>(ctx, resampled(x.shape(), how));
  how == Resample::up ? upsample_nearest2(ctx, to.view(), x.view()) : avg_pool2(ctx, to.view(), x.view());
  return to;
}

inline Value<float, Cpu> joined(Context<Cpu>& ctx, View<const float, Cpu> x, View<const float, Cpu> more) {
  Shape both = x.shape;
  both.c += more.shape.c;
  auto to = make_value<float>(ctx, both);
  concat(ctx, to.view(), x, more);
  return to;
}

// In parts: one operation after the other.
inline void conv_block_by_parts(Context<Cpu>& ctx, conv::Algorithm algorithm, const ConvBlockOutput<Cpu>& out,
                                const ConvBlockInput<Cpu>& in, const Parameter<Cpu>& w, Conv2d config) {
  auto h = in.more.data ? joined(ctx, in.x, in.more) : Value<float, Cpu>::borrow(in.x);
  if (in.norm_scale.data) {
    auto normal = make_value<float>(ctx, h.shape());
    group_norm(ctx, normal.view(), {}, h.view(), in.norm_scale, in.norm_shift, in.norm);
    h = std::move(normal);
  }
  h = resampled_value(ctx, std::move(h), in.resample);
  if (is_linear(config) && algorithm != conv::Algorithm::bfloat16)
    conv2d(ctx, out.y, h.view(), w, out.bias, config);
  else
    conv2d_by(ctx, algorithm, out.y, h.view(), w, out.bias, config);
  h.reset();
  const auto& bn = out.batch_norm;
  if (bn.scale.data) batch_norm_eval(ctx, out.y, out.y, bn.scale, bn.shift, bn.mean, bn.var, {.eps = bn.eps});
  if (out.shift.data) add_per_image(ctx, out.y, out.y, out.shift);
  if (out.residual.data) {
    const auto residual = resampled_value(ctx, Value<float, Cpu>::borrow(out.residual), out.residual_resample);
    add(ctx, out.y, out.y, residual.view());
  }
  if (out.relu) activate(ctx, out.y, out.y, Activation::relu);
  if (out.moments.data) channel_moments(ctx, out.moments, out.y);
}

// In one pass. x: the shape that is convolved.
inline void conv_block_at_once(Context<Cpu>& ctx, conv::Algorithm algorithm, Shape x, const ConvBlockOutput<Cpu>& out,
                               const ConvBlockInput<Cpu>& in, const Parameter<Cpu>& w, Conv2d config) {
  conv::Input from{.x = in.x, .more = in.more, .silu = in.norm_scale.data && in.norm.silu, .resample = in.resample};
  NormLines lines;
  if (in.norm_scale.data) {
    const auto moments = moments_of(ctx, in.x, in.x_moments);
    const auto more_moments = moments_of(ctx, in.more, in.more_moments);
    lines = norm_lines(ctx, in.x.shape.pixels(), moments.view(), more_moments.view(), in);
    from.factor = lines.factor.view().data, from.offset = lines.offset.view().data;
  }
  Value<float, Cpu> together;
  if (in.more.data && in.x.shape.c % conv::kDepth != 0) {  // a block of channels would contain some of both
    together = joined(ctx, in.x, in.more);
    from.x = together.view(), from.more = {};
  }
  const auto batch_norm = batch_norm_lines(ctx, out.batch_norm, out.bias);
  conv::Output to{.y = out.y,
                  .bias = out.bias.data,
                  .shift = out.shift.data,
                  .residual = out.residual,
                  .residual_resample = out.residual_resample,
                  .relu = out.relu,
                  .moments = out.moments.data};
  if (batch_norm.factor) to.scale = batch_norm.factor.view().data, to.bias = batch_norm.offset.view().data;
  const HeldWeights panels = packed_panels(ctx, w);
  conv::TiledConv(x, out.y.shape, config, algorithm).run(ctx, from, panels.data(), to);
}

// Writes the output to the beginning of the input, which has at least twice as many channels. Output pixels p ... 2p -
// 1 are then in memory before input pixel p: when the first p pixels are done, the next p can be computed, then the
// next 2p and so on. The first ones are computed from a copy. `compute` computes some pixels, as a block without
// overlap.
template <class Compute>
void narrow_in_place(Context<Cpu>& ctx, const ConvBlockOutput<Cpu>& out, const ConvBlockInput<Cpu>& in,
                     Compute&& compute) {
  const std::int64_t pixels = out.y.shape.n * out.y.shape.pixels(), to = out.y.shape.c, from = in.x.shape.c;
  constexpr std::int64_t kFirst = 1024;
  const auto part = [&](const float* x, std::int64_t first, std::int64_t count) {
    ConvBlockInput<Cpu> some = in;
    ConvBlockOutput<Cpu> there = out;
    some.x_moments = {};
    some.x = {x, {.h = count, .c = from}};
    there.y = {out.y.data + first * to, {.h = count, .c = to}};
    compute(some.x.shape, there, some);
  };
  std::int64_t done = std::min(kFirst, pixels);
  const auto begin = make_value<float>(ctx, {.h = done, .c = from});
  std::copy_n(in.x.data, done * from, begin.view().data);
  part(begin.view().data, 0, done);
  for (std::int64_t count; done < pixels; done += count) {
    count = std::min(done, pixels - done);
    part(in.x.data + done * from, done, count);
  }
}

}  // namespace detail

template <>
D3AD_INLINE void conv_block(Context<Cpu>& ctx, const ConvBlockOutput<Cpu>& out, const ConvBlockInput<Cpu>& in,
                            const Parameter<Cpu>& w, Conv2d config) {
  const Shape x = check_conv_block(out, in, w.shape(), config);
  // If there are few channels, our kernels read whole rows of the image, without fused operations on the input.
  const bool changed = in.norm_scale.data || in.more.data || in.resample != Resample::none;
  const bool only_parts = changed && conv::is_flat(x.c, config.kernel);
  const conv::Layer layer{.x = x, .w = w.shape(), .stride = config.stride, .pad = config.pad, .pad_end = config.end()};
  const auto compute = [&](conv::Algorithm a, Shape convolved, const auto& to, const auto& from) {
    if (only_parts || is_by_parts(a))
      detail::conv_block_by_parts(ctx, a, to, from, w, config);
    else
      detail::conv_block_at_once(ctx, a, convolved, to, from, w, config);
  };
  if (out.y.data != in.x.data) return conv::plan_of(ctx).run(layer, [&](conv::Algorithm a) { compute(a, x, out, in); });
  D3AD_CHECK(narrows_in_place(out, in, w.shape(), config),
             "conv_block: y is x, which only a 1x1 convolution alone, to at most half as many channels, may overwrite");
  conv::plan_of(ctx).run_once(layer, [&](conv::Algorithm a) {
    if (is_by_parts(a)) {  // oneDNN would need a primitive for each number of pixels
      const auto y = make_value<float>(ctx, out.y.shape);
      auto elsewhere = out;
      elsewhere.y = y.view();
      compute(a, x, elsewhere, in);
      std::copy_n(y.view().data, y.view().size(), out.y.data);
    } else {
      detail::narrow_in_place(ctx, out, in,
                              [&](Shape some, const auto& to, const auto& from) { compute(a, some, to, from); });
    }
  });
}

}  // namespace d3ad::ops
