#pragma once
// batch_norm: normalisation of each channel over all images and pixels, with a scale and shift and optionally ReLU; and
// its gradients.
//
//   x, out [n, h, w, c]     scale, shift, mean, var {c}     rows = n * h * w
//   train   mean, var of the batch (var without Bessel's correction); stats {n = 2, c}: mean, 1 / sqrt(var + eps)
//           running_mean += momentum * (mean - running_mean); running_var likewise, with Bessel's correction
//   eval    mean, var as given
//   y = (x - mean) / sqrt(var + eps) * scale + shift        out = y, or max(y, 0) with relu
//
//   dx = gradient of x, overwritten      dscale, dshift += gradients, null: not wanted
//
// out may be x, dx may be dy. Sums are made in float over blocks of rows and joined in double; blocks depend on the
// shape alone, so any number of threads gives the same bits.

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/required.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::ops {

struct BatchNorm {
  Required<float> eps;
  float momentum = 0.1f;
  bool relu = false;
};

// a, b: scale and shift, mean and variance ...: two tensors of one value a channel
inline void check_batch_norm(const char* what, Shape out, Shape x, Shape a, Shape b) {
  D3AD_CHECK(x.size() >= 1 && out == x, "batch_norm: the output (or its gradient) is ", out, ", x is ", x,
             ", expected one shape that is not empty");
  D3AD_CHECK(a.size() == x.c && b.size() == x.c, "batch_norm: ", what, " are ", a, " and ", b, ", expected ", x.c,
             " values each");
}
inline void check_batch_norm_stats(Shape stats, Shape x) {
  const Shape expected{.n = 2, .c = x.c};
  D3AD_CHECK(stats == expected, "batch_norm: statistics ", stats, ", expected ", expected);
}

template <class Device>
void batch_norm_eval(Context<Device>&, View<Real<Device>, Device> out, In<Real<Device>, Device> x,
                     In<Weight<Device>, Device> scale, In<Weight<Device>, Device> shift,
                     In<Weight<Device>, Device> mean, In<Weight<Device>, Device> var, BatchNorm);
template <class Device>
void batch_norm_train(Context<Device>&, View<Real<Device>, Device> out, View<Weight<Device>, Device> stats,
                      View<Weight<Device>, Device> running_mean, View<Weight<Device>, Device> running_var,
                      In<Real<Device>, Device> x, In<Weight<Device>, Device> scale, In<Weight<Device>, Device> shift,
                      BatchNorm);
template <class Device>
void batch_norm_train_backward(Context<Device>&, View<Real<Device>, Device> dx, View<Weight<Device>, Device> dscale,
                               View<Weight<Device>, Device> dshift, In<Real<Device>, Device> dy,
                               In<Real<Device>, Device> x, In<Weight<Device>, Device> stats,
                               In<Weight<Device>, Device> scale, In<Weight<Device>, Device> shift, BatchNorm);
template <class Device>
void batch_norm_eval_backward(Context<Device>&, View<Real<Device>, Device> dx, View<Weight<Device>, Device> dscale,
                              View<Weight<Device>, Device> dshift, In<Real<Device>, Device> dy,
                              In<Real<Device>, Device> x, In<Weight<Device>, Device> scale,
                              In<Weight<Device>, Device> shift, In<Weight<Device>, Device> mean,
                              In<Weight<Device>, Device> var, BatchNorm);

}  // namespace d3ad::ops
