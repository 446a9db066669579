// mix_maps, gaussian_blur, min_max and max_per_image against their formulas.

#include "d3ad/backend/cpu/blur.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "support/compare.hpp"

namespace ops_blur_test {

using namespace d3ad;

namespace {

enum class Border { mirror, repeat_edge, clamp };

// The two-dimensional sum, pixel by pixel, in double.
Tensor<float, Cpu> reference(const Tensor<float, Cpu>& x, double sigma, int radius, Border border = Border::mirror) {
  const Shape s = x.shape();
  const auto inside = [&](std::int64_t i, std::int64_t n) {
    if (border == Border::clamp) return std::clamp<std::int64_t>(i, 0, n - 1);
    if (n == 1) return std::int64_t{0};
    const std::int64_t again = border == Border::repeat_edge ? 1 : 0;
    while (i < 0 || i >= n) i = i < 0 ? -i - again : 2 * (n - 1) - i + again;
    return i;
  };
  double sum = 0;
  for (int d = -radius; d <= radius; ++d) sum += std::exp(-d * d / (2 * sigma * sigma));
  Tensor<float, Cpu> out(s);
  float* dst = out.data();
  for (std::int64_t n = 0; n < s.n; ++n)
    for (std::int64_t y = 0; y < s.h; ++y)
      for (std::int64_t u = 0; u < s.w; ++u)
        for (std::int64_t c = 0; c < s.c; ++c) {
          double total = 0;
          for (int p = -radius; p <= radius; ++p)
            for (int q = -radius; q <= radius; ++q)
              total += std::exp(-(p * p + q * q) / (2 * sigma * sigma)) *
                       x.data()[((n * s.h + inside(y + p, s.h)) * s.w + inside(u + q, s.w)) * s.c + c];
          *dst++ = static_cast<float>(total / (sum * sum));
        }
  return out;
}

Tensor<float, Cpu> blurred(const Tensor<float, Cpu>& x, float sigma, int radius, int threads = 2) {
  Context<Cpu> ctx({.threads = threads});
  Tensor<float, Cpu> out(x.shape());
  ops::gaussian_blur(ctx, out.view(), x.view(), sigma, radius);
  return out;
}

}  // namespace

TEST_CASE("gaussian_blur follows its formula, on images smaller than its reach too") {
  for (const Shape s :
       {Shape{2, 40, 33, 1}, Shape{1, 20, 20, 2}, Shape{1, 5, 3, 1}, Shape{1, 1, 7, 1}, Shape{1, 1, 1, 1}})
    for (const int radius : {1, 4, 16}) {
      CAPTURE(s);
      CAPTURE(radius);
      const auto x = test::random(s, 1);
      const auto got = test::compare(blurred(x, 4, radius).view(), reference(x, 4, radius).view(), 2e-6);
      CHECK_MESSAGE(got.close, got);
    }
}

TEST_CASE("another border, sigma or radius of gaussian_blur would be noticed") {
  const auto x = test::random({1, 24, 24, 1}, 1);
  const auto got = blurred(x, 4, 16);
  CHECK_FALSE(test::compare(got.view(), reference(x, 4, 16, Border::repeat_edge).view(), 1e-3).close);
  CHECK_FALSE(test::compare(got.view(), reference(x, 4, 16, Border::clamp).view(), 1e-3).close);
  CHECK_FALSE(test::compare(got.view(), reference(x, 3.9, 16).view(), 1e-3).close);
  CHECK_FALSE(test::compare(got.view(), reference(x, 4, 8).view(), 1e-3).close);
}

TEST_CASE("gaussian_blur in place, with any number of threads, keeps constants; sigma 0 copies") {
  auto x = test::random({3, 30, 31, 1}, 2);
  const auto want = blurred(x, 2, 8, 1);
  Context<Cpu> ctx({.threads = 4});
  const auto copy = blurred(x, 0, 16);
  CHECK(std::equal(x.data(), x.data() + x.size(), copy.data()));
  ops::gaussian_blur(ctx, x.view(), x.view(), 2, 8);
  CHECK(std::equal(x.data(), x.data() + x.size(), want.data()));
  std::fill_n(x.data(), x.size(), 0.75f);
  ops::gaussian_blur(ctx, x.view(), x.view(), 4, 16);
  for (std::int64_t i = 0; i < x.size(); ++i) REQUIRE(x.data()[i] == doctest::Approx(0.75).epsilon(1e-6));
  CHECK_THROWS_AS(ops::gaussian_blur(ctx, x.view(), x.view(), -1, 16), Error);
  CHECK_THROWS_AS(ops::gaussian_blur(ctx, x.view(), x.view(), NAN, 16), Error);
  CHECK_THROWS_AS(ops::gaussian_blur(ctx, x.view(), x.view(), 1, -1), Error);
}

TEST_CASE("mirrored leaves the border pixel out and repeats") {
  const std::int64_t want[] = {2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1};  // of -4, -3, ... 7
  for (std::int64_t i = -4; i < 8; ++i) CHECK(ops::mirrored(i, 4) == want[i + 4]);
  for (const std::int64_t i : {-3, 0, 5}) CHECK(ops::mirrored(i, 1) == 0);
}

TEST_CASE("mix_maps scales each map by its range") {
  Context<Cpu> ctx({.threads = 2});
  const auto x = test::random({2, 4, 5, 1}, 1), y = test::random({2, 4, 5, 1}, 2);
  Tensor<float, Cpu> out(x.shape()), want(x.shape());
  ops::mix_maps(ctx, out.view(), x.view(), y.view(), {-1, 3}, {-2, 2}, 0.85f);
  for (std::int64_t i = 0; i < out.size(); ++i)
    want.data()[i] = static_cast<float>(0.85 * (x.data()[i] + 1.0) / 4 + 0.15 * (y.data()[i] + 2.0) / 4);
  CHECK(test::compare(out.view(), want.view(), 1e-6).close);
  ops::mix_maps(ctx, out.view(), y.view(), x.view(), {-2, 2}, {-1, 3}, 0.85f);
  CHECK_FALSE(test::compare(out.view(), want.view(), 1e-3).close);
  // An empty range counts as nothing.
  ops::mix_maps(ctx, out.view(), x.view(), y.view(), {0.5f, 0.5f}, {-2, 2}, 0.0f);
  for (std::int64_t i = 0; i < out.size(); ++i) CHECK(out.data()[i] == doctest::Approx((y.data()[i] + 2) / 4));
  CHECK_THROWS_AS(ops::mix_maps(ctx, out.view(), x.view(), y.view().images(0, 1), {}, {}, 0.5f), Error);
}

TEST_CASE("min_max and max_per_image find extremes and pass NaN on") {
  Context<Cpu> ctx({.threads = 2});
  auto x = test::random({3, 50, 50, 1}, 1);
  x.data()[7] = 5, x.data()[2500 + 3] = -4, x.data()[7499] = 3;
  float lo = 0, hi = 0;
  ops::min_max(ctx, x.view(), lo, hi);
  CHECK(lo == -4.0f);
  CHECK(hi == 5.0f);
  Tensor<float, Cpu> most({.n = 3});
  ops::max_per_image(ctx, most.view(), x.view());
  CHECK(most.data()[0] == 5.0f);
  CHECK(most.data()[1] <= 1.0f);
  CHECK(most.data()[2] == 3.0f);
  x.data()[5000] = NAN;
  ops::max_per_image(ctx, most.view(), x.view());
  CHECK(most.data()[0] == 5.0f);
  CHECK(std::isnan(most.data()[2]));
  ops::min_max(ctx, x.view(), lo, hi);
  CHECK(std::isnan(lo));
  CHECK(std::isnan(hi));
  CHECK_THROWS_AS(ops::max_per_image(ctx, most.view().images(0, 2), x.view()), Error);
  CHECK_THROWS_AS(ops::min_max(ctx, {}, lo, hi), Error);
}

}  // namespace ops_blur_test
