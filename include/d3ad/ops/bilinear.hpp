#pragma once
// bilinear_align_corners: resizes each image so that the corner pixels' centres stay where they are.
//
//   p(i) = i (h_in - 1) / (h_out - 1)            0 if h_out is 1; likewise along w
//   out[i, j] = weighted mean of the four pixels of x around (p(i), p(j))
//
//   x [n, h_in, w_in, c]  ->  out [n, h_out, w_out, c]        any sizes; out must not be x

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::ops {

template <class Device>
void bilinear_align_corners(Context<Device>&, View<Weight<Device>, Device> out, In<Weight<Device>, Device> x);

inline void check_bilinear(Shape out, Shape x) {
  D3AD_CHECK(out.n == x.n && out.c == x.c, "bilinear_align_corners: out ", out, " and x ", x,
             " differ in more than height and width");
  D3AD_CHECK(x.h > 0 && x.w > 0, "bilinear_align_corners: x ", x, " has no pixels to interpolate between");
}

}  // namespace d3ad::ops
