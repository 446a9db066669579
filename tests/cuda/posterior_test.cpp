// posterior on a GPU in each activation type: against the reference device, with packs and without, in place, without
// noise, and beyond the log-variance's limits.

#include <doctest/doctest.h>

#include <cmath>

#include "support/cuda_types.hpp"

namespace cuda_posterior_test {

using namespace d3ad;

TEST_CASE_TEMPLATE("CUDA: draws and their gradients are those of the reference device", T, float, half, bfloat16) {
  for (const Shape z : {Shape{2, 5, 7, 3}, {1, 1, 1, 1}, {3, 12, 12, 8}, {2, 9, 31, 4}}) {
    Shape moments = z;
    moments.c *= 2;
    const auto draw = [](auto& ctx, auto out, auto in) { ops::posterior(ctx, out, in[0], in[1]); };
    const auto mean = [](auto& ctx, auto out, auto in) { ops::posterior(ctx, out, in[0], {}); };
    const auto backward = [](auto& ctx, auto out, auto in) { ops::posterior_backward(ctx, out, in[1], in[0], in[2]); };
    const auto of_mean = [](auto& ctx, auto out, auto in) { ops::posterior_backward(ctx, out, in[1], in[0], {}); };
    test::same_in_type<T>({moments, z}, z, 1e-6, draw, {.scale = 3});
    test::same_in_type<T>({moments, z}, z, 1e-6, draw, {.alias = 1, .scale = 3});
    test::same_in_type<T>({moments}, z, 0, mean);
    test::same_in_type<T>({moments, z, z}, moments, 1e-6, backward, {.scale = 3});
    test::same_in_type<T>({moments, z}, moments, 0, of_mean);
  }
}

TEST_CASE("CUDA: the log-variance of a draw is clamped, and moves nothing there") {
  if (!test::cuda_present()) return;
  Context<Cuda> ctx;
  const float values[8]{0, 0, 0, 0, -31, 21, -30, 20}, ones[4]{1, 1, 1, 1};
  Tensor<float, Cuda> moments({.c = 8}), dmoments({.c = 8}), noise({.c = 4}), z({.c = 4});
  copy_from_host(moments.view(), values);
  copy_from_host(noise.view(), ones);
  ops::posterior(ctx, z.view(), moments.view(), noise.view());
  ops::posterior_backward(ctx, dmoments.view(), noise.view(), moments.view(), noise.view());
  const auto draw = test::from_cuda<float>(z.view()), slope = test::from_cuda<float>(dmoments.view());
  const double low = std::exp(-15.0), high = std::exp(10.0), want[4]{0, 0, low / 2, high / 2};
  for (int i = 0; i < 4; ++i) {
    CHECK(std::abs(draw.data()[i] / (i % 2 ? high : low) - 1) < 1e-6);
    CHECK(slope.data()[i] == 1.0f);
    CHECK(std::abs(slope.data()[4 + i] - want[i]) <= 1e-6 * want[i]);
  }
}

TEST_CASE("CUDA: posterior refuses shapes that do not fit") {
  if (!test::cuda_present()) return;
  Context<Cuda> ctx;
  Tensor<float, Cuda> z({1, 2, 2, 4}), moments({1, 2, 2, 8}), other({1, 2, 3, 4});
  using doctest::Contains;
  CHECK_THROWS_WITH_AS(ops::posterior(ctx, z.view(), z.view(), {}), Contains("expected twice its channels"), Error);
  CHECK_THROWS_WITH_AS(ops::posterior(ctx, z.view(), moments.view(), other.view()), Contains("posterior: noise"),
                       Error);
  CHECK_THROWS_WITH_AS(ops::posterior_backward(ctx, z.view(), z.view(), moments.view(), {}),
                       Contains("posterior: gradient"), Error);
}

}  // namespace cuda_posterior_test
