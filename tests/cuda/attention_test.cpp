// ops/attention.hpp on the GPU, for each type of activations, against the reference device.

#include "d3ad/backend/cuda/attention.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "d3ad/backend/reference/attention.hpp"
#include "d3ad/backend/reference/ops.hpp"
#include "support/compare.hpp"
#include "support/cuda.hpp"

namespace cuda_attention_test {

using namespace d3ad;

namespace {

// Twice: probabilities, and the gradients of scores, are rounded to T too.
template <class T>
constexpr double kTolerance = std::is_same_v<T, float>  ? 1e-5
                              : std::is_same_v<T, half> ? 2e-3
                                                        : 1.6e-2;

// Numbers that T can hold, as float.
template <class T>
Tensor<float, Cpu> rounded(Shape shape, std::uint64_t seed, float scale) {
  auto x = test::random(shape, seed);
  for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(static_cast<T>(scale * x.data()[i]));
  return x;
}

// On the device, with NaN everywhere at first, so that what is not written is noticed.
template <class T>
Tensor<T, CudaOf<T>> unwritten(Shape shape) {
  Tensor<float, Cpu> nothing(shape);
  std::fill_n(nothing.data(), nothing.size(), std::numeric_limits<float>::quiet_NaN());
  return test::to_cuda<T>(nothing.view());
}

// bytes: of scores at a time
template <class T>
void same_as_reference(Shape s, int heads, std::int64_t bytes = ops::detail::kScoreBytes) {
  CAPTURE(s);
  CAPTURE(heads);
  CAPTURE(bytes);
  const Shape out{s.n, s.h, s.w, s.c / 3};
  const ops::Attention config{.heads = heads};
  const auto qkv = rounded<T>(s, 1, 3), dout = rounded<T>(out, 2, 1);
  Context<Reference> exact;
  Tensor<double, Reference> want(out), want_gradient(s);
  const auto exact_qkv = test::to_reference(qkv.view()), exact_dout = test::to_reference(dout.view());
  ops::attention(exact, want.view(), exact_qkv.view(), config);
  ops::attention_backward(exact, want_gradient.view(), exact_dout.view(), exact_qkv.view(), config);

  Context<CudaOf<T>> ctx;
  const auto x = test::to_cuda<T>(qkv.view()), dy = test::to_cuda<T>(dout.view());
  auto y = unwritten<T>(out), dx = unwritten<T>(s);
  ops::detail::attention(ctx, y.view(), x.view(), config, bytes);
  ops::detail::attention_backward(ctx, dx.view(), dy.view(), x.view(), config, bytes);
  auto got = test::compare(test::from_cuda<T>(y.view()).view(), want.view(), kTolerance<T>);
  CHECK_MESSAGE(got.close, "forward: ", got);
  got = test::compare(test::from_cuda<T>(dx.view()).view(), want_gradient.view(), kTolerance<T>);
  CHECK_MESSAGE(got.close, "backward: ", got);
}

}  // namespace

TEST_CASE_TEMPLATE("CUDA: attention and its gradient are those of the reference device", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  same_as_reference<T>({2, 3, 5, 24}, 1);
  same_as_reference<T>({3, 4, 4, 48}, 2);  // over the images
  same_as_reference<T>({1, 8, 8, 96}, 4);  // over the heads
  same_as_reference<T>({1, 1, 1, 24}, 8);
  same_as_reference<T>({2, 7, 11, 18}, 3);
  same_as_reference<T>({1, 10, 17, 6}, 1);
  same_as_reference<T>({1, 20, 17, 12}, 2);
}

// With cuDNN's engine, or on the emulation what stands for it, where it takes the shape, and without where it does not.
TEST_CASE_TEMPLATE("CUDA: attention in one pass is that of the reference device", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  Context<CudaOf<T>> ctx;
  for (const auto& given : {std::pair{Shape{2, 6, 5, 96}, 4},
                            {{3, 4, 4, 48}, 2},
                            {{1, 8, 8, 72}, 1},
                            {{2, 1, 1, 24}, 1},
                            {{1, 17, 19, 144}, 3},
                            {{2, 7, 11, 18}, 3}}) {
    const Shape s = given.first, out{s.n, s.h, s.w, s.c / 3};
    const ops::Attention config{.heads = given.second};
    const bool whole = s.c / 3 / config.heads % 8 == 0;
    CAPTURE(s);
    const auto qkv = rounded<T>(s, 1, 3);
    Context<Reference> exact;
    Tensor<double, Reference> want(out);
    ops::attention(exact, want.view(), test::to_reference(qkv.view()).view(), config);
    const auto x = test::to_cuda<T>(qkv.view());
    for (int again = 0; again < 2; ++again) {
#if defined(D3AD_CUDA_EMULATION)
      const auto before = cuda::fused_attentions();
#endif
      auto y = unwritten<T>(out);
      ops::attention(ctx, y.view(), x.view(), config);
      const auto got = test::compare(test::from_cuda<T>(y.view()).view(), want.view(), kTolerance<T>);
      CHECK_MESSAGE(got.close, got);
#if defined(D3AD_CUDA_EMULATION)
      CHECK(cuda::fused_attentions() - before == (whole && !std::is_same_v<T, float>));
#else
      (void)whole;
#endif
    }
  }
}

TEST_CASE_TEMPLATE("CUDA: attention in blocks of heads and of rows", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  const std::int64_t one = 4 * 35 * 40;  // bytes of a head's scores at 5 x 7 positions
  same_as_reference<T>({1, 5, 7, 60}, 5, 2 * one);
  same_as_reference<T>({5, 5, 7, 24}, 2, 3 * one);
  same_as_reference<T>({3, 5, 7, 24}, 2, one);
  same_as_reference<T>({2, 5, 7, 24}, 2, one / 3);
  same_as_reference<T>({1, 5, 7, 24}, 2, 1);               // a row at a time
  same_as_reference<T>({1, 13, 13, 12}, 2, 4 * 176 * 70);  // whole tiles of rows
}

TEST_CASE_TEMPLATE("CUDA: attention over more positions than a warp keeps", T, float, bfloat16) {
  if (!test::cuda_present()) return;
  same_as_reference<T>({1, 25, 27, 6}, 1, 4 * 680 * 200);
  same_as_reference<T>({1, 1, 1029, 6}, 1, 4 * 1032 * 400);
}

TEST_CASE_TEMPLATE("CUDA: softmax of rows of every length, and its gradient", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  Context<CudaOf<T>> ctx;
  for (const std::int64_t columns : {1, 4, 31, 128, 129, 256, 300, 512, 513, 1024, 1025, 1500}) {
    CAPTURE(columns);
    const std::int64_t rows = 3, stride = (columns + 7) / 8 * 8;
    const float scale = 0.7f;
    const Shape shape{.n = rows, .c = stride};
    auto s = test::random(shape, 1), dp = test::random(shape, 2);
    for (std::int64_t i = 0; i < s.size(); ++i) {
      s.data()[i] = 90 + 20 * s.data()[i];                          // exp of it is more than float holds
      if (i % stride >= columns) s.data()[i] = dp.data()[i] = NAN;  // counts for nothing
    }
    Tensor<float, Cpu> want_p({.n = rows, .c = columns}), want_ds(want_p.shape());
    for (std::int64_t r = 0; r < rows; ++r) {
      double sum = 0, mean = 0;
      const auto e = [&](std::int64_t j) { return std::exp(double{scale} * (double{s.data()[r * stride + j]} - 110)); };
      for (std::int64_t j = 0; j < columns; ++j) sum += e(j);
      for (std::int64_t j = 0; j < columns; ++j) mean += e(j) / sum * double{dp.data()[r * stride + j]};
      for (std::int64_t j = 0; j < columns; ++j) {
        want_p.data()[r * columns + j] = static_cast<float>(e(j) / sum);
        want_ds.data()[r * columns + j] = static_cast<float>(e(j) / sum * (double{dp.data()[r * stride + j]} - mean));
      }
    }
    const auto close = [&](const Tensor<T, CudaOf<T>>& out, const Tensor<float, Cpu>& want) {
      const auto host = test::from_cuda<T>(View<T, CudaOf<T>>(const_cast<T*>(out.data()), out.shape()));
      Tensor<float, Cpu> inside(want.shape());
      for (std::int64_t i = 0; i < inside.size(); ++i)
        inside.data()[i] = host.data()[i / columns * stride + i % columns];
      const auto got = test::compare(inside.view(), want.view(), kTolerance<T>);
      CHECK_MESSAGE(got.close, got);
    };
    const cuda::ScoreRows config{.rows = rows, .columns = columns, .stride = stride, .scale = scale};
    auto scores = test::to_cuda<T, float>(s.view()), gradient = test::to_cuda<T, float>(dp.view());
    auto p = unwritten<T>(shape), ds = unwritten<T>(shape);
    cuda::softmax_rows(ctx, p.data(), scores.data(), config);
    close(p, want_p);
    p = unwritten<T>(shape);
    cuda::softmax_rows_gradient(ctx, p.data(), ds.data(), scores.data(), gradient.data(), config);
    close(p, want_p);
    if (columns > 1) close(ds, want_ds);
    if constexpr (std::is_same_v<T, float>) {  // in place
      cuda::softmax_rows_gradient(ctx, scores.data(), gradient.data(), scores.data(), gradient.data(), config);
      close(scores, want_p);
      if (columns > 1) close(gradient, want_ds);
    }
  }
}

TEST_CASE("CUDA: attention passes NaN on to its head and image alone") {
  if (!test::cuda_present()) return;
  Context<Cuda> ctx;
  for (const Shape s : {Shape{2, 3, 4, 24}, Shape{2, 1, 1100, 24}}) {
    auto x = test::random(s, 1);
    x.data()[5 * 24 + 12] = NAN;  // the first query of position 5 of head 1 of image 0
    Tensor<float, Cuda> out({s.n, s.h, s.w, 8});
    ops::attention(ctx, out.view(), test::to_cuda<float>(x.view()).view(), {.heads = 2});
    const auto got = test::from_cuda<float>(out.view());
    for (std::int64_t i = 0; i < got.size(); ++i) REQUIRE(std::isnan(got.data()[i]) == (i / 8 == 5 && i % 8 >= 4));
  }
}

TEST_CASE("CUDA: attention refuses shapes that do not fit") {
  if (!test::cuda_present()) return;
  Context<CudaHalf> ctx;
  Tensor<half, CudaHalf> qkv({1, 2, 2, 12}), out({1, 2, 2, 4}), other({1, 2, 2, 5});
  CHECK_THROWS_AS(ops::attention(ctx, out.view(), qkv.view(), {.heads = 3}), Error);
  CHECK_THROWS_AS(ops::attention(ctx, other.view(), qkv.view(), {.heads = 2}), Error);
  CHECK_THROWS_AS(ops::attention_backward(ctx, qkv.view(), other.view(), qkv.view(), {.heads = 2}), Error);
  CHECK_THROWS_AS(ops::attention_backward(ctx, out.view(), out.view(), qkv.view(), {.heads = 2}), Error);
}

}  // namespace cuda_attention_test
