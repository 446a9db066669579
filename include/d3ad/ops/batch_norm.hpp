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

void batch_norm_eval(Context<Cpu>&, View<float, Cpu> out, In<float, Cpu> x, In<float, Cpu> scale, In<float, Cpu> shift,
                     In<float, Cpu> mean, In<float, Cpu> var, BatchNorm);
void batch_norm_train(Context<Cpu>&, View<float, Cpu> out, View<float, Cpu> stats, View<float, Cpu> running_mean,
                      View<float, Cpu> running_var, In<float, Cpu> x, In<float, Cpu> scale, In<float, Cpu> shift,
                      BatchNorm);
void batch_norm_train_backward(Context<Cpu>&, View<float, Cpu> dx, View<float, Cpu> dscale, View<float, Cpu> dshift,
                               In<float, Cpu> dy, In<float, Cpu> x, In<float, Cpu> stats, In<float, Cpu> scale,
                               In<float, Cpu> shift, BatchNorm);
void batch_norm_eval_backward(Context<Cpu>&, View<float, Cpu> dx, View<float, Cpu> dscale, View<float, Cpu> dshift,
                              In<float, Cpu> dy, In<float, Cpu> x, In<float, Cpu> scale, In<float, Cpu> shift,
                              In<float, Cpu> mean, In<float, Cpu> var, BatchNorm);

template <class T>
void batch_norm_eval(Context<CudaOf<T>>&, View<T, CudaOf<T>> out, In<T, CudaOf<T>> x, In<float, CudaOf<T>> scale,
                     In<float, CudaOf<T>> shift, In<float, CudaOf<T>> mean, In<float, CudaOf<T>> var, BatchNorm);
template <class T>
void batch_norm_train(Context<CudaOf<T>>&, View<T, CudaOf<T>> out, View<float, CudaOf<T>> stats,
                      View<float, CudaOf<T>> running_mean, View<float, CudaOf<T>> running_var, In<T, CudaOf<T>> x,
                      In<float, CudaOf<T>> scale, In<float, CudaOf<T>> shift, BatchNorm);
template <class T>
void batch_norm_train_backward(Context<CudaOf<T>>&, View<T, CudaOf<T>> dx, View<float, CudaOf<T>> dscale,
                               View<float, CudaOf<T>> dshift, In<T, CudaOf<T>> dy, In<T, CudaOf<T>> x,
                               In<float, CudaOf<T>> stats, In<float, CudaOf<T>> scale, In<float, CudaOf<T>> shift,
                               BatchNorm);
template <class T>
void batch_norm_eval_backward(Context<CudaOf<T>>&, View<T, CudaOf<T>> dx, View<float, CudaOf<T>> dscale,
                              View<float, CudaOf<T>> dshift, In<T, CudaOf<T>> dy, In<T, CudaOf<T>> x,
                              In<float, CudaOf<T>> scale, In<float, CudaOf<T>> shift, In<float, CudaOf<T>> mean,
                              In<float, CudaOf<T>> var, BatchNorm);

}  // namespace d3ad::ops
