// What a library's convolution is surrounded with on a GPU, in each activation type: against the reference device's
// conv_block with a 1x1 convolution that changes nothing. And the moments of channels.

#include "d3ad/backend/cuda/conv_parts.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <type_traits>

#include "d3ad/backend/reference/ops.hpp"
#include "support/cuda_types.hpp"

namespace cuda_conv_parts_test {

using namespace d3ad;
using ops::Resample;

namespace {

// The reference device's convolution with the unit matrix.
void same_block(Context<Reference>& ctx, ops::ConvBlockOutput<Reference> out, ops::ConvBlockInput<Reference> in) {
  const std::int64_t channels = out.y.shape.c;
  Parameter<Reference> unit("unit", {channels, channels, 1, 1}, {.n = channels, .c = channels});
  for (std::int64_t i = 0; i < channels * channels; ++i) unit.edit().data[i] = i % (channels + 1) ? 0 : 1;
  ops::conv_block(ctx, out, in, unit, {.kernel = 1});
}

struct InputCase {
  Shape x;
  std::int64_t more = 0;
  int groups = 0;
  bool silu = false;
  Resample resample = Resample::none;
};

const std::vector<InputCase> kInputs{
    {.x = {2, 9, 7, 16}, .groups = 4, .silu = true},
    {.x = {2, 40, 31, 24}, .more = 8, .groups = 2},
    {.x = {1, 4, 4, 128}, .more = 72, .groups = 5, .silu = true},
    {.x = {2, 5, 6, 20}, .more = 12, .groups = 8, .silu = true, .resample = Resample::up},
    {.x = {2, 8, 6, 16}, .more = 16, .groups = 32, .silu = true, .resample = Resample::down},
    {.x = {1, 70, 72, 5}, .groups = 5, .resample = Resample::down},
    {.x = {3, 36, 33, 8}, .groups = 1, .silu = true, .resample = Resample::up},
    {.x = {2, 6, 4, 32}, .resample = Resample::down},
    {.x = {2, 6, 4, 3}, .more = 4, .resample = Resample::up},
    {.x = {2, 3, 5, 8}, .more = 8},
    {.x = {1, 1, 1, 96}, .groups = 3, .silu = true},
    {.x = {2, 4, 4, 260}, .groups = 2, .silu = true},
};

struct OutputCase {
  Shape y;
  bool bias = false, batch_norm = false, shift = false, residual = false;
  Resample resample = Resample::none;
  bool relu = false;
};

const std::vector<OutputCase> kOutputs{
    {.y = {2, 9, 7, 16}, .bias = true},
    {.y = {2, 9, 7, 5}, .bias = true, .relu = true},
    {.y = {3, 40, 31, 24}, .bias = true, .shift = true, .residual = true},
    {.y = {2, 12, 10, 64}, .bias = true, .batch_norm = true, .residual = true, .relu = true},
    {.y = {2, 12, 10, 72}, .shift = true, .residual = true, .resample = Resample::up},
    {.y = {2, 34, 36, 8}, .residual = true, .resample = Resample::up, .relu = true},
    {.y = {2, 34, 36, 8}, .bias = true, .residual = true, .resample = Resample::down},
    {.y = {3, 5, 6, 3}, .batch_norm = true, .shift = true, .residual = true, .resample = Resample::down, .relu = true},
    {.y = {1, 1, 1, 200}, .bias = true, .batch_norm = true},
    {.y = {2, 3, 4, 16}, .relu = true},
    {.y = {2, 3, 4, 16}},
};

// Inputs: the convolution, bias, four of a batch norm, shift, residual.
std::vector<Shape> shapes_of(const OutputCase& c) {
  Shape residual = c.y;
  if (c.resample == Resample::up) residual.h /= 2, residual.w /= 2;
  if (c.resample == Resample::down) residual.h *= 2, residual.w *= 2;
  const Shape channels{.c = c.y.c};
  return {c.y, channels, channels, channels, channels, channels, {.n = c.y.n, .c = c.y.c}, residual};
}

// f(output block) with the parts that a case asks for; its y is not set.
template <class Device, class Views, class F>
void with_output(const OutputCase& c, const Views& in, F f) {
  auto bias = test::weights(in[1]), scale = test::weights(in[2]), shift = test::weights(in[3]),
       mean = test::weights(in[4]);
  auto var = test::weights(in[5]);
  ops::ConvBlockOutput<Device> out;
  if (c.bias) out.bias = bias.view();
  if (c.batch_norm) {
    // A variance has to be positive: 1 + x^2, by way of the host.
    std::vector<Weight<Device>> v(static_cast<std::size_t>(var.size()));
    copy_to_host<Weight<Device>, Device>(v.data(), var.view());
    for (auto& x : v) x = 1 + x * x;
    copy_from_host(var.view(), v.data());
    out.batch_norm = {scale.view(), shift.view(), mean.view(), var.view(), 1e-5f};
  }
  if (c.shift) out.shift = in[6];
  if (c.residual) out.residual = in[7];
  out.residual_resample = c.resample, out.relu = c.relu;
  f(out);
}

template <class T>
Tensor<float, Cpu> rounded(Shape shape, std::uint64_t seed, float offset = 0) {
  auto x = test::random(shape, seed);
  for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] = static_cast<T>(x.data()[i] + offset);
  return x;
}
Tensor<double, Reference> moments_of(View<const float, Cpu> x) {
  Context<Reference> ctx;
  Tensor<double, Reference> out(ops::moments_shape(x.shape));
  ops::channel_moments(ctx, out.view(), test::to_reference(x).view());
  return out;
}
// Means and squares each against their own largest value.
void check_moments(View<const float, Cpu> got, View<const double, Reference> want, double tolerance) {
  REQUIRE(got.shape == want.shape);
  for (int which = 0; which < 2; ++which) {
    double error = 0, largest = 0;
    for (std::int64_t i = 0; i < want.size(); ++i)
      if (i / want.shape.c % 2 == which) {
        const double off = std::abs(static_cast<double>(got.data[i]) - want.data[i]);
        error = std::max(error, std::isnan(off) ? INFINITY : off), largest = std::max(largest, std::abs(want.data[i]));
      }
    CAPTURE(which);
    CHECK(error <= tolerance * std::max(largest, which == 0 ? 1.0 : 0.0));
  }
}

}  // namespace

TEST_CASE_TEMPLATE("CUDA: moments of channels", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  for (const Shape s : {Shape{2, 9, 7, 16},
                        {1, 70, 71, 5},
                        {3, 40, 60, 24},
                        {2, 4, 4, 260},
                        {2, 1, 1, 3},
                        {1, 2, 1, 8},
                        {1, 190, 50, 3}}) {
    CAPTURE(s);
    const auto x = rounded<T>(s, 1, 0.25f);
    const auto on_gpu = test::to_cuda<T>(x.view());
    Context<CudaOf<T>> ctx;
    Tensor<float, CudaOf<T>> moments(ops::moments_shape(s));
    ops::channel_moments(ctx, moments.view(), on_gpu.view());
    const auto got = test::from_cuda<T, float>(moments.view());
    check_moments(got.view(), moments_of(x.view()).view(), 1e-6);
    Tensor<float, CudaOf<T>> again(ops::moments_shape(s));
    ops::channel_moments(ctx, again.view(), on_gpu.view());
    CHECK(test::compare(test::from_cuda<T, float>(again.view()).view(), got.view(), 0).close);
  }
  Context<CudaOf<T>> ctx;
  Tensor<float, CudaOf<T>> wrong({.n = 1, .h = 2, .c = 4});
  Tensor<T, CudaOf<T>> x({1, 2, 2, 5});
  CHECK_THROWS_WITH_AS(ops::channel_moments(ctx, wrong.view(), x.view()), doctest::Contains("channel_moments"), Error);
}

TEST_CASE("CUDA: moments beside a large mean") {
  if (!test::cuda_present()) return;
  for (const std::int64_t channels : {8, 3}) {
    const auto x = rounded<float>({2, 64, 64, channels}, 1, 1000.0f);
    Context<Cuda> ctx;
    Tensor<float, Cuda> moments(ops::moments_shape(x.shape()));
    ops::channel_moments(ctx, moments.view(), test::to_cuda<float>(x.view()).view());
    check_moments(test::from_cuda<float>(moments.view()).view(), moments_of(x.view()).view(), 1e-5);
  }
}

TEST_CASE_TEMPLATE("CUDA: what a convolution reads is that of the reference device", T, float, half, bfloat16) {
  for (const auto& c : kInputs)
    for (const bool measured : {false, true}) {
      CAPTURE(c.x);
      Shape more = c.x, both = c.x;
      more.c = std::max<std::int64_t>(c.more, 1), both.c += c.more;
      const auto gather = [&](auto& ctx, auto out, auto in) {
        using Device = test::DeviceOf<decltype(ctx)>;
        const auto scale = test::weights(in[2]), shift = test::weights(in[3]);
        Tensor<Weight<Device>, Device> moments(ops::moments_shape(c.x)), more_moments(ops::moments_shape(more));
        ops::ConvBlockInput<Device> from{.x = in[0]};
        if (c.more) from.more = in[1];
        if (c.groups)
          from.norm_scale = scale.view(), from.norm_shift = shift.view(),
          from.norm = {.groups = c.groups, .eps = 1e-5f, .silu = c.silu};
        from.resample = c.resample;
        if (measured) {
          ops::channel_moments(ctx, moments.view(), in[0]);
          from.x_moments = moments.view();
          if (c.more) ops::channel_moments(ctx, more_moments.view(), in[1]), from.more_moments = more_moments.view();
        }
        if constexpr (std::is_same_v<Device, Reference>)
          same_block(ctx, {.y = out}, from);
        else
          cuda::gather(ctx, out, from);
      };
      test::same_in_type<T>({c.x, more, {.c = both.c}, {.c = both.c}}, ops::resampled(both, c.resample), 1e-6, gather,
                            {.scale = 2});
    }
}

TEST_CASE_TEMPLATE("CUDA: what follows a convolution is that of the reference device", T, float, half, bfloat16) {
  for (const auto& c : kOutputs)
    for (const bool measured : {false, true}) {
      CAPTURE(c.y);
      CAPTURE(measured);
      const auto finish = [&](auto& ctx, auto out, auto in) {
        using Device = test::DeviceOf<decltype(ctx)>;
        with_output<Device>(c, in, [&](ops::ConvBlockOutput<Device> parts) {
          parts.y = out;
          if constexpr (std::is_same_v<Device, Reference>) {
            same_block(ctx, parts, {.x = in[0]});
          } else {
            Tensor<float, Device> moments(ops::moments_shape(c.y));
            if (measured) parts.moments = moments.view();
            ops::copy(ctx, out, in[0]);
            cuda::finish(ctx, parts, true);
            if (!measured) return;
            const auto stored = test::from_cuda<T>(View<T, Device>(out));
            check_moments(test::from_cuda<T, float>(moments.view()).view(), moments_of(stored.view()).view(), 1e-6);
          }
        });
      };
      test::same_in_type<T>(shapes_of(c), c.y, 1e-6, finish);
    }
}

TEST_CASE("CUDA: a bias that the convolution has added is not added again") {
  if (!test::cuda_present()) return;
  Context<Cuda> ctx;
  const auto x = rounded<float>({1, 2, 2, 8}, 1), b = rounded<float>({.c = 8}, 2);
  auto y = test::to_cuda<float>(x.view());
  const auto bias = test::to_cuda<float>(b.view());
  cuda::finish(ctx, {.y = y.view(), .bias = bias.view()}, false);
  CHECK(test::compare(test::from_cuda<float>(y.view()).view(), x.view(), 0).close);
  cuda::finish(ctx, {.y = y.view(), .bias = bias.view()}, true);
  CHECK_FALSE(test::compare(test::from_cuda<float>(y.view()).view(), x.view(), 1e-3).close);
}

TEST_CASE_TEMPLATE("CUDA: NaN goes through ReLU and resampling", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  Context<CudaOf<T>> ctx;
  auto x = rounded<T>({1, 2, 2, 8}, 1);
  x.data()[3] = kNaN;
  auto y = test::to_cuda<T>(x.view());
  Tensor<T, CudaOf<T>> up({1, 4, 4, 8}), down({1, 1, 1, 8});
  cuda::gather(ctx, up.view(), {.x = y.view(), .resample = Resample::up});
  cuda::gather(ctx, down.view(), {.x = y.view(), .resample = Resample::down});
  cuda::finish(ctx, {.y = y.view(), .relu = true}, true);
  const auto got = test::from_cuda<T>(y.view()), large = test::from_cuda<T>(up.view());
  const auto small = test::from_cuda<T>(down.view());
  for (std::int64_t i = 0; i < 32; ++i) CHECK(std::isnan(got.data()[i]) == (i == 3));
  for (std::int64_t i = 0; i < 128; ++i)
    CHECK(std::isnan(large.data()[i]) == (i / 8 % 4 < 2 && i / 32 < 2 && i % 8 == 3));
  for (std::int64_t i = 0; i < 8; ++i) CHECK(std::isnan(small.data()[i]) == (i == 3));
}

TEST_CASE("CUDA: a convolution's input refuses what does not fit") {
  if (!test::cuda_present()) return;
  using doctest::Contains;
  Context<Cuda> ctx;
  Tensor<float, Cuda> x({1, 3, 4, 8}), more({1, 4, 4, 8}), out({1, 3, 4, 16});
  CHECK_THROWS_WITH_AS(cuda::gather(ctx, out.view(), {.x = x.view(), .more = more.view()}), Contains("more channels"),
                       Error);
  CHECK_THROWS_WITH_AS(cuda::gather(ctx, out.view(), {.x = x.view()}), Contains("the convolution's input is"), Error);
  CHECK_THROWS_WITH_AS(cuda::gather(ctx, out.view(), {.x = x.view(), .resample = Resample::down}), Contains("2x2"),
                       Error);
  CHECK_THROWS_WITH_AS(cuda::gather(ctx, out.view(), {}), Contains("there is no input"), Error);
}

}  // namespace cuda_conv_parts_test
