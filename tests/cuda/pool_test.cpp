// Pooling on a GPU in each activation type: against the reference device, with packs and without; equal ones, NaN.

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "support/cuda_types.hpp"

namespace cuda_pool_test {

using namespace d3ad;

TEST_CASE_TEMPLATE("CUDA: means are those of the reference device", T, float, half, bfloat16) {
  for (const Shape s : {Shape{2, 4, 6, 3}, {1, 2, 2, 1}, {3, 6, 10, 8}, {2, 14, 8, 20}, {1, 4, 6, 64}}) {
    const Shape half_size{s.n, s.h / 2, s.w / 2, s.c};
    test::same_in_type<T>({s}, half_size, 3e-7, [](auto& ctx, auto out, auto in) { ops::avg_pool2(ctx, out, in[0]); });
    test::same_in_type<T>({half_size}, s, 3e-7,
                          [](auto& ctx, auto out, auto in) { ops::avg_pool2_backward(ctx, out, in[0]); });
  }
  // One slice and several, fewer channels than a warp's and more.
  for (const Shape s :
       {Shape{2, 5, 7, 3}, {1, 1, 1, 1}, {1, 90, 70, 8}, {3, 33, 40, 1}, {2, 24, 20, 320}, {1, 40, 41, 3}}) {
    const Shape one{.n = s.n, .c = s.c};
    test::same_in_type<T>({s}, one, 1e-5, [](auto& ctx, auto out, auto in) { ops::global_avg_pool(ctx, out, in[0]); });
    test::same_in_type<T>({one}, s, 3e-7,
                          [](auto& ctx, auto out, auto in) { ops::global_avg_pool_backward(ctx, out, in[0]); });
  }
  for (const auto& [h, w] : {std::pair{1, 1}, {3, 5}, {16, 2}})
    for (const int c : {6, 16})
      test::same_in_type<T>({{2, 7, 11, c}}, {2, h, w, c}, 1e-6,
                            [](auto& ctx, auto out, auto in) { ops::adaptive_avg_pool(ctx, out, in[0]); });
}

TEST_CASE_TEMPLATE("CUDA: the largest of nine are those of the reference device", T, float, half, bfloat16) {
  for (const Shape s : {Shape{2, 5, 7, 3}, {1, 1, 1, 2}, {1, 8, 8, 40}, {2, 13, 6, 17}, {2, 6, 11, 8}, {1, 2, 1, 16}}) {
    const Shape out{s.n, (s.h - 1) / 2 + 1, (s.w - 1) / 2 + 1, s.c};
    const auto forward = [](auto& ctx, auto o, auto in) { ops::max_pool3(ctx, o, {}, in[0]); };
    const auto backward = [&](auto& ctx, auto dx, auto in) {
      auto largest = make_value<std::remove_pointer_t<decltype(dx.data)>>(ctx, out);
      auto places = make_value<std::int32_t>(ctx, out);
      ops::max_pool3(ctx, largest.view(), places.view(), in[0]);
      ops::max_pool3_backward(ctx, dx, in[1], places.view());
    };
    test::same_in_type<T>({s}, out, 0, forward);
    test::same_in_type<T>({s, out}, s, 3e-7, backward);
    // Many equal ones: the first counts.
    test::same_in_type<T>({s, out}, s, 3e-7, [&](auto& ctx, auto dx, auto in) {
      auto places = make_value<std::int32_t>(ctx, out);
      auto steps = make_value<std::remove_pointer_t<decltype(dx.data)>>(ctx, s);
      auto largest = make_value<std::remove_pointer_t<decltype(dx.data)>>(ctx, out);
      ops::activate(ctx, steps.view(), in[0], ops::Activation::relu);
      ops::max_pool3(ctx, largest.view(), places.view(), steps.view());
      ops::max_pool3_backward(ctx, dx, in[1], places.view());
    });
  }
}

TEST_CASE_TEMPLATE("CUDA: max_pool3 takes the first of equal ones, and NaN before all", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  for (const int channels : {1, 8}) {
    Context<CudaOf<T>> ctx;
    Tensor<float, Cpu> x({1, 4, 4, channels});
    for (std::int64_t i = 0; i < x.size(); ++i) {
      const std::int64_t pixel = i / channels;
      x.data()[i] = pixel == 11 || pixel == 15 ? kNaN : pixel < 8 ? -1.0f : -INFINITY;
    }
    const auto on_gpu = test::to_cuda<T>(x.view());
    Tensor<T, CudaOf<T>> out({1, 2, 2, channels});
    Tensor<std::int32_t, CudaOf<T>> places(out.shape());
    ops::max_pool3(ctx, out.view(), places.view(), on_gpu.view());
    const auto values = test::from_cuda<T>(out.view());
    std::vector<std::int32_t> at(static_cast<std::size_t>(places.size()));
    copy_to_host<std::int32_t, CudaOf<T>>(at.data(), places.view());
    for (int c = 0; c < channels; ++c) {
      const std::int32_t want[4]{0, 1, 4, 11};
      for (int i = 0; i < 4; ++i) CHECK(at[static_cast<std::size_t>(i * channels + c)] == want[i] * channels + c);
      CHECK(values.data()[c] == -1.0f);
      CHECK(std::isnan(values.data()[3 * channels + c]));
    }
  }
}

TEST_CASE("CUDA: means in half do not overflow on the way") {
  if (!test::cuda_present()) return;
  Context<CudaHalf> ctx;
  Tensor<float, Cpu> x({1, 64, 64, 8});
  std::fill_n(x.data(), x.size(), 60000.0f);
  const auto on_gpu = test::to_cuda<half>(x.view());
  Tensor<half, CudaHalf> one({.c = 8}), four({1, 2, 2, 8}), quarter({1, 32, 32, 8});
  ops::global_avg_pool(ctx, one.view(), on_gpu.view());
  ops::adaptive_avg_pool(ctx, four.view(), on_gpu.view());
  ops::avg_pool2(ctx, quarter.view(), on_gpu.view());
  const float want = half(60000.0f);
  CHECK(test::from_cuda<half>(one.view()).data()[3] == want);
  CHECK(test::from_cuda<half>(four.view()).data()[31] == want);
  CHECK(test::from_cuda<half>(quarter.view()).data()[99] == want);
}

TEST_CASE("CUDA: pooling refuses shapes that do not fit") {
  if (!test::cuda_present()) return;
  Context<Cuda> ctx;
  Tensor<float, Cuda> odd({1, 3, 4, 2}), x({1, 4, 4, 2}), even({1, 2, 2, 2});
  using doctest::Contains;
  CHECK_THROWS_WITH_AS(ops::avg_pool2(ctx, even.view(), odd.view()), Contains("an even height and width"), Error);
  CHECK_THROWS_WITH_AS(ops::avg_pool2_backward(ctx, odd.view(), even.view()), Contains("an even height"), Error);
  CHECK_THROWS_WITH_AS(ops::max_pool3(ctx, odd.view(), {}, x.view()), Contains("max_pool3: the output"), Error);
  CHECK_THROWS_WITH_AS(ops::max_pool3_backward(ctx, x.view(), even.view(), {}), Contains("max_pool3: places"), Error);
  CHECK_THROWS_WITH_AS(ops::global_avg_pool(ctx, odd.view(), x.view()), Contains("for each image and channel"), Error);
  CHECK_THROWS_WITH_AS(ops::global_avg_pool_backward(ctx, x.view(), odd.view()), Contains("for each image"), Error);
  Tensor<float, Cuda> other({2, 2, 2, 2});
  CHECK_THROWS_WITH_AS(ops::adaptive_avg_pool(ctx, other.view(), x.view()), Contains("adaptive_avg_pool"), Error);
}

}  // namespace cuda_pool_test
