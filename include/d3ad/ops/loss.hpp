#pragma once
// Losses: one number from whole tensors, and their gradients.
//
//   mse            mean over all elements of (x - t)^2
//   l1             mean over all elements of |x - t|; its derivative at 0 is 0
//   cosine_loss    mean over images of 1 - <x, y> / (max(|x|, 1e-8) max(|y|, 1e-8)), an image's elements as one vector
//   kl             mean over images of the sum of (m^2 + e^v - 1 - v) / 2, for mean m and log-variance v
//   cross_entropy  mean over rows of -log softmax(x)[label]        x [n, h, w, c], labels: one for each row, 0 ... c-1
//
// `loss` and `d` hold one number each, on the device. Gradients are those of d * loss, overwritten; null: not wanted. No
// aliasing. Sums run in double, in an order that depends on the shapes alone.

#include <cstdint>

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::ops {

inline void check_loss(const char* op, Shape loss, Shape x, Shape y) {
  D3AD_CHECK(loss.size() == 1, op, ": the loss is ", loss, ", expected one number");
  D3AD_CHECK(x == y && x.size() >= 1, op, ": ", x, " and ", y, ", expected one shape that is not empty");
}
inline void check_loss_gradient(const char* op, Shape d) {
  D3AD_CHECK(d.size() == 1, op, ": the loss's gradient is ", d, ", expected one number");
}
inline void check_cross_entropy(Shape loss, Shape x, Shape labels) {
  D3AD_CHECK(loss.size() == 1, "cross_entropy: the loss is ", loss, ", expected one number");
  D3AD_CHECK(x.size() >= 1 && labels.size() == x.rows(), "cross_entropy: ", labels, " labels for ", x,
             ", expected one for each row");
}
inline void check_label(std::int32_t label, std::int64_t classes) {
  D3AD_CHECK(label >= 0 && label < classes, "cross_entropy: label ", label, ", expected 0 to ", classes - 1);
}

template <class Device>
void mse(Context<Device>&, View<Real<Device>, Device> loss, In<Real<Device>, Device> x, In<Real<Device>, Device> t);
template <class Device>
void mse_backward(Context<Device>&, View<Real<Device>, Device> dx, In<Real<Device>, Device> x,
                  In<Real<Device>, Device> t, In<Weight<Device>, Device> d);
template <class Device>
void l1(Context<Device>&, View<Real<Device>, Device> loss, In<Real<Device>, Device> x, In<Real<Device>, Device> t);
template <class Device>
void l1_backward(Context<Device>&, View<Real<Device>, Device> dx, In<Real<Device>, Device> x,
                 In<Real<Device>, Device> t, In<Weight<Device>, Device> d);
template <class Device>
void cosine_loss(Context<Device>&, View<Real<Device>, Device> loss, In<Real<Device>, Device> x,
                 In<Real<Device>, Device> y);
template <class Device>
void cosine_loss_backward(Context<Device>&, View<Real<Device>, Device> dx, View<Real<Device>, Device> dy,
                          In<Real<Device>, Device> x, In<Real<Device>, Device> y, In<Weight<Device>, Device> d);
template <class Device>
void kl(Context<Device>&, View<Real<Device>, Device> loss, In<Real<Device>, Device> mean,
        In<Real<Device>, Device> logvar);
template <class Device>
void kl_backward(Context<Device>&, View<Real<Device>, Device> dmean, View<Real<Device>, Device> dlogvar,
                 In<Real<Device>, Device> mean, In<Real<Device>, Device> logvar, In<Weight<Device>, Device> d);
template <class Device>
void cross_entropy(Context<Device>&, View<Real<Device>, Device> loss, In<Real<Device>, Device> x,
                   In<std::int32_t, Device> labels);
template <class Device>
void cross_entropy_backward(Context<Device>&, View<Real<Device>, Device> dx, In<Real<Device>, Device> x,
                            In<std::int32_t, Device> labels, In<Weight<Device>, Device> d);

// A label outside the classes cannot be an Error before the device has run: the loss is NaN then.

}  // namespace d3ad::ops
