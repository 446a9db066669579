#pragma once
// CPU variant of ops/conv2d.hpp: oneDNN's direct convolution, or our own kernels if the context's AlgorithmPlan chooses
// them (backend/cpu/conv_plan.hpp). The gradient of the input is a convolution too, with weights whose taps are
// reversed and whose input and output channels are exchanged.
//
// The primitive of each set of shapes is made once and kept by the context; weights are packed into its format once per
// change of the parameter (backend/cpu/onednn.hpp). 1x1 convolutions are matrix products and pack nothing; with a
// stride they are products of every stride-th pixel. (oneDNN 2.6 writes past its scratchpad in a strided 1x1's
// backward_weights on AVX-512 if the number of channels is no multiple of 16.) Weights that are stored narrow are
// widened and packed in scratch at each call.

#include <algorithm>

#include "d3ad/backend/cpu/blocks.hpp"
#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/backend/cpu/conv_plan.hpp"
#include "d3ad/backend/cpu/convert.hpp"
#include "d3ad/backend/cpu/linear.hpp"
#include "d3ad/backend/cpu/onednn.hpp"
#include "d3ad/backend/cpu/packed_weights.hpp"
#include "d3ad/ops/conv2d.hpp"

namespace d3ad::ops {

namespace detail {

inline bool is_linear(Conv2d config) { return config.kernel == 1 && config.pad == 0 && config.end() == 0; }

// The pixels of x that a 1x1 convolution reads, [n, oh, ow, c]: x itself, or every stride-th pixel of it.
inline Value<float, Cpu> seen_pixels(Context<Cpu>& ctx, In<float, Cpu> x, Shape out, int stride) {
  if (stride == 1) return Value<float, Cpu>::borrow(x);
  const std::int64_t channels = x.shape.c;
  auto seen = make_value<float>(ctx, {out.n, out.h, out.w, channels});
  float* const to = seen.view().data;
  for_each_row_block(ctx, out.n * out.h, out.w * channels, [&](std::int64_t first, std::int64_t rows) {
    for (std::int64_t r = first; r < first + rows; ++r) {
      const float* const from = x.data + (r / out.h * x.shape.h + r % out.h * stride) * x.shape.w * channels;
      for (std::int64_t u = 0; u < out.w; ++u)
        std::copy_n(from + u * stride * channels, channels, to + (r * out.w + u) * channels);
    }
  });
  return seen;
}

// The reverse: writes the gradient of these pixels to their places and 0 to the others.
inline void spread_pixels(Context<Cpu>& ctx, View<float, Cpu> dx, In<float, Cpu> seen, int stride) {
  const Shape s = seen.shape;
  const std::int64_t channels = s.c, row = dx.shape.w * channels;
  for_each_row_block(ctx, dx.shape.n * dx.shape.h, row, [&](std::int64_t first, std::int64_t rows) {
    std::fill_n(dx.data + first * row, rows * row, 0.0f);
    for (std::int64_t r = first; r < first + rows; ++r) {
      const std::int64_t n = r / dx.shape.h, y = r % dx.shape.h;
      if (y % stride) continue;
      const float* const from = seen.data + (n * s.h + y / stride) * s.w * channels;
      for (std::int64_t u = 0; u < s.w; ++u)
        std::copy_n(from + u * channels, channels, dx.data + r * row + u * stride * channels);
    }
  });
}

inline onednn::Geometry geometry(Shape y, Shape x, Shape w, Conv2d config, bool bias = false, bool bfloat16 = false) {
  return {x, w, y, config.stride, config.pad, config.end(), bias, bfloat16};
}

inline void conv2d_by(Context<Cpu>& ctx, conv::Algorithm algorithm, View<float, Cpu> out, View<const float, Cpu> x,
                      const Parameter<Cpu>& w, View<const float, Cpu> bias, Conv2d config) {
  const bool rounded = algorithm == conv::Algorithm::bfloat16;
  if (!rounded && algorithm != conv::Algorithm::onednn) {
    const HeldWeights panels = packed_panels(ctx, w);
    conv::TiledConv(x.shape, out.shape, config, algorithm)
        .run(ctx, {.x = x}, panels.data(), {.y = out, .bias = bias.data});
    return;
  }
  auto& conv = onednn::convolution_of(ctx, onednn::Pass::forward,
                                      geometry(out.shape, x.shape, w.shape(), config, bias.data != nullptr, rounded));
  const HeldWeights weights = packed_for(ctx, w, conv);
  if (!rounded) return conv.run(ctx, x.data, weights.data(), bias.data, out.data);
  const auto narrow_x = make_value<bfloat16>(ctx, x.shape);
  narrow(ctx, narrow_x.view(), x);
  conv.run(ctx, narrow_x.view().data, weights.data(), bias.data, out.data);
}

}  // namespace detail

template <>
D3AD_INLINE void conv2d(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> x, const Parameter<Cpu>& w,
                        In<float, Cpu> bias, Conv2d config) {
  check_conv2d(out.shape, x.shape, w.shape(), bias.shape, bias.data != nullptr, config);
  if (detail::is_linear(config)) {
    const auto seen = detail::seen_pixels(ctx, x, out.shape, config.stride);
    return linear(ctx, out, seen.view(), w, bias);
  }
  const conv::Layer layer{
      .x = x.shape, .w = w.shape(), .stride = config.stride, .pad = config.pad, .pad_end = config.end(), .alone = true};
  conv::plan_of(ctx).run(layer, [&](conv::Algorithm a) { detail::conv2d_by(ctx, a, out, x, w, bias, config); });
}

template <>
D3AD_INLINE void conv2d_backward_data(Context<Cpu>& ctx, View<float, Cpu> dx, In<float, Cpu> dy,
                                      const Parameter<Cpu>& w, Conv2d config) {
  check_conv2d(dy.shape, dx.shape, w.shape(), {}, false, config);
  if (detail::is_linear(config)) {
    if (config.stride == 1) return linear_backward_data(ctx, dx, dy, w);
    const auto seen = make_value<float>(ctx, {dy.shape.n, dy.shape.h, dy.shape.w, dx.shape.c});
    linear_backward_data(ctx, seen.view(), dy, w);
    return detail::spread_pixels(ctx, dx, seen.view(), config.stride);
  }
  const auto by_onednn = [&] {
    auto& conv = onednn::convolution_of(ctx, onednn::Pass::backward_data,
                                        detail::geometry(dy.shape, dx.shape, w.shape(), config));
    const HeldWeights weights = packed_for(ctx, w, conv);
    conv.run(ctx, dx.data, weights.data(), nullptr, dy.data);
  };
  if (config.stride != 1) return by_onednn();
  const Conv2d turned{
      .kernel = config.kernel, .pad = config.kernel - 1 - config.pad, .pad_end = config.kernel - 1 - config.end()};
  const conv::Layer layer{.x = dy.shape,
                          .w = {dx.shape.c, w.shape().h, w.shape().w, dy.shape.c},
                          .pad = turned.pad,
                          .pad_end = turned.pad_end,
                          .alone = true};
  conv::plan_of(ctx).run(layer, [&](conv::Algorithm a) {
    if (a == conv::Algorithm::onednn || a == conv::Algorithm::bfloat16) return by_onednn();
    const HeldWeights panels = packed_panels(ctx, w, /*turned=*/true);
    conv::TiledConv(dy.shape, dx.shape, turned, a).run(ctx, {.x = dy}, panels.data(), {.y = dx});
  });
}

template <>
D3AD_INLINE void conv2d_backward_weights(Context<Cpu>& ctx, View<float, Cpu> dw, View<float, Cpu> db, In<float, Cpu> x,
                                         In<float, Cpu> dy, Conv2d config) {
  check_conv2d(dy.shape, x.shape, dw.shape, db.shape, db.data != nullptr, config);
  if (detail::is_linear(config)) {
    const auto seen = detail::seen_pixels(ctx, x, dy.shape, config.stride);
    return linear_backward_weights(ctx, dw, db, seen.view(), dy);
  }
  auto& conv = onednn::convolution_of(ctx, onednn::Pass::backward_weights,
                                      detail::geometry(dy.shape, x.shape, dw.shape, config));
  {
    const auto floats = static_cast<std::int64_t>((conv.format_bytes() + sizeof(float) - 1) / sizeof(float));
    const auto gradient = make_value<float>(ctx, {.c = floats});
    conv.run(ctx, x.data, gradient.view().data, nullptr, dy.data);
    conv.add_unpacked(ctx, gradient.view().data, dw.data);
  }
  if (db.data) detail::add_column_sums(ctx, db, dy);
}

}  // namespace d3ad::ops
