// ops/blur.hpp on the GPU against the reference device.

#include "d3ad/ops/blur.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/backend/reference/blur.hpp"
#include "d3ad/backend/reference/ops.hpp"
#include "support/compare.hpp"
#include "support/cuda.hpp"

namespace cuda_blur_test {

using namespace d3ad;

namespace {

template <class T>
Tensor<float, Cpu> blurred(Context<CudaOf<T>>& ctx, const Tensor<float, Cpu>& x, float sigma, int radius,
                           bool in_place = false) {
  auto copy = test::to_cuda<T, float>(x.view());
  Tensor<float, CudaOf<T>> out(x.shape());
  ops::gaussian_blur(ctx, in_place ? copy.view() : out.view(), copy.view(), sigma, radius);
  return test::from_cuda<T, float>(in_place ? copy.view() : out.view());
}

// The two passes in double; the reference device's double loop would take too long for large radii.
Tensor<double, Reference> separable(const Tensor<float, Cpu>& x, double sigma, std::int64_t radius) {
  const Shape s = x.shape();
  std::vector<double> weights;
  double sum = 0;
  for (std::int64_t d = -radius; d <= radius; ++d) {
    const auto t = static_cast<double>(d) / sigma;
    weights.push_back(std::exp(-0.5 * t * t)), sum += weights.back();
  }
  Tensor<double, Reference> out(s);
  std::vector<double> between(static_cast<std::size_t>(s.size()));
  const auto pass = [&](double* to, const auto* from, std::int64_t outer, std::int64_t length, std::int64_t inner) {
    for (std::int64_t i = 0; i < s.size(); ++i) {
      const std::int64_t o = i / inner / length, at = i / inner % length;
      REQUIRE(o < outer);
      double total = 0;
      for (std::int64_t d = -radius; d <= radius; ++d)
        total += weights[static_cast<std::size_t>(d + radius)] *
                 from[(o * length + ops::mirrored(at + d, length)) * inner + i % inner];
      to[i] = total / sum;
    }
  };
  pass(between.data(), x.data(), s.n * s.h, s.w, s.c);
  pass(out.data(), between.data(), s.n, s.h, s.w * s.c);
  return out;
}

}  // namespace

TEST_CASE("CUDA: gaussian_blur is that of the reference device, on images smaller than its reach too") {
  if (!test::cuda_present()) return;
  Context<Cuda> ctx;
  for (const Shape s : {Shape{2, 40, 33, 1}, Shape{1, 20, 20, 2}, Shape{1, 5, 3, 1}, Shape{1, 1, 7, 1},
                        Shape{1, 1, 1, 1}, Shape{3, 7, 1, 33}, Shape{1, 9, 6, 40}, Shape{2, 3, 5, 25}})
    for (const int radius : {1, 4, 16}) {
      CAPTURE(s);
      CAPTURE(radius);
      const auto x = test::random(s, 1);
      Context<Reference> exact;
      Tensor<double, Reference> want(s);
      ops::gaussian_blur(exact, want.view(), test::to_reference(x.view()).view(), 4, radius);
      const auto got = test::compare(blurred(ctx, x, 4, radius).view(), want.view(), 2e-6);
      CHECK_MESSAGE(got.close, got);
    }
}

TEST_CASE("CUDA: gaussian_blur of more than one tile, and of radii beyond what tiles hold") {
  if (!test::cuda_present()) return;
  Context<Cuda> ctx;
  struct Case {
    Shape s;
    float sigma;
    int radius;
  };
  for (const Case& c : {Case{{2, 70, 140, 1}, 4.0f, 16},
                        {{1, 40, 135, 3}, 4.0f, 16},
                        {{1, 40, 60, 1}, 50.0f, 150},
                        {{1, 40, 60, 1}, 300.0f, 900},
                        {{2, 9, 30, 2}, 300.0f, 1500},
                        {{1, 2, 3, 1}, 10000.0f, 100000},
                        {{1, 1, 2, 1}, 0.5f, 100000}}) {
    const Shape s = c.s;
    const float sigma = c.sigma;
    const int radius = c.radius;
    CAPTURE(s);
    CAPTURE(radius);
    auto x = test::random(s, 1);
    for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] += 1;  // else the mean, close to 0, is the largest value
    const auto got =
        test::compare(blurred(ctx, x, sigma, radius).view(), separable(x, double{sigma}, radius).view(), 2e-6);
    CHECK_MESSAGE(got.close, got);
  }
}

TEST_CASE_TEMPLATE("CUDA: gaussian_blur in place, keeps constants; sigma or radius 0 copies", T, float, half,
                   bfloat16) {
  if (!test::cuda_present()) return;
  Context<CudaOf<T>> ctx;
  auto x = test::random({2, 20, 131, 1}, 2);
  const auto equal = [](const auto& p, const auto& q) { return std::equal(p.data(), p.data() + p.size(), q.data()); };
  CHECK(equal(blurred(ctx, x, 0, 16), x));
  CHECK(equal(blurred(ctx, x, 4, 0), x));
  const auto want = blurred(ctx, x, 2, 8);
  CHECK(equal(blurred(ctx, x, 2, 8, /*in_place=*/true), want));
  CHECK_FALSE(equal(blurred(ctx, x, 2.0001f, 8), want));  // other weights than those that were kept
  CHECK_FALSE(equal(blurred(ctx, x, 2, 7), want));
  const auto plain = blurred(ctx, x, 20, 700);
  CHECK(equal(blurred(ctx, x, 20, 700, /*in_place=*/true), plain));
  std::fill_n(x.data(), x.size(), 0.75f);
  for (const auto& out : {blurred(ctx, x, 4, 16), blurred(ctx, x, 20, 700)})
    for (std::int64_t i = 0; i < out.size(); ++i) REQUIRE(out.data()[i] == doctest::Approx(0.75).epsilon(1e-6));
  Tensor<float, CudaOf<T>> y({1, 4, 4, 1}), none({0, 4, 4, 1});
  CHECK_THROWS_AS(ops::gaussian_blur(ctx, y.view(), y.view(), -1, 16), Error);
  CHECK_THROWS_AS(ops::gaussian_blur(ctx, y.view(), y.view(), NAN, 16), Error);
  CHECK_THROWS_AS(ops::gaussian_blur(ctx, y.view(), y.view(), 1, -1), Error);
  CHECK_NOTHROW(ops::gaussian_blur(ctx, none.view(), none.view(), 4, 16));
}

TEST_CASE("CUDA: gaussian_blur passes NaN on as far as it reaches") {
  if (!test::cuda_present()) return;
  Context<Cuda> ctx;
  auto x = test::random({1, 60, 60, 1}, 2);
  x.data()[30 * 60 + 30] = NAN;
  const auto out = blurred(ctx, x, 4, 16);
  for (std::int64_t i = 0; i < out.size(); ++i)
    REQUIRE(std::isnan(out.data()[i]) == (std::abs(i / 60 - 30) <= 16 && std::abs(i % 60 - 30) <= 16));
}

TEST_CASE_TEMPLATE("CUDA: mix_maps scales each map by its range, in place too", T, float, bfloat16) {
  if (!test::cuda_present()) return;
  Context<CudaOf<T>> ctx;
  Context<Reference> exact;
  for (const Shape s : {Shape{2, 4, 5, 1}, Shape{1, 3, 3, 1}, Shape{3, 70, 71, 1}})
    for (const auto& [x_range, y_range] : {std::pair{ops::MapRange{-1, 3}, ops::MapRange{-2, 2}},
                                           {ops::MapRange{0.5f, 0.5f}, ops::MapRange{-2, 2}},
                                           {ops::MapRange{-1, 3}, ops::MapRange{2, -2}}}) {
      CAPTURE(s);
      const auto x = test::random(s, 1), y = test::random(s, 2);
      Tensor<double, Reference> want(s);
      ops::mix_maps(exact, want.view(), test::to_reference(x.view()).view(), test::to_reference(y.view()).view(),
                    x_range, y_range, 0.85f);
      for (const int in_place : {0, 1, 2}) {
        auto p = test::to_cuda<T, float>(x.view()), q = test::to_cuda<T, float>(y.view());
        Tensor<float, CudaOf<T>> apart(s);
        const auto out = in_place == 0 ? apart.view() : in_place == 1 ? p.view() : q.view();
        ops::mix_maps(ctx, out, p.view(), q.view(), x_range, y_range, 0.85f);
        const auto got = test::compare(test::from_cuda<T, float>(out).view(), want.view(), 1e-6);
        CHECK_MESSAGE(got.close, got);
      }
    }
  Tensor<float, CudaOf<T>> two({2, 2, 2, 1});
  CHECK_THROWS_AS(ops::mix_maps(ctx, two.view(), two.view(), two.view().images(0, 1), {}, {}, 0.5f), Error);
}

TEST_CASE_TEMPLATE("CUDA: min_max and max_per_image find extremes wherever they are and pass NaN on", T, float, half) {
  if (!test::cuda_present()) return;
  Context<CudaOf<T>> ctx;
  for (const Shape s :
       {Shape{3, 100, 150, 1}, Shape{1, 1, 1, 1}, Shape{5, 3, 3, 1}, Shape{20, 2, 2, 1}, Shape{2, 51, 100, 3}}) {
    CAPTURE(s);
    const std::int64_t count = s.size() / s.n;
    for (const std::int64_t at : {std::int64_t{0}, s.size() / 3, s.size() - 1}) {
      auto x = test::random(s, 1);
      for (const float special : {-7.0f, 5.0f, NAN}) {
        x.data()[at] = special;
        const auto device = test::to_cuda<T, float>(x.view());
        float lo = 0, hi = 0;
        ops::min_max(ctx, device.view(), lo, hi);
        Tensor<float, CudaOf<T>> most({.n = s.n});
        ops::max_per_image(ctx, most.view(), device.view());
        const auto got = test::from_cuda<T, float>(most.view());
        for (std::int64_t n = 0; n < s.n; ++n) {
          const float largest = *std::max_element(x.data() + n * count, x.data() + (n + 1) * count);
          if (std::isnan(special) && at / count == n)
            REQUIRE(std::isnan(got.data()[n]));
          else
            REQUIRE(got.data()[n] == largest);
        }
        if (std::isnan(special)) {
          CHECK(std::isnan(lo));
          CHECK(std::isnan(hi));
        } else {
          CHECK(lo == *std::min_element(x.data(), x.data() + x.size()));
          CHECK(hi == *std::max_element(x.data(), x.data() + x.size()));
        }
      }
    }
  }
  float lo = 0, hi = 0;
  Tensor<float, CudaOf<T>> most({.n = 2}), three({3, 2, 2, 1}), none({0, 2, 2, 1});
  CHECK_THROWS_AS(ops::max_per_image(ctx, most.view(), three.view()), Error);
  CHECK_THROWS_AS(ops::min_max(ctx, {}, lo, hi), Error);
  CHECK_NOTHROW(ops::max_per_image(ctx, most.view().images(0, 0), none.view()));
}

}  // namespace cuda_blur_test
