#pragma once
// group_norm: normalisation over groups of neighbouring channels of one image, with a scale and shift per channel and
// optionally SiLU; and its gradient.
//
//   x, out [n, h, w, c]     scale, shift {c}     groups divides c
//   mean, var: of an image's h * w pixels and c / groups channels (var without Bessel's correction)
//   y = (x - mean) / sqrt(var + eps) * scale + shift        out = y, or y * sigmoid(y) with silu
//
//   stats {n, c = 2 * groups}: of each image the means, then 1 / sqrt(var + eps); null: not wanted
//   dx = gradient of x, overwritten      dscale, dshift += gradients, null: not wanted
//
// out may be x, dx may be dy. Statistics are made in float over blocks of pixels and joined in double; blocks depend on
// the shape alone, so any number of threads gives the same bits.

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/required.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::ops {

struct GroupNorm {
  Required<int> groups;
  Required<float> eps;
  bool silu = false;
};

inline void check_group_norm(Shape out, Shape stats, bool has_stats, Shape x, Shape scale, Shape shift,
                             GroupNorm config) {
  const int groups = config.groups;
  D3AD_CHECK(groups >= 1 && x.size() >= 1 && x.c % groups == 0, "group_norm: x ", x, " in ", groups,
             " groups, expected channels that are a multiple of the groups");
  D3AD_CHECK(out == x, "group_norm: the output (or its gradient) is ", out, ", expected ", x);
  D3AD_CHECK(scale.size() == x.c && shift.size() == x.c, "group_norm: scale ", scale, " and shift ", shift,
             ", expected ", x.c, " values each");
  const Shape expected{.n = x.n, .c = 2 * groups};
  D3AD_CHECK(!has_stats || stats == expected, "group_norm: statistics ", stats, ", expected ", expected);
}

template <class Device>
void group_norm(Context<Device>&, View<Real<Device>, Device> out, View<Weight<Device>, Device> stats,
                In<Real<Device>, Device> x, In<Weight<Device>, Device> scale, In<Weight<Device>, Device> shift,
                GroupNorm);
template <class Device>
void group_norm_backward(Context<Device>&, View<Real<Device>, Device> dx, View<Weight<Device>, Device> dscale,
                         View<Weight<Device>, Device> dshift, In<Real<Device>, Device> dy, In<Real<Device>, Device> x,
                         In<Weight<Device>, Device> stats, In<Weight<Device>, Device> scale,
                         In<Weight<Device>, Device> shift, GroupNorm);

}  // namespace d3ad::ops
