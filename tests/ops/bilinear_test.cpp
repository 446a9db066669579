// bilinear_align_corners: exact on linear images, against the formula elsewhere, corner pixels untouched.

#include "d3ad/backend/cpu/bilinear.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "support/compare.hpp"

namespace ops_bilinear_test {

using namespace d3ad;

namespace {

// The formula, one output element at a time, in double. `corners` false: pixel centres are aligned instead (wrong
// here).
Tensor<float, Cpu> reference(const Tensor<float, Cpu>& x, std::int64_t h, std::int64_t w, bool corners = true) {
  const Shape s = x.shape();
  Tensor<float, Cpu> out({s.n, h, w, s.c});
  const auto position = [&](std::int64_t i, std::int64_t in, std::int64_t to) {
    if (corners) return to > 1 ? static_cast<double>(i * (in - 1)) / static_cast<double>(to - 1) : 0.0;
    const double p = (static_cast<double>(i) + 0.5) * static_cast<double>(in) / static_cast<double>(to) - 0.5;
    return std::clamp(p, 0.0, static_cast<double>(in - 1));
  };
  const auto pixel = [&](std::int64_t n, std::int64_t y, std::int64_t x_, std::int64_t c) {
    return double{x.data()[((n * s.h + std::min(y, s.h - 1)) * s.w + std::min(x_, s.w - 1)) * s.c + c]};
  };
  float* dst = out.data();
  for (std::int64_t n = 0; n < s.n; ++n)
    for (std::int64_t i = 0; i < h; ++i)
      for (std::int64_t j = 0; j < w; ++j)
        for (std::int64_t c = 0; c < s.c; ++c) {
          const double p = position(i, s.h, h), q = position(j, s.w, w);
          const auto y = static_cast<std::int64_t>(p), u = static_cast<std::int64_t>(q);
          const double v = p - std::floor(p), t = q - std::floor(q);
          *dst++ = static_cast<float>((1 - v) * ((1 - t) * pixel(n, y, u, c) + t * pixel(n, y, u + 1, c)) +
                                      v * ((1 - t) * pixel(n, y + 1, u, c) + t * pixel(n, y + 1, u + 1, c)));
        }
  return out;
}

Tensor<float, Cpu> resized(const Tensor<float, Cpu>& x, std::int64_t h, std::int64_t w, int threads = 2) {
  Context<Cpu> ctx({.threads = threads});
  Tensor<float, Cpu> out({x.shape().n, h, w, x.shape().c});
  ops::bilinear_align_corners(ctx, out.view(), x.view());
  return out;
}

}  // namespace

TEST_CASE("bilinear_align_corners follows its formula at any size") {
  for (const Shape s : {Shape{2, 5, 7, 3}, Shape{1, 1, 1, 2}, Shape{1, 1, 9, 1}, Shape{1, 32, 32, 1}}) {
    const auto x = test::random(s, 1);
    for (const Shape to : {Shape{.h = 1, .w = 1}, Shape{.h = 5, .w = 7}, Shape{.h = 13, .w = 4},
                           Shape{.h = 256, .w = 256}, Shape{.h = 2, .w = 300}}) {
      CAPTURE(s);
      CAPTURE(to);
      const auto c = test::compare(resized(x, to.h, to.w).view(), reference(x, to.h, to.w).view(), 1e-6);
      CHECK_MESSAGE(c.close, c);
    }
  }
}

TEST_CASE("bilinear_align_corners keeps the corners; aligning centres would be noticed") {
  const auto x = test::random({1, 4, 4, 1}, 2);
  const auto out = resized(x, 11, 9);
  CHECK(out.data()[0] == x.data()[0]);
  CHECK(out.data()[8] == x.data()[3]);
  CHECK(out.data()[10 * 9] == x.data()[12]);
  CHECK(out.data()[98] == x.data()[15]);
  CHECK_FALSE(test::compare(out.view(), reference(x, 11, 9, /*corners=*/false).view(), 1e-2).close);
}

TEST_CASE("bilinear_align_corners gives the same bits with any number of threads") {
  const auto x = test::random({3, 17, 5, 4}, 3);
  const auto one = resized(x, 40, 33, 1), four = resized(x, 40, 33, 4);
  CHECK(std::equal(one.data(), one.data() + one.size(), four.data()));
}

TEST_CASE("bilinear_align_corners refuses other batches and empty images") {
  Context<Cpu> ctx({.threads = 1});
  const auto x = test::random({2, 3, 3, 1}, 4);
  Tensor<float, Cpu> other({1, 3, 3, 1}), fine({1, 3, 3, 1}), empty({1, 0, 3, 1});
  CHECK_THROWS_AS(ops::bilinear_align_corners(ctx, other.view(), x.view()), Error);
  CHECK_THROWS_AS(ops::bilinear_align_corners(ctx, fine.view(), empty.view()), Error);
}

}  // namespace ops_bilinear_test
