// group_norm against plain loops in double and finite differences; at every vector width this machine has.

#include "d3ad/backend/cpu/group_norm.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "support/compare.hpp"
#include "support/finite_difference.hpp"
#include "support/simd_levels.hpp"

namespace ops_group_norm_test {

using namespace d3ad;

namespace {

struct Case {
  Tensor<float, Cpu> x, scale, shift;
  ops::GroupNorm config;

  Case(Shape shape, int groups, bool silu, float mean = 0.3f)
      : x(test::random(shape, 1)),
        scale(test::random({.c = shape.c}, 2)),
        shift(test::random({.c = shape.c}, 3)),
        config{.groups = groups, .eps = 1e-5f, .silu = silu} {
    for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] += mean;
  }
  Tensor<float, Cpu> run(int threads = 2) const {
    Context<Cpu> ctx({.threads = threads});
    Tensor<float, Cpu> out(x.shape());
    ops::group_norm(ctx, out.view(), {}, x.view(), scale.view(), shift.view(), config);
    return out;
  }
};

// deviations: 0 as it should be; 1: Bessel's correction; eps as given
Tensor<float, Cpu> reference(const Case& t, double eps, int deviations = 0) {
  const Shape s = t.x.shape();
  const std::int64_t groups = t.config.groups, group = s.c / groups;
  Tensor<float, Cpu> out(s);
  for (std::int64_t n = 0; n < s.n; ++n)
    for (std::int64_t g = 0; g < groups; ++g) {
      const auto at = [&](std::int64_t p, std::int64_t c) { return (n * s.pixels() + p) * s.c + g * group + c; };
      double mean = 0, var = 0;
      const double count = static_cast<double>(s.pixels() * group);
      for (std::int64_t p = 0; p < s.pixels(); ++p)
        for (std::int64_t c = 0; c < group; ++c) mean += t.x.data()[at(p, c)] / count;
      for (std::int64_t p = 0; p < s.pixels(); ++p)
        for (std::int64_t c = 0; c < group; ++c) var += std::pow(t.x.data()[at(p, c)] - mean, 2) / (count - deviations);
      for (std::int64_t p = 0; p < s.pixels(); ++p)
        for (std::int64_t c = 0; c < group; ++c) {
          const double y = (t.x.data()[at(p, c)] - mean) / std::sqrt(var + eps) * t.scale.data()[g * group + c] +
                           t.shift.data()[g * group + c];
          out.data()[at(p, c)] = static_cast<float>(t.config.silu ? y / (1 + std::exp(-y)) : y);
        }
    }
  return out;
}

}  // namespace

TEST_CASE("group_norm follows its formula at every vector width") {
  for (const auto level : test::simd_levels()) {
    const test::AtLevel at(level);
    for (const Shape s : {Shape{2, 5, 7, 32}, Shape{1, 1, 1, 8}, Shape{1, 40, 31, 64}, Shape{3, 16, 16, 12}})
      for (const int groups : {1, 4})
        for (const bool silu : {false, true}) {
          CAPTURE(s);
          CAPTURE(groups);
          CAPTURE(silu);
          const Case t(s, groups, silu);
          const auto c = test::compare(t.run().view(), reference(t, 1e-5).view(), 2e-6);
          CHECK_MESSAGE(c.close, c);
        }
  }
}

TEST_CASE("group_norm keeps its precision beside a large mean") {
  const Case t({1, 32, 32, 32}, 4, false, 100.0f);
  const auto c = test::compare(t.run().view(), reference(t, 1e-5).view(), 2e-5);
  CHECK_MESSAGE(c.close, c);
}

TEST_CASE("another eps, Bessel's correction or grouping would be noticed in group_norm") {
  Case t({1, 2, 2, 8}, 2, true);
  for (std::int64_t i = 0; i < t.x.size(); ++i) t.x.data()[i] *= 0.05f;
  const auto got = t.run();
  CHECK(test::compare(got.view(), reference(t, 1e-5).view(), 5e-6).close);
  CHECK_FALSE(test::compare(got.view(), reference(t, 1e-6).view(), 5e-6).close);
  CHECK_FALSE(test::compare(got.view(), reference(t, 1e-5, 1).view(), 5e-6).close);
  t.config.groups = 4;
  CHECK_FALSE(test::compare(got.view(), reference(t, 1e-5).view(), 5e-6).close);
}

TEST_CASE("group_norm gives the same bits for any number of threads, and in place") {
  const Case t({3, 33, 9, 48}, 4, true);
  const auto want = t.run(1);
  for (const int threads : {2, 3, 7}) CHECK(test::compare(t.run(threads).view(), want.view(), 0).close);
  Context<Cpu> ctx({.threads = 2});
  auto x = test::copy(t.x);
  ops::group_norm(ctx, x.view(), {}, x.view(), t.scale.view(), t.shift.view(), t.config);
  CHECK(test::compare(x.view(), want.view(), 0).close);
}

TEST_CASE("group_norm's gradients are those of finite differences") {
  for (const auto level : test::simd_levels())
    for (const bool silu : {false, true}) {
      const test::AtLevel at(level);
      CAPTURE(silu);
      Case t({2, 3, 2, 8}, 2, silu);
      Context<Cpu> ctx({.threads = 2});
      Tensor<float, Cpu> out(t.x.shape()), stats({.n = 2, .c = 4}), dx(t.x.shape());
      Tensor<float, Cpu> dscale({.c = 8}), dshift({.c = 8});
      const auto dy = test::random(t.x.shape(), 4);
      ops::group_norm(ctx, out.view(), stats.view(), t.x.view(), t.scale.view(), t.shift.view(), t.config);
      test::zero(dscale.view()), test::zero(dshift.view());
      for (int repeat = 0; repeat < 2; ++repeat)  // parameters' gradients add up, x's does not
        ops::group_norm_backward(ctx, dx.view(), dscale.view(), dshift.view(), dy.view(), t.x.view(), stats.view(),
                                 t.scale.view(), t.shift.view(), t.config);
      for (std::int64_t i = 0; i < 8; ++i) dscale.data()[i] /= 2, dshift.data()[i] /= 2;
      const auto loss = [&] { return test::weighted_sum(t.run().view(), dy.view()); };
      for (const auto& [got, variable] : {std::pair{&dx, &t.x}, {&dscale, &t.scale}, {&dshift, &t.shift}}) {
        const auto c =
            test::compare(got->view(), test::finite_difference(variable->view(), loss).view(), test::kGradient);
        CHECK_MESSAGE(c.close, c);
      }
    }
}

TEST_CASE("group_norm's gradient takes no parameters' gradients and works in place") {
  const Case t({2, 4, 4, 8}, 2, true);
  Context<Cpu> ctx({.threads = 2});
  Tensor<float, Cpu> out(t.x.shape()), stats({.n = 2, .c = 4}), dx(t.x.shape());
  auto dy = test::random(t.x.shape(), 4);
  ops::group_norm(ctx, out.view(), stats.view(), t.x.view(), t.scale.view(), t.shift.view(), t.config);
  ops::group_norm_backward(ctx, dx.view(), {}, {}, dy.view(), t.x.view(), stats.view(), t.scale.view(), t.shift.view(),
                           t.config);
  ops::group_norm_backward(ctx, dy.view(), {}, {}, dy.view(), t.x.view(), stats.view(), t.scale.view(), t.shift.view(),
                           t.config);
  CHECK(test::compare(dy.view(), dx.view(), 0).close);
}

TEST_CASE("group_norm refuses shapes that do not fit") {
  Case t({1, 2, 2, 8}, 3, false);
  CHECK_THROWS_WITH_AS(t.run(), doctest::Contains("in 3 groups, expected channels that are a multiple"), Error);
  t.config.groups = 2;
  t.scale = test::random({.c = 7}, 1);
  CHECK_THROWS_WITH_AS(t.run(), doctest::Contains("expected 8 values each"), Error);
}

}  // namespace ops_group_norm_test
