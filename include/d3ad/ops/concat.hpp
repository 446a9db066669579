#pragma once
// concat: the channels of a, then those of b; split: the inverse, which is also its gradient.
//
//   a [n, h, w, c1], b [n, h, w, c2]  <->  [n, h, w, c1 + c2]        split: a or b null: not wanted; no aliasing

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::ops {

inline void check_concat(Shape out, Shape a, Shape b) {
  const Shape expected{a.n, a.h, a.w, a.c + b.c};
  D3AD_CHECK(a.n == b.n && a.h == b.h && a.w == b.w, "concat: ", a, " and ", b, " differ in more than channels");
  D3AD_CHECK(out == expected, "concat: the output is ", out, ", expected ", expected);
}
inline void check_split(Shape a, bool has_a, Shape b, bool has_b, Shape x) {
  const auto fits = [&](Shape part) { return part.n == x.n && part.h == x.h && part.w == x.w && part.c <= x.c; };
  D3AD_CHECK((!has_a || fits(a)) && (!has_b || fits(b)) && (!has_a || !has_b || a.c + b.c == x.c), "split: ", a,
             " and ", b, " are not the parts of x ", x);
}

template <class Device>
void concat(Context<Device>&, View<Real<Device>, Device> out, In<Real<Device>, Device> a, In<Real<Device>, Device> b);
template <class Device>
void split(Context<Device>&, View<Real<Device>, Device> a, View<Real<Device>, Device> b, In<Real<Device>, Device> x);

}  // namespace d3ad::ops
