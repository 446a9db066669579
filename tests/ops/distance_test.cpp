// channel_l1, channel_cosine and pairwise_l1 against plain loops in double.

#include "d3ad/backend/cpu/distance.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "support/compare.hpp"

namespace ops_distance_test {

using namespace d3ad;

namespace {

enum class Kind { l1, l1_sum, cosine, dot };

Tensor<float, Cpu> reference(Kind kind, const Tensor<float, Cpu>& a, const Tensor<float, Cpu>& b) {
  const Shape s = a.shape();
  Tensor<float, Cpu> out({s.n, s.h, s.w, 1});
  for (std::int64_t r = 0; r < s.rows(); ++r) {
    double l1 = 0, ab = 0, aa = 0, bb = 0;
    for (std::int64_t i = r * s.c; i < (r + 1) * s.c; ++i) {
      const double p = a.data()[i], q = b.data()[i];
      l1 += std::abs(p - q), ab += p * q, aa += p * p, bb += q * q;
    }
    double d = l1;
    if (kind == Kind::l1) d = l1 / static_cast<double>(s.c);
    if (kind == Kind::cosine) d = 1 - ab / (std::sqrt(aa) * std::sqrt(bb));
    if (kind == Kind::dot) d = 1 - ab;
    out.data()[r] = static_cast<float>(d);
  }
  return out;
}

Tensor<float, Cpu> pairs(const Tensor<float, Cpu>& a, const Tensor<float, Cpu>& b, int threads = 2) {
  Context<Cpu> ctx({.threads = threads});
  Tensor<float, Cpu> out({.n = a.shape().n, .c = b.shape().n});
  ops::pairwise_l1(ctx, out.view(), a.view(), b.view());
  return out;
}

Tensor<float, Cpu> pairs_reference(const Tensor<float, Cpu>& a, const Tensor<float, Cpu>& b, std::int64_t dropped = 0) {
  const std::int64_t count = a.size() / a.shape().n;
  Tensor<float, Cpu> out({.n = a.shape().n, .c = b.shape().n});
  for (std::int64_t i = 0; i < a.shape().n; ++i)
    for (std::int64_t j = 0; j < b.shape().n; ++j) {
      double sum = 0;
      for (std::int64_t k = 0; k < count - dropped; ++k)
        sum += std::abs(double{a.data()[i * count + k]} - double{b.data()[j * count + k]});
      out.data()[i * b.shape().n + j] = static_cast<float>(sum);
    }
  return out;
}

}  // namespace

TEST_CASE("channel_l1 is the mean over channels") {
  Context<Cpu> ctx({.threads = 2});
  const auto a = test::random({2, 5, 6, 7}, 1), b = test::random({2, 5, 6, 7}, 2);
  Tensor<float, Cpu> out({2, 5, 6, 1});
  ops::channel_l1(ctx, out.view(), a.view(), b.view());
  CHECK(test::compare(out.view(), reference(Kind::l1, a, b).view(), 1e-6).close);
  CHECK_FALSE(test::compare(out.view(), reference(Kind::l1_sum, a, b).view(), 1e-2).close);
}

TEST_CASE("channel_cosine is 1 - cosine, also of nothing") {
  Context<Cpu> ctx({.threads = 2});
  const auto a = test::random({2, 5, 6, 7}, 1), b = test::random({2, 5, 6, 7}, 2);
  Tensor<float, Cpu> out({2, 5, 6, 1});
  ops::channel_cosine(ctx, out.view(), a.view(), b.view());
  CHECK(test::compare(out.view(), reference(Kind::cosine, a, b).view(), 1e-6).close);
  CHECK_FALSE(test::compare(out.view(), reference(Kind::dot, a, b).view(), 1e-2).close);

  ops::channel_cosine(ctx, out.view(), a.view(), a.view());
  for (std::int64_t i = 0; i < out.size(); ++i) CHECK(std::abs(out.data()[i]) < 1e-6f);

  auto zero = test::random({2, 5, 6, 7}, 3);
  std::fill_n(zero.data(), zero.size(), 0.0f);
  ops::channel_cosine(ctx, out.view(), zero.view(), b.view());
  for (std::int64_t i = 0; i < out.size(); ++i) CHECK(out.data()[i] == 1.0f);

  // The eps is on each length, 1e-8: for vectors of length 1e-9 the cosine counts for a tenth of each.
  auto tiny = test::random({1, 1, 1, 1}, 4);
  Tensor<float, Cpu> one({1, 1, 1, 1});
  tiny.data()[0] = 1e-9f, one.data()[0] = 1.0f;
  ops::channel_cosine(ctx, out.view().images(0, 1).reshaped({30, 1, 1, 1}).images(0, 1), tiny.view(), one.view());
  CHECK(out.data()[0] == doctest::Approx(0.9).epsilon(1e-5));
}

TEST_CASE("pairwise_l1 sums over all elements of each pair") {
  for (const std::int64_t c : {1, 15, 16, 37, 1000, 5000}) {
    CAPTURE(c);
    const auto a = test::random({11, 1, 2, c}, 1), b = test::random({19, 1, 2, c}, 2);
    const auto got = test::compare(pairs(a, b).view(), pairs_reference(a, b).view(), 1e-6);
    CHECK_MESSAGE(got.close, got);
    CHECK_FALSE(test::compare(pairs(a, b).view(), pairs_reference(a, b, /*dropped=*/1).view(), 1e-6).close);
  }
}

TEST_CASE("pairwise_l1 with itself is symmetric, 0 on the diagonal, and the same bits as with a copy") {
  const auto a = test::random({21, 3, 3, 30}, 1), copy = test::random({21, 3, 3, 30}, 1);
  const auto self = pairs(a, a, 1), other = pairs(a, copy, 4);
  CHECK(std::equal(self.data(), self.data() + self.size(), other.data()));
  for (std::int64_t i = 0; i < 21; ++i) CHECK(self.data()[i * 22] == 0.0f);
}

TEST_CASE("distances refuse other shapes") {
  Context<Cpu> ctx({.threads = 1});
  const auto a = test::random({2, 3, 3, 4}, 1), b = test::random({2, 3, 3, 5}, 2);
  Tensor<float, Cpu> map({2, 3, 3, 1}), two({.n = 2, .c = 2});
  CHECK_THROWS_AS(ops::channel_l1(ctx, map.view(), a.view(), b.view()), Error);
  CHECK_THROWS_AS(ops::channel_cosine(ctx, two.view(), a.view(), a.view()), Error);
  CHECK_THROWS_AS(ops::pairwise_l1(ctx, two.view(), a.view(), b.view()), Error);
  CHECK_THROWS_AS(ops::pairwise_l1(ctx, map.view(), a.view(), a.view()), Error);
}

}  // namespace ops_distance_test
