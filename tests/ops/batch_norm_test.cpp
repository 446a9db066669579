// batch_norm against plain loops in double and finite differences; at every vector width this machine has.

#include "d3ad/backend/cpu/batch_norm.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "support/compare.hpp"
#include "support/finite_difference.hpp"
#include "support/simd_levels.hpp"

namespace ops_batch_norm_test {

using namespace d3ad;

namespace {

struct Case {
  Tensor<float, Cpu> x, scale, shift, mean, var;
  ops::BatchNorm config;

  Case(Shape shape, bool relu, float offset = 0.3f)
      : x(test::random(shape, 1)),
        scale(test::random({.c = shape.c}, 2)),
        shift(test::random({.c = shape.c}, 3)),
        mean(test::random({.c = shape.c}, 4)),
        var(test::random({.c = shape.c}, 5)),
        config{.eps = 1e-5f, .relu = relu} {
    for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] += offset;
    for (std::int64_t i = 0; i < var.size(); ++i) var.data()[i] = 1.0f + 0.5f * var.data()[i];
  }

  struct Trained {
    Tensor<float, Cpu> out, stats, mean, var;
  };
  Trained train(int threads = 2) const {
    Context<Cpu> ctx({.threads = threads});
    Trained t{Tensor<float, Cpu>(x.shape()), Tensor<float, Cpu>({.n = 2, .c = x.shape().c}), test::copy(mean),
              test::copy(var)};
    ops::batch_norm_train(ctx, t.out.view(), t.stats.view(), t.mean.view(), t.var.view(), x.view(), scale.view(),
                          shift.view(), config);
    return t;
  }
  Tensor<float, Cpu> eval(int threads = 2) const {
    Context<Cpu> ctx({.threads = threads});
    Tensor<float, Cpu> out(x.shape());
    ops::batch_norm_eval(ctx, out.view(), x.view(), scale.view(), shift.view(), mean.view(), var.view(), config);
    return out;
  }
};

struct Statistics {
  double mean = 0, var = 0, unbiased = 0;
};
Statistics statistics(const Case& t, std::int64_t c) {
  const Shape s = t.x.shape();
  const auto rows = static_cast<double>(s.rows());
  Statistics out;
  for (std::int64_t r = 0; r < s.rows(); ++r) out.mean += t.x.data()[r * s.c + c] / rows;
  for (std::int64_t r = 0; r < s.rows(); ++r) out.var += std::pow(t.x.data()[r * s.c + c] - out.mean, 2) / rows;
  out.unbiased = rows > 1 ? out.var * rows / (rows - 1) : out.var * rows;
  return out;
}

Tensor<float, Cpu> reference(const Case& t, bool training, double eps, bool bessel = false) {
  const Shape s = t.x.shape();
  Tensor<float, Cpu> out(s);
  for (std::int64_t c = 0; c < s.c; ++c) {
    const auto batch = statistics(t, c);
    const double mean = training ? batch.mean : double{t.mean.data()[c]};
    const double var = training ? (bessel ? batch.unbiased : batch.var) : double{t.var.data()[c]};
    for (std::int64_t r = 0; r < s.rows(); ++r) {
      const double y = (t.x.data()[r * s.c + c] - mean) / std::sqrt(var + eps) * t.scale.data()[c] + t.shift.data()[c];
      out.data()[r * s.c + c] = static_cast<float>(t.config.relu ? std::max(y, 0.0) : y);
    }
  }
  return out;
}

}  // namespace

TEST_CASE("batch_norm follows its formula at every vector width") {
  for (const auto level : test::simd_levels()) {
    const test::AtLevel at(level);
    for (const Shape s : {Shape{2, 5, 7, 32}, Shape{1, 1, 2, 3}, Shape{3, 40, 31, 17}})
      for (const bool relu : {false, true}) {
        CAPTURE(s);
        CAPTURE(relu);
        const Case t(s, relu);
        auto c = test::compare(t.eval().view(), reference(t, false, 1e-5).view(), 2e-6);
        CHECK_MESSAGE(c.close, c);
        const auto trained = t.train();
        c = test::compare(trained.out.view(), reference(t, true, 1e-5).view(), 4e-6);
        CHECK_MESSAGE(c.close, c);
        for (std::int64_t k = 0; k < s.c; ++k) {
          const auto batch = statistics(t, k);
          CHECK(trained.stats.data()[k] == doctest::Approx(batch.mean).epsilon(1e-5));
          CHECK(trained.mean.data()[k] == doctest::Approx(0.9 * t.mean.data()[k] + 0.1 * batch.mean).epsilon(1e-5));
          CHECK(trained.var.data()[k] == doctest::Approx(0.9 * t.var.data()[k] + 0.1 * batch.unbiased).epsilon(1e-5));
        }
      }
  }
}

// A mean of 100 leaves 100 * 2^-24 / deviation, 1e-5, in x itself, and as much in factor and offset.
TEST_CASE("batch_norm keeps its precision beside a large mean") {
  const Case t({4, 16, 16, 8}, false, 100.0f);
  const auto c = test::compare(t.train().out.view(), reference(t, true, 1e-5).view(), 1e-4);
  CHECK_MESSAGE(c.close, c);
}

TEST_CASE("another eps or Bessel's correction would be noticed in batch_norm") {
  Case t({1, 2, 2, 8}, false);
  for (std::int64_t i = 0; i < t.x.size(); ++i) t.x.data()[i] *= 0.05f;
  const auto got = t.train().out;
  CHECK(test::compare(got.view(), reference(t, true, 1e-5).view(), 1e-5).close);
  CHECK_FALSE(test::compare(got.view(), reference(t, true, 1e-6).view(), 1e-5).close);
  CHECK_FALSE(test::compare(got.view(), reference(t, true, 1e-5, true).view(), 1e-5).close);
  CHECK_FALSE(test::compare(got.view(), reference(t, false, 1e-5).view(), 1e-5).close);
}

TEST_CASE("batch_norm gives the same bits for any number of threads, and in place") {
  const Case t({3, 33, 9, 48}, true);
  const auto want = t.train(1), fixed = Case::Trained{t.eval(1), {}, {}, {}};
  for (const int threads : {2, 3, 7}) {
    const auto got = t.train(threads);
    CHECK(test::compare(got.out.view(), want.out.view(), 0).close);
    CHECK(test::compare(got.var.view(), want.var.view(), 0).close);
    CHECK(test::compare(t.eval(threads).view(), fixed.out.view(), 0).close);
  }
  Context<Cpu> ctx({.threads = 2});
  auto x = test::copy(t.x);
  ops::batch_norm_eval(ctx, x.view(), x.view(), t.scale.view(), t.shift.view(), t.mean.view(), t.var.view(), t.config);
  CHECK(test::compare(x.view(), fixed.out.view(), 0).close);
}

TEST_CASE("batch_norm's gradients are those of finite differences") {
  for (const auto level : test::simd_levels())
    for (const bool training : {false, true})
      for (const bool relu : {false, true}) {
        const test::AtLevel at(level);
        CAPTURE(training);
        CAPTURE(relu);
        Case t({2, 3, 2, 5}, relu);
        // Far from ReLU's corner, where differences have no meaning: each channel well above or well below 0.
        if (relu)
          for (std::int64_t c = 0; c < 5; ++c) t.shift.data()[c] = c % 2 ? 8.0f : -8.0f;
        Context<Cpu> ctx({.threads = 2});
        Tensor<float, Cpu> dx(t.x.shape()), dscale({.c = 5}), dshift({.c = 5});
        const auto dy = test::random(t.x.shape(), 6);
        test::zero(dscale.view()), test::zero(dshift.view());
        const auto trained = t.train();
        for (int repeat = 0; repeat < 2; ++repeat) {  // parameters' gradients add up, x's does not
          if (training)
            ops::batch_norm_train_backward(ctx, dx.view(), dscale.view(), dshift.view(), dy.view(), t.x.view(),
                                           trained.stats.view(), t.scale.view(), t.shift.view(), t.config);
          else
            ops::batch_norm_eval_backward(ctx, dx.view(), dscale.view(), dshift.view(), dy.view(), t.x.view(),
                                          t.scale.view(), t.shift.view(), t.mean.view(), t.var.view(), t.config);
        }
        for (std::int64_t i = 0; i < 5; ++i) dscale.data()[i] /= 2, dshift.data()[i] /= 2;
        const auto loss = [&] {
          return test::weighted_sum(training ? t.train().out.view() : t.eval().view(), dy.view());
        };
        for (const auto& [got, variable] : {std::pair{&dx, &t.x}, {&dscale, &t.scale}, {&dshift, &t.shift}}) {
          const auto c =
              test::compare(got->view(), test::finite_difference(variable->view(), loss).view(), test::kGradient);
          CHECK_MESSAGE(c.close, c);
        }
      }
}

TEST_CASE("batch_norm refuses shapes that do not fit") {
  Case t({1, 2, 2, 8}, false);
  t.scale = test::random({.c = 7}, 1);
  CHECK_THROWS_WITH_AS(t.eval(), doctest::Contains("scale and shift are [n 1, h 1, w 1, c 7]"), Error);
  CHECK_THROWS_WITH_AS(t.train(), doctest::Contains("expected 8 values each"), Error);
}

}  // namespace ops_batch_norm_test
