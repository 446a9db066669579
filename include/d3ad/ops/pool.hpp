#pragma once
// Pooling over pixels, and its gradients.
//
//   avg_pool2           mean of 2 x 2 pixels                       x [n, 2h, 2w, c] -> out [n, h, w, c]
//   max_pool3           largest of 3 x 3, stride 2, padding 1      out [n, (h-1)/2+1, (w-1)/2+1, c]; the first of equal
//                       ones counts; NaN counts as largest. argmax as out: its place (y w + x) c + channel in x's
//                       image, null: not wanted
//   global_avg_pool     mean of an image's pixels                  out {n, c}
//   adaptive_avg_pool   means of the pixels from floor(i h / oh) to ceil((i+1) h / oh), any output size (as PyTorch's)
//
// Gradients dx are overwritten. No aliasing.

#include <cstdint>

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::ops {

inline void check_avg_pool2(Shape out, Shape x) {
  D3AD_CHECK(x.h % 2 == 0 && x.w % 2 == 0 && x.size() >= 1, "avg_pool2: x ", x,
             ", expected an even height and width; use an image whose size divides further");
  const Shape expected{x.n, x.h / 2, x.w / 2, x.c};
  D3AD_CHECK(out == expected, "avg_pool2: the output (or its gradient) is ", out, ", expected ", expected);
}
inline void check_max_pool3(Shape out, Shape argmax, bool has_argmax, Shape x) {
  const Shape expected{x.n, (x.h - 1) / 2 + 1, (x.w - 1) / 2 + 1, x.c};
  D3AD_CHECK(x.size() >= 1 && x.h * x.w * x.c <= INT32_MAX, "max_pool3: x ", x, " has no pixels or too many");
  D3AD_CHECK(out == expected, "max_pool3: the output (or its gradient) is ", out, ", expected ", expected);
  D3AD_CHECK(!has_argmax || argmax == out, "max_pool3: places ", argmax, ", expected ", out);
}
inline void check_global_avg_pool(Shape out, Shape x) {
  D3AD_CHECK(x.size() >= 1 && (out == Shape{.n = x.n, .c = x.c}), "global_avg_pool: the output (or its gradient) is ",
             out, " for x ", x, ", expected one value for each image and channel");
}
inline void check_adaptive_avg_pool(Shape out, Shape x) {
  D3AD_CHECK(out.n == x.n && out.c == x.c && x.size() >= 1 && out.size() >= 1, "adaptive_avg_pool: out ", out,
             " and x ", x, " differ in more than height and width");
}

template <class Device>
void avg_pool2(Context<Device>&, View<Real<Device>, Device> out, In<Real<Device>, Device> x);
template <class Device>
void avg_pool2_backward(Context<Device>&, View<Real<Device>, Device> dx, In<Real<Device>, Device> dy);
template <class Device>
void max_pool3(Context<Device>&, View<Real<Device>, Device> out, View<std::int32_t, Device> argmax,
               In<Real<Device>, Device> x);
template <class Device>
void max_pool3_backward(Context<Device>&, View<Real<Device>, Device> dx, In<Real<Device>, Device> dy,
                        In<std::int32_t, Device> argmax);
template <class Device>
void global_avg_pool(Context<Device>&, View<Real<Device>, Device> out, In<Real<Device>, Device> x);
template <class Device>
void global_avg_pool_backward(Context<Device>&, View<Real<Device>, Device> dx, In<Real<Device>, Device> dy);
template <class Device>
void adaptive_avg_pool(Context<Device>&, View<Real<Device>, Device> out, In<Real<Device>, Device> x);

}  // namespace d3ad::ops
