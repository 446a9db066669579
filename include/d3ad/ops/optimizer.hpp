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
// Tensors are of one shape; no aliasing.

#include <cstdint>

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::ops {

struct AdamW {
  float lr = 1e-4f, beta1 = 0.9f, beta2 = 0.999f, eps = 1e-8f, weight_decay = 0.01f;
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

template <class T>
void adamw(Context<CudaOf<T>>&, View<float, CudaOf<T>> w, View<float, CudaOf<T>> m, View<float, CudaOf<T>> v,
           In<float, CudaOf<T>> gradient, AdamW, std::int64_t step, float gradient_scale);
template <class T>
void ema(Context<CudaOf<T>>&, View<float, CudaOf<T>> average, In<float, CudaOf<T>> value, float decay);
template <class T>
double sum_squares(Context<CudaOf<T>>&, In<float, CudaOf<T>> x);  // waits for the device

}  // namespace d3ad::ops
