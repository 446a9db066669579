// ops/distance.hpp on the GPU, for each type of activations, against the reference device.

#include "d3ad/ops/distance.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/backend/reference/distance.hpp"
#include "d3ad/backend/reference/ops.hpp"
#include "support/compare.hpp"
#include "support/cuda.hpp"

namespace cuda_distance_test {

using namespace d3ad;

namespace {

// Numbers that T can hold, as float.
template <class T>
Tensor<float, Cpu> rounded(Shape shape, std::uint64_t seed) {
  auto x = test::random(shape, seed);
  for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(static_cast<T>(x.data()[i]));
  return x;
}

template <class T>
std::vector<float> pairs(const Tensor<float, Cpu>& a, const Tensor<float, Cpu>* b) {
  Context<CudaOf<T>> ctx;
  const auto x = test::to_cuda<T, float>(a.view());
  const auto y = b ? test::to_cuda<T, float>(b->view()) : Tensor<float, CudaOf<T>>();
  const Shape shape{.n = a.shape().n, .c = b ? b->shape().n : a.shape().n};
  Tensor<float, CudaOf<T>> out(shape);
  ops::pairwise_l1(ctx, out.view(), x.view(), b ? y.view() : x.view());
  std::vector<float> host(static_cast<std::size_t>(out.size()));
  copy_to_host<float, CudaOf<T>>(host.data(), out.view());
  return host;
}

}  // namespace

TEST_CASE_TEMPLATE("CUDA: channel_l1 and channel_cosine are those of the reference device", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  for (const Shape s : {Shape{2, 5, 6, 7}, Shape{2, 5, 7, 8}, Shape{1, 3, 3, 1}, Shape{3, 9, 9, 3}, Shape{1, 7, 5, 64},
                        Shape{2, 3, 3, 512}, Shape{1, 2, 2, 1000}, Shape{1, 40, 300, 4}, Shape{1, 1, 3, 301},
                        Shape{1, 1050, 1000, 1}}) {
    CAPTURE(s);
    const Shape map{s.n, s.h, s.w, 1};
    const auto a = rounded<T>(s, 1), b = rounded<T>(s, 2);
    Context<CudaOf<T>> ctx;
    Context<Reference> exact;
    Tensor<float, CudaOf<T>> out(map);
    Tensor<double, Reference> want(map);
    const auto p = test::to_reference(a.view()), q = test::to_reference(b.view());

    ops::channel_l1(exact, want.view(), p.view(), q.view());
    ops::channel_l1(ctx, out.view(), test::to_cuda<T, float>(a.view()).view(),
                    test::to_cuda<T, float>(b.view()).view());
    auto got = test::compare(test::from_cuda<T, float>(out.view()).view(), want.view(), 1e-6);
    CHECK_MESSAGE(got.close, got);

    ops::channel_cosine(exact, want.view(), p.view(), q.view());
    const auto x = test::to_cuda<T>(a.view());
    ops::channel_cosine(ctx, out.view(), x.view(), test::to_cuda<T>(b.view()).view());
    got = test::compare(test::from_cuda<T, float>(out.view()).view(), want.view(), 1e-6);
    CHECK_MESSAGE(got.close, got);

    ops::channel_cosine(ctx, out.view(), x.view(), x.view());
    const auto self = test::from_cuda<T, float>(out.view());
    CHECK(std::all_of(self.data(), self.data() + self.size(), [](float d) { return std::abs(d) < 1e-6f; }));
  }
}

TEST_CASE_TEMPLATE("CUDA: channel_cosine of nothing and of what is no number", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  Context<CudaOf<T>> ctx;
  auto a = test::random({1, 2, 2, 8}, 1);
  std::fill_n(a.data(), 8, 0.0f);
  a.data()[8 + 3] = NAN;
  const auto b = test::random({1, 2, 2, 8}, 2);
  Tensor<float, CudaOf<T>> out({1, 2, 2, 1});
  ops::channel_cosine(ctx, out.view(), test::to_cuda<T>(a.view()).view(), test::to_cuda<T>(b.view()).view());
  auto got = test::from_cuda<T, float>(out.view());
  CHECK(got.data()[0] == 1.0f);
  CHECK(std::isnan(got.data()[1]));
  CHECK(std::isfinite(got.data()[2]));
  ops::channel_l1(ctx, out.view(), test::to_cuda<T, float>(a.view()).view(), test::to_cuda<T, float>(b.view()).view());
  got = test::from_cuda<T, float>(out.view());
  CHECK(std::isnan(got.data()[1]));
  CHECK(std::isfinite(got.data()[2]));
}

TEST_CASE("CUDA: channel_cosine's eps is on each length") {
  if (!test::cuda_present()) return;
  Context<Cuda> ctx;
  auto tiny = test::random({1, 1, 1, 1}, 1), one = test::random({1, 1, 1, 1}, 2);
  tiny.data()[0] = 1e-9f, one.data()[0] = 1.0f;
  Tensor<float, Cuda> out({1, 1, 1, 1});
  ops::channel_cosine(ctx, out.view(), test::to_cuda<float>(tiny.view()).view(),
                      test::to_cuda<float>(one.view()).view());
  CHECK(test::from_cuda<float>(out.view()).data()[0] == doctest::Approx(0.9).epsilon(1e-5));
}

TEST_CASE_TEMPLATE("CUDA: pairwise_l1 is that of the reference device", T, float, bfloat16) {
  if (!test::cuda_present()) return;
  for (const std::int64_t c : {1, 15, 16, 37, 256, 257, 1000, 5000})
    for (const auto& sides : {std::pair{11, 19}, {1, 130}, {65, 64}, {70, 3}}) {
      const int rows = sides.first, columns = sides.second;
      if (c > 1000 && rows > 11) continue;
      CAPTURE(c);
      CAPTURE(rows);
      const auto a = test::random({rows, 1, 2, c}, 1), b = test::random({columns, 1, 2, c}, 2);
      Context<Reference> exact;
      Tensor<double, Reference> want({.n = rows, .c = columns});
      ops::pairwise_l1(exact, want.view(), test::to_reference(a.view()).view(), test::to_reference(b.view()).view());
      const auto out = pairs<T>(a, &b);
      const auto got = test::compare_numbers(out.data(), want.shape(), want.data(), want.shape(), 1e-6);
      CHECK_MESSAGE(got.close, got);
      CHECK(pairs<T>(a, &b) == out);
    }
}

TEST_CASE("CUDA: pairwise_l1 with itself is symmetric, 0 on the diagonal, and the same bits as with a copy") {
  if (!test::cuda_present()) return;
  for (const Shape s : {Shape{21, 3, 3, 30}, Shape{150, 2, 2, 5}, Shape{70, 1, 1, 700}}) {
    CAPTURE(s);
    const auto a = test::random(s, 1), copy = test::random(s, 1);
    const auto self = pairs<float>(a, nullptr);
    CHECK(self == pairs<float>(a, &copy));
    for (std::int64_t i = 0; i < s.n; ++i)
      for (std::int64_t j = 0; j <= i; ++j) {
        const float d = self[static_cast<std::size_t>(i * s.n + j)];
        REQUIRE(d == self[static_cast<std::size_t>(j * s.n + i)]);
        REQUIRE((d == 0.0f) == (i == j));
      }
  }
}

TEST_CASE("CUDA: pairwise_l1 passes NaN on to its pairs alone; of nothing it is 0") {
  if (!test::cuda_present()) return;
  auto a = test::random({3, 1, 1, 600}, 1);
  const auto b = test::random({4, 1, 1, 600}, 2);
  a.data()[600 + 599] = NAN;
  const auto got = pairs<float>(a, &b);
  for (std::size_t i = 0; i < got.size(); ++i) CHECK(std::isnan(got[i]) == (i / 4 == 1));
  const Tensor<float, Cpu> none({3, 1, 1, 0});
  for (const float d : pairs<float>(none, nullptr)) CHECK(d == 0.0f);
}

TEST_CASE("CUDA: distances refuse other shapes") {
  if (!test::cuda_present()) return;
  Context<CudaHalf> ctx;
  Tensor<float, CudaHalf> a({2, 3, 3, 4}), b({2, 3, 3, 5}), map({2, 3, 3, 1}), two({.n = 2, .c = 2});
  Tensor<half, CudaHalf> features({2, 3, 3, 4});
  CHECK_THROWS_AS(ops::channel_l1(ctx, map.view(), a.view(), b.view()), Error);
  CHECK_THROWS_AS(ops::channel_cosine(ctx, two.view(), features.view(), features.view()), Error);
  CHECK_THROWS_AS(ops::pairwise_l1(ctx, two.view(), a.view(), b.view()), Error);
  CHECK_THROWS_AS(ops::pairwise_l1(ctx, map.view(), a.view(), a.view()), Error);
}

}  // namespace cuda_distance_test
