#pragma once
// Losses: one number from whole tensors, and their gradients.
//
//   mse            mean over all elements of (x - t)^2
//   l1             mean over all elements of |x - t|; its derivative at 0 is 0
//   cosine_loss    mean over images of 1 - <x, y> / (max(|x|, 1e-8) max(|y|, 1e-8)), an image's elements as one vector
//   kl             mean over images of the sum of (m^2 + e^v - 1 - v) / 2, for mean m and log-variance v
//   cross_entropy  mean over rows of -log softmax(x)[label]        x [n, h, w, c], labels: one for each row, 0 ... c-1
//
// `loss` holds one number. Gradients are those of d * loss, overwritten; null: not wanted. No aliasing. Sums run in
// double, in an order that depends on the shapes alone.

#include <cstdint>

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::ops {

inline void check_loss(const char* op, Shape loss, Shape x, Shape y) {
  D3AD_CHECK(loss.size() == 1, op, ": the loss is ", loss, ", expected one number");
  D3AD_CHECK(x == y && x.size() >= 1, op, ": ", x, " and ", y, ", expected one shape that is not empty");
}
inline void check_cross_entropy(Shape loss, Shape x, Shape labels) {
  D3AD_CHECK(loss.size() == 1, "cross_entropy: the loss is ", loss, ", expected one number");
  D3AD_CHECK(x.size() >= 1 && labels.size() == x.rows(), "cross_entropy: ", labels, " labels for ", x,
             ", expected one for each row");
}
inline void check_label(std::int32_t label, std::int64_t classes) {
  D3AD_CHECK(label >= 0 && label < classes, "cross_entropy: label ", label, ", expected 0 to ", classes - 1);
}

void mse(Context<Cpu>&, View<float, Cpu> loss, In<float, Cpu> x, In<float, Cpu> t);
void mse_backward(Context<Cpu>&, View<float, Cpu> dx, In<float, Cpu> x, In<float, Cpu> t, float d);
void l1(Context<Cpu>&, View<float, Cpu> loss, In<float, Cpu> x, In<float, Cpu> t);
void l1_backward(Context<Cpu>&, View<float, Cpu> dx, In<float, Cpu> x, In<float, Cpu> t, float d);
void cosine_loss(Context<Cpu>&, View<float, Cpu> loss, In<float, Cpu> x, In<float, Cpu> y);
void cosine_loss_backward(Context<Cpu>&, View<float, Cpu> dx, View<float, Cpu> dy, In<float, Cpu> x, In<float, Cpu> y,
                          float d);
void kl(Context<Cpu>&, View<float, Cpu> loss, In<float, Cpu> mean, In<float, Cpu> logvar);
void kl_backward(Context<Cpu>&, View<float, Cpu> dmean, View<float, Cpu> dlogvar, In<float, Cpu> mean,
                 In<float, Cpu> logvar, float d);
void cross_entropy(Context<Cpu>&, View<float, Cpu> loss, In<float, Cpu> x, In<std::int32_t, Cpu> labels);
void cross_entropy_backward(Context<Cpu>&, View<float, Cpu> dx, In<float, Cpu> x, In<std::int32_t, Cpu> labels,
                            float d);

template <class T>
void mse(Context<CudaOf<T>>&, View<T, CudaOf<T>> loss, In<T, CudaOf<T>> x, In<T, CudaOf<T>> t);
template <class T>
void mse_backward(Context<CudaOf<T>>&, View<T, CudaOf<T>> dx, In<T, CudaOf<T>> x, In<T, CudaOf<T>> t, float d);
template <class T>
void l1(Context<CudaOf<T>>&, View<T, CudaOf<T>> loss, In<T, CudaOf<T>> x, In<T, CudaOf<T>> t);
template <class T>
void l1_backward(Context<CudaOf<T>>&, View<T, CudaOf<T>> dx, In<T, CudaOf<T>> x, In<T, CudaOf<T>> t, float d);
template <class T>
void cosine_loss(Context<CudaOf<T>>&, View<T, CudaOf<T>> loss, In<T, CudaOf<T>> x, In<T, CudaOf<T>> y);
template <class T>
void cosine_loss_backward(Context<CudaOf<T>>&, View<T, CudaOf<T>> dx, View<T, CudaOf<T>> dy, In<T, CudaOf<T>> x,
                          In<T, CudaOf<T>> y, float d);
template <class T>
void kl(Context<CudaOf<T>>&, View<T, CudaOf<T>> loss, In<T, CudaOf<T>> mean, In<T, CudaOf<T>> logvar);
template <class T>
void kl_backward(Context<CudaOf<T>>&, View<T, CudaOf<T>> dmean, View<T, CudaOf<T>> dlogvar, In<T, CudaOf<T>> mean,
                 In<T, CudaOf<T>> logvar, float d);
// A label outside the classes cannot be an Error before the device has run: the loss is NaN then.
template <class T>
void cross_entropy(Context<CudaOf<T>>&, View<T, CudaOf<T>> loss, In<T, CudaOf<T>> x,
                   In<std::int32_t, CudaOf<T>> labels);
template <class T>
void cross_entropy_backward(Context<CudaOf<T>>&, View<T, CudaOf<T>> dx, In<T, CudaOf<T>> x,
                            In<std::int32_t, CudaOf<T>> labels, float d);

}  // namespace d3ad::ops
