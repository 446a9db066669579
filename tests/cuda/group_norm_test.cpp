// group_norm and its gradient on a GPU in each activation type: against the reference device on the same rounded
// numbers, with packs and without, one block of pixels and several, in place.

#include <doctest/doctest.h>

#include <type_traits>

#include "d3ad/backend/reference/ops.hpp"
#include "support/cuda_types.hpp"

namespace cuda_group_norm_test {

using namespace d3ad;

namespace {

struct Case {
  Shape x;
  int groups;
};
const std::vector<Case> kCases{{{2, 5, 7, 32}, 4}, {{1, 1, 1, 8}, 2},    {{3, 40, 31, 64}, 32}, {{1, 70, 40, 12}, 3},
                               {{2, 6, 4, 3}, 3},  {{2, 4, 4, 520}, 26}, {{2, 33, 64, 8}, 1},   {{4, 3, 3, 5}, 1}};

template <class T>
Tensor<float, Cpu> rounded(Shape shape, std::uint64_t seed, float offset = 0) {
  auto x = test::random(shape, seed);
  for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] = static_cast<T>(x.data()[i] + offset);
  return x;
}

}  // namespace

TEST_CASE_TEMPLATE("CUDA: group_norm is that of the reference device", T, float, half, bfloat16) {
  for (const auto& c : kCases)
    for (const bool silu : {false, true})
      for (const int alias : {-1, 0}) {
        CAPTURE(c.groups);
        const ops::GroupNorm config{.groups = c.groups, .eps = 1e-5f, .silu = silu};
        const auto forward = [&](auto& ctx, auto out, auto in) {
          const auto scale = test::weights(in[1]), shift = test::weights(in[2]);
          ops::group_norm(ctx, out, {}, in[0], scale.view(), shift.view(), config);
        };
        test::same_in_type<T>({c.x, {.c = c.x.c}, {.c = c.x.c}}, c.x, 2e-6, forward, {.alias = alias, .scale = 3});
      }
}

TEST_CASE_TEMPLATE("CUDA: group_norm's gradient is that of the reference device", T, float, half, bfloat16) {
  for (const auto& c : kCases)
    for (const bool silu : {false, true})
      for (const int alias : {-1, 0}) {
        CAPTURE(c.groups);
        CAPTURE(silu);
        const ops::GroupNorm config{.groups = c.groups, .eps = 1e-5f, .silu = silu};
        const auto backward = [&](auto& ctx, auto out, auto in) {
          using Device = test::DeviceOf<decltype(ctx)>;
          const auto scale = test::weights(in[2]), shift = test::weights(in[3]);
          Tensor<Real<Device>, Device> y(c.x);
          Tensor<Weight<Device>, Device> stats({.n = c.x.n, .c = 2 * c.groups});
          ops::group_norm(ctx, y.view(), stats.view(), in[1], scale.view(), shift.view(), config);
          ops::group_norm_backward(ctx, out, {}, {}, in[0], in[1], stats.view(), scale.view(), shift.view(), config);
        };
        test::same_in_type<T>({c.x, c.x, {.c = c.x.c}, {.c = c.x.c}}, c.x, 4e-6, backward,
                              {.alias = alias, .scale = 2});
      }
}

TEST_CASE_TEMPLATE("CUDA: group_norm's statistics and parameters' gradients", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  for (const auto& c : kCases)
    for (const bool silu : {false, true}) {
      CAPTURE(c.x);
      CAPTURE(silu);
      const ops::GroupNorm config{.groups = c.groups, .eps = 1e-5f, .silu = silu};
      const Shape channels{.c = c.x.c}, statistics{.n = c.x.n, .c = 2 * c.groups};
      const auto x = rounded<T>(c.x, 1, 0.5f), dy = rounded<T>(c.x, 2), scale = rounded<float>(channels, 3);
      const auto shift = rounded<float>(channels, 4), before = rounded<float>(channels, 5);

      Context<Reference> reference;
      Tensor<double, Reference> y(c.x), stats(statistics), dx(c.x);
      auto dscale = test::to_reference(before.view()), dshift = test::to_reference(before.view());
      const auto exact_scale = test::to_reference(scale.view()), exact_shift = test::to_reference(shift.view());
      const auto exact_x = test::to_reference(x.view()), exact_dy = test::to_reference(dy.view());
      ops::group_norm(reference, y.view(), stats.view(), exact_x.view(), exact_scale.view(), exact_shift.view(),
                      config);
      ops::group_norm_backward(reference, dx.view(), dscale.view(), dshift.view(), exact_dy.view(), exact_x.view(),
                               stats.view(), exact_scale.view(), exact_shift.view(), config);

      Context<CudaOf<T>> ctx;
      Tensor<T, CudaOf<T>> y_gpu(c.x), dx_gpu(c.x);
      Tensor<float, CudaOf<T>> stats_gpu(statistics);
      auto dscale_gpu = test::to_cuda<T, float>(before.view()), dshift_gpu = test::to_cuda<T, float>(before.view());
      const auto scale_gpu = test::to_cuda<T, float>(scale.view()), shift_gpu = test::to_cuda<T, float>(shift.view());
      const auto x_gpu = test::to_cuda<T>(x.view()), dy_gpu = test::to_cuda<T>(dy.view());
      ops::group_norm(ctx, y_gpu.view(), stats_gpu.view(), x_gpu.view(), scale_gpu.view(), shift_gpu.view(), config);
      ops::group_norm_backward(ctx, dx_gpu.view(), dscale_gpu.view(), dshift_gpu.view(), dy_gpu.view(), x_gpu.view(),
                               stats_gpu.view(), scale_gpu.view(), shift_gpu.view(), config);
      for (const auto& [got, want] : {std::pair{&stats_gpu, &stats}, {&dscale_gpu, &dscale}, {&dshift_gpu, &dshift}}) {
        const auto compared = test::compare(test::from_cuda<T, float>(got->view()).view(), want->view(), 4e-6);
        CHECK_MESSAGE(compared.close, compared);
      }
    }
}

TEST_CASE("CUDA: group_norm keeps its precision beside a large mean") {
  if (!test::cuda_present()) return;
  const Shape s{1, 64, 64, 32}, channels{.c = 32};
  const auto x = rounded<float>(s, 1, 100.0f), scale = rounded<float>(channels, 2), shift = rounded<float>(channels, 3);
  const ops::GroupNorm config{.groups = 4, .eps = 1e-5f};
  Context<Reference> reference;
  Tensor<double, Reference> want(s);
  ops::group_norm(reference, want.view(), {}, test::to_reference(x.view()).view(),
                  test::to_reference(scale.view()).view(), test::to_reference(shift.view()).view(), config);
  Context<Cuda> ctx;
  Tensor<float, Cuda> y(s);
  ops::group_norm(ctx, y.view(), {}, test::to_cuda<float>(x.view()).view(), test::to_cuda<float>(scale.view()).view(),
                  test::to_cuda<float>(shift.view()).view(), config);
  const auto c = test::compare(test::from_cuda<float>(y.view()).view(), want.view(), 2e-5);
  CHECK_MESSAGE(c.close, c);
}

TEST_CASE("CUDA: group_norm refuses shapes that do not fit") {
  if (!test::cuda_present()) return;
  using doctest::Contains;
  Context<Cuda> ctx;
  Tensor<float, Cuda> x({1, 2, 2, 8}), eight({.c = 8}), seven({.c = 7}), stats({.n = 1, .c = 4});
  const auto forward = [&](int groups, auto& scale) {
    ops::group_norm(ctx, x.view(), stats.view(), x.view(), scale.view(), eight.view(),
                    {.groups = groups, .eps = 1e-5f});
  };
  CHECK_THROWS_WITH_AS(forward(3, eight), Contains("in 3 groups, expected channels that are a multiple"), Error);
  CHECK_THROWS_WITH_AS(forward(2, seven), Contains("expected 8 values each"), Error);
  CHECK_THROWS_WITH_AS(forward(4, eight), Contains("statistics"), Error);
  CHECK_THROWS_WITH_AS(ops::group_norm_backward(ctx, x.view(), seven.view(), {}, x.view(), x.view(), stats.view(),
                                                eight.view(), eight.view(), {.groups = 2, .eps = 1e-5f}),
                       Contains("gradients of scale"), Error);
}

}  // namespace cuda_group_norm_test
