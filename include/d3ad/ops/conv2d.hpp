#pragma once
// conv2d: cross-correlation with zero padding (what every framework calls convolution), and its gradients.
//
//   x    [n, h, w, in]        w  {n = out, h = k, w = k, c = in}        bias {c = out}, null: none
//   out  [n, oh, ow, out],    oh = (h + pad + pad_end - k) / stride + 1, rounded down; ow likewise
//   out(y, x)[o] = bias[o] + sum over i, j, c of x(y * stride - pad + i, x * stride - pad + j)[c] * w(o, i, j, c)
//
//   dx = gradient of x, overwritten      dw += gradient of w      db += gradient of bias, null: not wanted
//
// `pad` is above and left, `pad_end` below and right (-1: as `pad`); a VAE's downsampling is
// {.kernel = 3, .stride = 2, .pad = 0, .pad_end = 1}. No aliasing. float, accumulated in float. The forward pass gives
// the same bits with any number of threads. The gradients' sums are shared among threads: the same number of threads
// gives the same bits.

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/parameter.hpp"
#include "d3ad/core/required.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::ops {

struct Conv2d {
  Required<int> kernel;
  int stride = 1;
  int pad = 0;
  int pad_end = -1;

  constexpr int end() const { return pad_end < 0 ? pad : pad_end; }
};

// The output's shape; throws if x, w and config do not fit.
inline Shape conv2d_shape(Shape x, Shape w, Conv2d config) {
  const int k = config.kernel;
  D3AD_CHECK(k >= 1 && config.stride >= 1, "conv2d: kernel ", k, " and stride ", config.stride, " have to be positive");
  D3AD_CHECK(config.pad >= 0 && config.pad < k && config.pad_end >= -1 && config.end() < k, "conv2d: padding ",
             config.pad, " and ", config.pad_end, " do not fit kernel ", k, ", expected 0 to ", k - 1);
  D3AD_CHECK(w.h == k && w.w == k && w.n >= 1, "conv2d: weight ", w, " is not of kernel ", k);
  D3AD_CHECK(x.c == w.c && x.c >= 1, "conv2d: x has ", x.c, " channels, weight expects ", w.c);
  const std::int64_t h = x.h + config.pad + config.end() - k, width = x.w + config.pad + config.end() - k;
  D3AD_CHECK(x.n >= 1 && x.h >= 1 && x.w >= 1 && h >= 0 && width >= 0, "conv2d: x ", x, " is smaller than kernel ", k,
             "; use a larger image");
  return {.n = x.n, .h = h / config.stride + 1, .w = width / config.stride + 1, .c = w.n};
}

inline void check_conv2d(Shape out, Shape x, Shape w, Shape bias, bool has_bias, Conv2d config) {
  const Shape expected = conv2d_shape(x, w, config);
  D3AD_CHECK(out == expected, "conv2d: the output (or its gradient) is ", out, ", expected ", expected, " for x ", x,
             " and weight ", w);
  D3AD_CHECK(!has_bias || bias.size() == w.n, "conv2d: bias ", bias, ", expected ", w.n, " values for weight ", w);
}

template <class Device>
void conv2d(Context<Device>&, View<Real<Device>, Device> out, In<Real<Device>, Device> x, const Parameter<Device>& w,
            In<Weight<Device>, Device> bias, Conv2d);
template <class Device>
void conv2d_backward_data(Context<Device>&, View<Real<Device>, Device> dx, In<Real<Device>, Device> dy,
                          const Parameter<Device>& w, Conv2d);
template <class Device>
void conv2d_backward_weights(Context<Device>&, View<Weight<Device>, Device> dw, View<Weight<Device>, Device> db,
                             In<Real<Device>, Device> x, In<Real<Device>, Device> dy, Conv2d);

}  // namespace d3ad::ops
