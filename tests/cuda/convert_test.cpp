// Conversions between element types, and time embeddings, on a GPU in each activation type: against the host's own
// rounding and the reference device.

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "d3ad/backend/reference/ops.hpp"
#include "support/cuda_types.hpp"

namespace cuda_convert_test {

using namespace d3ad;

namespace {

// Numbers that round up, down and to even, subnormal ones, infinities, NaN, and what is too large for half.
Tensor<float, Cpu> awkward(std::int64_t count) {
  constexpr float kAwkward[]{0.0f,
                             -0.0f,
                             1.0f + 0x1p-11f,
                             1.0f + 0x1p-8f,
                             1.0f + 0x3p-8f,
                             1.0f + 0x3p-11f,
                             0x1p-24f,
                             0x1p-25f,
                             0x3p-25f,
                             -0x1.8p-20f,
                             65504.0f,
                             65519.0f,
                             65520.0f,
                             -1e30f,
                             INFINITY,
                             -INFINITY,
                             std::numeric_limits<float>::quiet_NaN(),
                             3.4e38f,
                             1e-40f};
  auto x = test::random({.c = count}, 5);
  for (std::int64_t i = 0; i < count; i += 3)
    x.data()[i] = kAwkward[i / 3 % static_cast<std::int64_t>(std::size(kAwkward))];
  return x;
}

template <class To, class From, class T>
void check_convert(std::int64_t count, std::int64_t shift) {
  const auto x = awkward(count + shift);
  Context<CudaOf<T>> ctx;
  const auto from = test::to_cuda<T, From>(x.view());
  Tensor<To, CudaOf<T>> to({.c = count + shift});
  const Shape shape{.c = count};
  ops::convert(ctx, View<To, CudaOf<T>>(to.data() + shift, shape),
               View<const From, CudaOf<T>>(from.data() + shift, shape));
  const auto got = test::from_cuda<T, To>(View<To, CudaOf<T>>(to.data() + shift, shape));
  std::int64_t bad = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const float want = To(static_cast<float>(From(x.data()[i + shift]))), v = got.data()[i];
    if (std::isnan(want) ? !std::isnan(v) : v != want || std::signbit(v) != std::signbit(want)) ++bad;
  }
  CHECK(bad == 0);
}

}  // namespace

TEST_CASE_TEMPLATE("CUDA: conversions round as the host does", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  for (const std::int64_t count : {1, 7, 64, 5003})
    for (const std::int64_t shift : {0, 1}) {
      check_convert<float, float, T>(count, shift);
      check_convert<half, float, T>(count, shift);
      check_convert<bfloat16, float, T>(count, shift);
      check_convert<float, half, T>(count, shift);
      check_convert<float, bfloat16, T>(count, shift);
      check_convert<half, bfloat16, T>(count, shift);
      check_convert<bfloat16, half, T>(count, shift);
      check_convert<half, half, T>(count, shift);
      check_convert<bfloat16, bfloat16, T>(count, shift);
    }
}

TEST_CASE_TEMPLATE("CUDA: weights are narrowed and widened", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  Context<CudaOf<T>> ctx;
  const auto x = test::random({3, 5, 7, 9}, 1);
  const auto wide = test::to_cuda<T, float>(x.view());
  Tensor<bfloat16, CudaOf<T>> narrow(x.shape());
  Tensor<float, CudaOf<T>> back(x.shape());
  ops::narrow(ctx, narrow.view(), wide.view());
  ops::widen(ctx, back.view(), narrow.view());
  const auto got = test::from_cuda<T, float>(back.view());
  for (std::int64_t i = 0; i < x.size(); ++i) CHECK(got.data()[i] == static_cast<float>(bfloat16(x.data()[i])));
  Tensor<float, CudaOf<T>> other({.c = 2});
  CHECK_THROWS_WITH_AS(ops::widen(ctx, other.view(), narrow.view()), doctest::Contains("convert: the output"), Error);
}

TEST_CASE_TEMPLATE("CUDA: time embeddings are those of the reference device", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  constexpr std::int64_t kSteps = 9;
  const std::int32_t steps[kSteps]{0, 1, 2, 77, 250, 500, 998, 999, 1000};
  Context<CudaOf<T>> ctx;
  Context<Reference> reference;
  Tensor<std::int32_t, CudaOf<T>> t({.n = kSteps});
  copy_from_host(t.view(), steps);
  for (const int channels : {2, 6, 32, 320}) {
    const Shape shape{.n = kSteps, .c = channels};
    Tensor<double, Reference> want(shape);
    ops::time_embedding(reference, want.view(), View<const std::int32_t, Reference>(steps, {.n = kSteps}));
    Tensor<T, CudaOf<T>> out(shape);
    ops::time_embedding(ctx, out.view(), t.view());
    const auto got = test::from_cuda<T>(out.view());
    const auto c = test::compare(got.view(), want.view(), 2e-7 + test::kRounding<T>);
    CHECK_MESSAGE(c.close, c);
    Tensor<T, CudaOf<T>> odd({.n = kSteps, .c = channels + 1});
    CHECK_THROWS_WITH_AS(ops::time_embedding(ctx, odd.view(), t.view()), doctest::Contains("even number"), Error);
  }
}

}  // namespace cuda_convert_test
