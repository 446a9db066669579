// activation on a GPU in each activation type: against the reference device on the same rounded numbers, with packs and
// without, in place, and what becomes of NaN and infinity.

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "support/cuda_types.hpp"

namespace cuda_activation_test {

using namespace d3ad;

TEST_CASE_TEMPLATE("CUDA: activations are those of the reference device", T, float, half, bfloat16) {
  for (const auto kind : {ops::Activation::silu, ops::Activation::relu, ops::Activation::tanh})
    for (const Shape s : {Shape{2, 5, 7, 3}, {3, 16, 16, 32}, {1, 90, 70, 5}})
      for (const int alias : {-1, 0, 1}) {
        const auto forward = [&](auto& ctx, auto out, auto in) { ops::activate(ctx, out, in[0], kind); };
        const auto backward = [&](auto& ctx, auto out, auto in) {
          ops::activate_backward(ctx, out, in[0], in[1], kind);
        };
        if (alias < 1) test::same_in_type<T>({s}, s, 1e-6, forward, {.alias = alias, .scale = 8});
        test::same_in_type<T>({s, s}, s, 1e-6, backward, {.alias = alias, .scale = 8});
      }
}

TEST_CASE_TEMPLATE("CUDA: activations keep NaN and know infinity", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  Context<CudaOf<T>> ctx;
  Tensor<float, Cpu> x({.c = 19});
  for (int i = 0; i < 19; ++i) x.data()[i] = i % 4 == 0 ? kNaN : i % 4 == 1 ? -kNaN : i % 4 == 2 ? INFINITY : -INFINITY;
  const auto on_gpu = test::to_cuda<T>(x.view());
  Tensor<T, CudaOf<T>> out(x.shape());
  for (const auto kind : {ops::Activation::silu, ops::Activation::relu, ops::Activation::tanh}) {
    ops::activate(ctx, out.view(), on_gpu.view(), kind);
    const auto got = test::from_cuda<T>(out.view());
    for (int i = 0; i < 19; ++i) {
      if (i % 4 < 2) CHECK(std::isnan(got.data()[i]));
      if (i % 4 == 2) CHECK(got.data()[i] == (kind == ops::Activation::tanh ? 1.0f : INFINITY));
      if (i % 4 == 3 && kind != ops::Activation::silu)
        CHECK(got.data()[i] == (kind == ops::Activation::tanh ? -1.0f : 0.0f));
    }
  }
}

TEST_CASE("CUDA: SiLU and its slope stay exact far out, where e^-x overflows") {
  if (!test::cuda_present()) return;
  Context<Cuda> ctx;
  Tensor<float, Cpu> x({.c = 6}), one({.c = 6});
  const float places[6]{-1000, -87, -40, 40, 87, 1000};
  std::copy_n(places, 6, x.data());
  std::fill_n(one.data(), 6, 1.0f);
  const auto on_gpu = test::to_cuda<float>(x.view()), dy = test::to_cuda<float>(one.view());
  Tensor<float, Cuda> y(x.shape()), dx(x.shape());
  ops::activate(ctx, y.view(), on_gpu.view(), ops::Activation::silu);
  ops::activate_backward(ctx, dx.view(), dy.view(), on_gpu.view(), ops::Activation::silu);
  const auto value = test::from_cuda<float>(y.view()), slope = test::from_cuda<float>(dx.view());
  for (int i = 0; i < 6; ++i) {
    const double v = places[i], s = 1 / (1 + std::exp(-v)), y_want = v * s, dx_want = s * (1 + v * (1 - s));
    CHECK(std::abs(value.data()[i] - y_want) <= 1e-6 * std::abs(y_want));
    CHECK(std::abs(slope.data()[i] - dx_want) <= 1e-6 * std::abs(dx_want));
  }
}

TEST_CASE("CUDA: activations refuse shapes that do not fit") {
  if (!test::cuda_present()) return;
  Context<Cuda> ctx;
  Tensor<float, Cuda> a({.c = 3}), b({.c = 4});
  using doctest::Contains;
  CHECK_THROWS_WITH_AS(ops::activate(ctx, b.view(), a.view(), ops::Activation::relu), Contains("activate: the output"),
                       Error);
  CHECK_THROWS_WITH_AS(ops::activate_backward(ctx, a.view(), b.view(), a.view(), ops::Activation::relu),
                       Contains("activate: the output"), Error);
}

}  // namespace cuda_activation_test
