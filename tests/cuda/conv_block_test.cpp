// conv_block on a GPU in each activation type, against the reference device, on the cases of
// support/conv_block_cases.hpp; moments that are handed on; what it refuses.

#include "d3ad/backend/cuda/conv_block.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support/conv_block_cases.hpp"
#include "support/cuda_types.hpp"

namespace cuda_conv_block_test {

using namespace d3ad;

namespace {

template <class T>
struct Type {
  using type = T;
};
template <class F>
void for_each_type(F f) {
  f(Type<float>()), f(Type<half>()), f(Type<bfloat16>());
}

}  // namespace

TEST_CASE("conv_block is that of the reference device, in each type") {
  for_each_type([](auto type) {
    using T = typename decltype(type)::type;
    for (const auto& c : test::kConvBlockCases) {
      CAPTURE(c.x);
      CAPTURE(c.w);
      // What is normalised, and what the convolution gives, is rounded to T on its way.
      test::same_in_type<T>(c.inputs(), c.y(), 1e-5 + 2 * test::kRounding<T>, [&](auto& ctx, auto y, auto inputs) {
        test::ConvBlockOperands<test::DeviceOf<decltype(ctx)>> operands(c, inputs);
        operands.out.y = y;
        ops::conv_block(ctx, operands.out, operands.in, operands.w, c.config);
      });
      // The moments of what was written.
      test::same_in_type<T>(c.inputs(), ops::moments_shape(c.y()), 2e-5 + 2 * test::kRounding<T>,
                            [&](auto& ctx, auto result, auto inputs) {
                              using Device = test::DeviceOf<decltype(ctx)>;
                              test::ConvBlockOperands<Device> operands(c, inputs);
                              Tensor<Real<Device>, Device> y(c.y());
                              Tensor<Weight<Device>, Device> moments(result.shape);
                              operands.out.y = y.view(), operands.out.moments = moments.view();
                              ops::conv_block(ctx, operands.out, operands.in, operands.w, c.config);
                              std::vector<Weight<Device>> host(static_cast<std::size_t>(moments.size()));
                              copy_to_host<Weight<Device>, Device>(host.data(), moments.view());
                              std::vector<Real<Device>> rounded;
                              for (const auto v : host) rounded.push_back(static_cast<Real<Device>>(v));
                              copy_from_host(result, rounded.data());
                            });
    }
  });
}

TEST_CASE("conv_block takes the moments it is given") {
  if (!test::cuda_present()) return;
  for_each_type([](auto type) {
    using T = typename decltype(type)::type;
    using Device = CudaOf<T>;
    Context<Device> ctx;
    const auto x = test::to_cuda<T>(test::random({2, 9, 9, 32}, 1).view());
    const auto more = test::to_cuda<T>(test::random({2, 9, 9, 16}, 2).view());
    const auto scale = test::to_cuda<T, float>(test::random({.c = 48}, 4).view());
    const auto shift = test::to_cuda<T, float>(test::random({.c = 48}, 5).view());
    const auto w = test::parameter(test::to_cuda<T>(test::random({16, 3, 3, 48}, 3).view()).view());
    const auto run = [&](View<const float, Device> x_moments, View<const float, Device> more_moments) {
      Tensor<T, Device> y({2, 9, 9, 16});
      ops::conv_block(ctx, {.y = y.view()},
                      {.x = x.view(),
                       .more = more.view(),
                       .x_moments = x_moments,
                       .more_moments = more_moments,
                       .norm_scale = scale.view(),
                       .norm_shift = shift.view(),
                       .norm = {.groups = 4, .eps = 1e-5f}},
                      w, {.kernel = 3, .pad = 1});
      return test::from_cuda<T>(y.view());
    };
    Tensor<float, Device> a({2, 2, 1, 32}), b({2, 2, 1, 16});
    ops::channel_moments(ctx, a.view(), x.view());
    ops::channel_moments(ctx, b.view(), more.view());
    const auto measured = run({}, {});
    CHECK(test::compare(run(a.view(), b.view()).view(), measured.view(), 0).close);
    CHECK(test::compare(run({}, b.view()).view(), measured.view(), 0).close);
    ops::scale(ctx, a.view(), a.view(), 1.5f, 0.0f);
    CHECK_FALSE(test::compare(run(a.view(), b.view()).view(), measured.view(), 1e-2).close);
  });
}

TEST_CASE("a NaN goes through conv_block, and what does not fit is refused") {
  if (!test::cuda_present()) return;
  Context<Cuda> ctx;
  auto values = test::random({1, 8, 8, 16}, 1);
  values.data()[5] = std::numeric_limits<float>::quiet_NaN();
  auto x = test::to_cuda<float>(values.view());
  const auto w = test::parameter(test::to_cuda<float>(test::random({16, 1, 1, 16}, 2).view()).view());
  Tensor<float, Cuda> y({1, 8, 8, 16}), small({1, 8, 8, 8});
  ops::conv_block(ctx, {.y = y.view(), .relu = true}, {.x = x.view()}, w, {.kernel = 1});
  CHECK(std::isnan(test::from_cuda<float>(y.view()).data()[3]));
  using doctest::Contains;
  CHECK_THROWS_WITH_AS(ops::conv_block(ctx, {.y = x.view()}, {.x = x.view()}, w, {.kernel = 1}), Contains("y is x"),
                       Error);
  CHECK_THROWS_WITH_AS(ops::conv_block(ctx, {.y = small.view()}, {.x = x.view()}, w, {.kernel = 1}),
                       Contains("expected [n 1, h 8, w 8, c 16]"), Error);
}

}  // namespace cuda_conv_block_test
