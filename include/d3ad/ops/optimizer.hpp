#pragma once
// What an optimizer does to one tensor.
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
//   adamw_all        adamw on each of them, then ema of its average where it has one
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

void adamw(Context<Cpu>&, View<float, Cpu> w, View<float, Cpu> m, View<float, Cpu> v, In<float, Cpu> gradient, AdamW,
           std::int64_t step, float gradient_scale);
void ema(Context<Cpu>&, View<float, Cpu> average, In<float, Cpu> value, float decay);
double sum_squares(Context<Cpu>&, In<float, Cpu> x);
void adamw_all(Context<Cpu>&, const std::vector<AdamWTensor<Cpu>>&, AdamW, std::int64_t step, float gradient_scale,
               float ema_decay);
double sum_squares_all(Context<Cpu>&, const std::vector<AdamWTensor<Cpu>>&);

template <class T>
void adamw(Context<CudaOf<T>>&, View<float, CudaOf<T>> w, View<float, CudaOf<T>> m, View<float, CudaOf<T>> v,
           In<float, CudaOf<T>> gradient, AdamW, std::int64_t step, float gradient_scale);
template <class T>
void ema(Context<CudaOf<T>>&, View<float, CudaOf<T>> average, In<float, CudaOf<T>> value, float decay);
template <class T>
double sum_squares(Context<CudaOf<T>>&, In<float, CudaOf<T>> x);  // waits for the device
// A table of the tensors stays on the device. It is made again, which waits for the device, where they are others than
// those of the last call for the same first tensor.
template <class T>
void adamw_all(Context<CudaOf<T>>&, const std::vector<AdamWTensor<CudaOf<T>>>&, AdamW, std::int64_t step,
               float gradient_scale, float ema_decay);
template <class T>
double sum_squares_all(Context<CudaOf<T>>&, const std::vector<AdamWTensor<CudaOf<T>>>&);  // waits for the device

}  // namespace d3ad::ops
