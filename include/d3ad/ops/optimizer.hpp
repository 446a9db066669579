#pragma once
// The step of an optimizer on one tensor:
//
//   adamw (Loshchilov and Hutter, as PyTorch computes it), step = 1, 2, ..., g = gradient * gradient_scale:
//     w -= lr * weight_decay * w
//     m += (1 - beta1) (g - m)        v = beta2 v + (1 - beta2) g^2
//     w -= lr / (1 - beta1^step) * m / (sqrt(v) / sqrt(1 - beta2^step) + eps)
//   ema          average += (1 - decay) (value - average)
//   sum_squares  of all elements, in double, in an order that depends on the size alone
//
// and to all tensors of a network at once, which on a GPU is one launch:
//
//   adamw_all        adamw on each of them, then ema of its average if it has one
//   sum_squares_all  of all elements of all gradients
//
// Tensors are of one shape; no aliasing.

#include <cmath>
#include <cstdint>
#include <vector>

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::ops {

struct AdamW {
  float lr = 1e-4f, beta1 = 0.9f, beta2 = 0.999f, eps = 1e-8f, weight_decay = 0.01f;
};

// One tensor for adamw_all. The memory has to stay as long as that of the operands of any operation.
template <class Device>
struct AdamWTensor {
  View<Weight<Device>, Device> w, m, v;
  View<const Weight<Device>, Device> gradient;
  View<Weight<Device>, Device> average;  // null: none is kept
};

// The numbers of a step, in the form in which they are applied in float.
struct AdamWFactors {
  float gradient_scale, beta1, beta2, keep, size, unbias, eps;

  AdamWFactors(AdamW config, std::int64_t step, float scale)
      : gradient_scale(scale),
        beta1(config.beta1),
        beta2(config.beta2),
        keep(static_cast<float>(1 - double{config.lr} * double{config.weight_decay})),
        size(static_cast<float>(double{config.lr} / (1 - power(config.beta1, step)))),
        unbias(static_cast<float>(1 / std::sqrt(1 - power(config.beta2, step)))),
        eps(config.eps) {}

 private:
  static double power(float beta, std::int64_t step) { return std::pow(double{beta}, static_cast<double>(step)); }
};

inline void check_adamw(Shape w, Shape m, Shape v, Shape gradient, std::int64_t step) {
  D3AD_CHECK(m == w && v == w && gradient == w, "adamw: moments ", m, " and ", v, " and gradient ", gradient,
             " of weights ", w);
  D3AD_CHECK(step >= 1, "adamw: step ", step, ", expected 1 or more");
}
inline void check_ema(Shape average, Shape value) {
  D3AD_CHECK(average == value, "ema: average ", average, " of value ", value);
}

template <class Device>
void adamw(Context<Device>&, View<Weight<Device>, Device> w, View<Weight<Device>, Device> m,
           View<Weight<Device>, Device> v, In<Weight<Device>, Device> gradient, AdamW, std::int64_t step,
           Weight<Device> gradient_scale);
template <class Device>
void ema(Context<Device>&, View<Weight<Device>, Device> average, In<Weight<Device>, Device> value,
         Weight<Device> decay);
template <class Device>
double sum_squares(Context<Device>&, In<Weight<Device>, Device> x);  // waits for the device
// On a GPU a table of the tensors stays on the device. It is made again, which waits for the device, if the tensors are
// others than those of the last call for the same first tensor.
template <class Device>
void adamw_all(Context<Device>&, const std::vector<AdamWTensor<Device>>&, AdamW, std::int64_t step,
               Weight<Device> gradient_scale, Weight<Device> ema_decay);
template <class Device>
double sum_squares_all(Context<Device>&, const std::vector<AdamWTensor<Device>>&);  // waits for the device

}  // namespace d3ad::ops
