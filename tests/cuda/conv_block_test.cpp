// conv_block on a GPU in each activation type, against the reference device: with everything that may surround a
// convolution, and with nothing; moments that are handed on; what it refuses.

#include "d3ad/backend/cuda/conv_block.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "support/cuda_types.hpp"

namespace cuda_conv_block_test {

using namespace d3ad;
using ops::Resample;

namespace {

// What the numbers of a test are as variances.
template <class Device, class T>
Tensor<Weight<Device>, Device> variances(View<T, Device> x) {
  auto values = test::on_host(x);
  for (auto& v : values) v = 1 + v / 2;
  Tensor<Weight<Device>, Device> out(x.shape);
  copy_from_host(out.view(), values.data());
  return out;
}

struct Case {
  Shape x, w;
  ops::Conv2d config{.kernel = 1};
  std::int64_t more = 0;  // channels
  int groups = 0;         // 0: not normalised
  Resample resample = Resample::none;
  bool bias = false, batch_norm = false, shift = false, residual = false;
  Resample residual_resample = Resample::none;
  bool relu = false;

  Shape convolved() const {
    Shape both = x;
    both.c += more;
    return ops::resampled(both, resample);
  }
  Shape y() const { return ops::conv2d_shape(convolved(), w, config); }
};

const std::vector<Case> kCases{
    {.x = {2, 9, 7, 16}, .w = {5, 3, 3, 16}, .config = {.kernel = 3, .pad = 1}, .bias = true},
    {.x = {2, 9, 7, 16}, .w = {8, 3, 3, 16}, .config = {.kernel = 3, .pad = 1}},
    {.x = {2, 12, 13, 24},
     .w = {40, 3, 3, 24},
     .config = {.kernel = 3, .pad = 1},
     .groups = 4,
     .bias = true,
     .shift = true,
     .residual = true},
    {.x = {1, 6, 5, 32}, .w = {16, 3, 3, 32}, .config = {.kernel = 3, .pad = 1}, .groups = 8, .resample = Resample::up},
    {.x = {2, 12, 8, 32},
     .w = {24, 3, 3, 32},
     .config = {.kernel = 3, .pad = 1},
     .groups = 2,
     .resample = Resample::down,
     .bias = true,
     .residual = true,
     .residual_resample = Resample::down},
    {.x = {2, 5, 6, 16},
     .w = {17, 3, 3, 48},
     .config = {.kernel = 3, .pad = 1},
     .more = 32,
     .groups = 3,
     .bias = true,
     .shift = true},
    {.x = {1, 16, 8, 16},
     .w = {32, 3, 3, 16},
     .config = {.kernel = 3, .stride = 2, .pad = 0, .pad_end = 1},
     .bias = true},
    {.x = {1, 21, 20, 3},
     .w = {8, 7, 7, 3},
     .config = {.kernel = 7, .stride = 2, .pad = 3},
     .batch_norm = true,
     .relu = true},
    {.x = {1, 14, 15, 16},
     .w = {16, 3, 3, 16},
     .config = {.kernel = 3, .pad = 1},
     .batch_norm = true,
     .residual = true,
     .relu = true},
    {.x = {2, 6, 6, 20}, .w = {48, 1, 1, 32}, .more = 12, .groups = 4, .bias = true},
    {.x = {2, 6, 6, 24}, .w = {12, 1, 1, 24}, .bias = true},
    {.x = {2, 6, 6, 24}, .w = {12, 1, 1, 24}, .bias = true, .relu = true},
    {.x = {2, 6, 7, 16}, .w = {32, 1, 1, 16}, .config = {.kernel = 1, .stride = 2}, .batch_norm = true},
    {.x = {1, 3, 5, 8},
     .w = {19, 1, 1, 8},
     .resample = Resample::up,
     .shift = true,
     .residual = true,
     .residual_resample = Resample::up},
};

// Inputs: x, more, w, norm's scale and shift, bias, batch norm's scale, shift, mean and var, shift, residual.
std::vector<Shape> inputs_of(const Case& c) {
  Shape more = c.x, residual = c.y();
  more.c = std::max<std::int64_t>(c.more, 1);
  if (c.residual_resample == Resample::down) residual.h *= 2, residual.w *= 2;
  if (c.residual_resample == Resample::up) residual.h /= 2, residual.w /= 2;
  const Shape normal{.c = c.x.c + c.more}, channels{.c = c.y().c};
  return {c.x,
          more,
          c.w,
          normal,
          normal,
          channels,
          channels,
          channels,
          channels,
          channels,
          {.n = c.y().n, .c = c.y().c},
          residual};
}

// f(out, in, w) with the parts that a case asks for; y is not set.
template <class Device, class Views, class F>
void with_case(const Case& c, const Views& v, F f) {
  const auto w = test::parameter(v[2]);
  const auto norm_scale = test::weights(v[3]), norm_shift = test::weights(v[4]), bias = test::weights(v[5]),
             scale = test::weights(v[6]);
  const auto shift = test::weights(v[7]), mean = test::weights(v[8]), var = variances(v[9]);
  ops::ConvBlockInput<Device> in{.x = v[0]};
  ops::ConvBlockOutput<Device> out;
  if (c.more) in.more = v[1];
  if (c.groups) {
    in.norm_scale = norm_scale.view(), in.norm_shift = norm_shift.view();
    in.norm = {.groups = c.groups, .eps = 1e-5f, .silu = true};
  }
  in.resample = c.resample;
  if (c.bias) out.bias = bias.view();
  if (c.batch_norm) out.batch_norm = {scale.view(), shift.view(), mean.view(), var.view(), 1e-5f};
  if (c.shift) out.shift = v[10];
  if (c.residual) out.residual = v[11];
  out.residual_resample = c.residual_resample, out.relu = c.relu;
  f(out, in, w);
}

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
    for (const auto& c : kCases) {
      CAPTURE(c.x);
      CAPTURE(c.w);
      // What is normalised, and what the convolution gives, is rounded to T on its way.
      test::same_in_type<T>(inputs_of(c), c.y(), 1e-5 + 2 * test::kRounding<T>, [&](auto& ctx, auto y, auto inputs) {
        with_case<test::DeviceOf<decltype(ctx)>>(c, inputs, [&](auto out, const auto& in, const auto& w) {
          out.y = y;
          ops::conv_block(ctx, out, in, w, c.config);
        });
      });
      // The moments of what was written.
      test::same_in_type<T>(inputs_of(c), ops::moments_shape(c.y()), 2e-5 + 2 * test::kRounding<T>,
                            [&](auto& ctx, auto result, auto inputs) {
                              using Device = test::DeviceOf<decltype(ctx)>;
                              with_case<Device>(c, inputs, [&](auto out, const auto& in, const auto& w) {
                                Tensor<Real<Device>, Device> y(c.y());
                                Tensor<Weight<Device>, Device> moments(result.shape);
                                out.y = y.view(), out.moments = moments.view();
                                ops::conv_block(ctx, out, in, w, c.config);
                                std::vector<Weight<Device>> host(static_cast<std::size_t>(moments.size()));
                                copy_to_host<Weight<Device>, Device>(host.data(), moments.view());
                                std::vector<Real<Device>> rounded;
                                for (const auto v : host) rounded.push_back(static_cast<Real<Device>>(v));
                                copy_from_host(result, rounded.data());
                              });
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
