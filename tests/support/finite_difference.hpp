#pragma once
// Gradients by finite differences, to hold backward operations against.
//
//   const auto want = test::finite_difference(x, [&] { return loss(); });      // d loss / d x, one element at a time
//   CHECK_MESSAGE(test::compare(dx.view(), want.view(), test::kGradient).close, ...);
//
// The loss is evaluated in float by the code under test, so it is made of few elements of order 1 and summed in double.
// A central difference with step h errs by h^2 times the third derivative and by rounding / h; at h = 1e-2 both are
// near 1e-4, which is why kGradient is 2e-3: wrong terms are off by far more.

#include <cstdint>

#include "d3ad/backend/cpu/memory.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::test {

inline constexpr double kGradient = 2e-3;

template <class Loss>
Tensor<float, Cpu> finite_difference(View<float, Cpu> x, Loss&& loss, float step = 1e-2f) {
  Tensor<float, Cpu> out(x.shape);
  for (std::int64_t i = 0; i < x.size(); ++i) {
    const float kept = x.data[i], above = kept + step, below = kept - step;
    x.data[i] = above;
    const double up = loss();
    x.data[i] = below;
    const double down = loss();
    x.data[i] = kept;
    out.data()[i] = static_cast<float>((up - down) / (double{above} - double{below}));
  }
  return out;
}

// sum of weights * y: the loss whose gradient of y is `weights`.
inline double weighted_sum(View<const float, Cpu> y, View<const float, Cpu> weights) {
  double sum = 0;
  for (std::int64_t i = 0; i < y.size(); ++i) sum += double{y.data[i]} * double{weights.data[i]};
  return sum;
}

}  // namespace d3ad::test
