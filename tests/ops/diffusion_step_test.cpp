// scale_start and guided_step against the formulas of METHOD.md, section 6, written out in double.

#include "d3ad/backend/cpu/diffusion_step.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "support/compare.hpp"

namespace ops_diffusion_step_test {

using namespace d3ad;

namespace {

const Shape kShape{3, 40, 30, 4};  // more than one block an image
const ops::StepCoefficients kSteps[3] = {
    {0.83f, 0.86f, 0.0f, 0.37f}, {0.99f, 1.0f, 0.0f, 0.0f}, {0.5f, 0.9f, 0.1f, 0.3f}};

enum class Wrong { nothing, no_guidance, guidance_sign, no_direction, no_noise, next_for_now, input_for_x };

struct Case {
  Tensor<float, Cpu> x = test::random(kShape, 1), e = test::random(kShape, 2), z0 = test::random(kShape, 3),
                     noise = test::random(kShape, 4), out{kShape};
  Context<Cpu> ctx;
  View<const ops::StepCoefficients, Cpu> coefficients{kSteps, {.n = 3}};

  explicit Case(int threads = 2) : ctx({.threads = threads}) {}

  Tensor<float, Cpu> reference(double eta2, Wrong wrong = Wrong::nothing) const {
    Tensor<float, Cpu> want(kShape);
    const std::int64_t each = kShape.size() / kShape.n;
    for (std::int64_t i = 0; i < kShape.size(); ++i) {
      const auto& k = kSteps[i / each];
      const double A = wrong == Wrong::next_for_now ? k.alpha_bar_next : k.alpha_bar, B = k.alpha_bar_next;
      const double X = wrong == Wrong::input_for_x ? z0.data()[i] : x.data()[i], E = e.data()[i], Z = z0.data()[i];
      double pull = eta2;
      if (wrong == Wrong::no_guidance) pull = 0;
      if (wrong == Wrong::guidance_sign) pull = -eta2;
      const double guided = E - std::sqrt(1 - A) * pull * (std::sqrt(A) * Z + std::sqrt(1 - A) * E - X);
      const double x0 = (X - std::sqrt(1 - A) * guided) / std::sqrt(A);
      want.data()[i] = static_cast<float>(std::sqrt(B) * x0 + (wrong == Wrong::no_noise ? 0 : k.c1) * noise.data()[i] +
                                          (wrong == Wrong::no_direction ? 0 : k.c2) * guided);
    }
    return want;
  }
};

}  // namespace

TEST_CASE("guided_step follows its formula, image by image") {
  for (const float eta2 : {0.0f, 4.0f, 10.0f}) {
    Case c;
    ops::guided_step(c.ctx, c.out.view(), c.x.view(), c.e.view(), c.z0.view(), c.noise.view(), c.coefficients, eta2);
    const auto got = test::compare(c.out.view(), c.reference(eta2).view(), 1e-6);
    CHECK_MESSAGE(got.close, got);
  }
}

TEST_CASE("a wrong or dropped term of guided_step would be noticed") {
  Case c;
  ops::guided_step(c.ctx, c.out.view(), c.x.view(), c.e.view(), c.z0.view(), c.noise.view(), c.coefficients, 4.0f);
  for (const auto wrong : {Wrong::no_guidance, Wrong::guidance_sign, Wrong::no_direction, Wrong::no_noise,
                           Wrong::next_for_now, Wrong::input_for_x})
    CHECK_FALSE(test::compare(c.out.view(), c.reference(4.0, wrong).view(), 1e-3).close);
}

TEST_CASE("guided_step may write to x, and gives the same bits with any number of threads") {
  Case c(1), d(4);
  ops::guided_step(c.ctx, c.out.view(), c.x.view(), c.e.view(), c.z0.view(), c.noise.view(), c.coefficients, 4.0f);
  ops::guided_step(d.ctx, d.x.view(), d.x.view(), d.e.view(), d.z0.view(), d.noise.view(), d.coefficients, 4.0f);
  CHECK(std::equal(c.out.data(), c.out.data() + c.out.size(), d.x.data()));
}

TEST_CASE("an idle image stays as it is, bit for bit") {
  Case c;
  const ops::StepCoefficients idle[3] = {ops::kIdle, ops::kIdle, ops::kIdle};
  ops::guided_step(c.ctx, c.out.view(), c.x.view(), c.e.view(), c.z0.view(), {}, {idle, {.n = 3}}, 7.0f);
  CHECK(std::equal(c.x.data(), c.x.data() + c.x.size(), c.out.data()));
}

TEST_CASE("guided_step refuses missing noise and other shapes") {
  Case c;
  CHECK_THROWS_AS(ops::guided_step(c.ctx, c.out.view(), c.x.view(), c.e.view(), c.z0.view(), {}, c.coefficients, 4.0f),
                  Error);
  CHECK_THROWS_AS(ops::guided_step(c.ctx, c.out.view(), c.x.view(), c.e.view().images(0, 2), c.z0.view(),
                                   c.noise.view(), c.coefficients, 4.0f),
                  Error);
  CHECK_THROWS_AS(ops::guided_step(c.ctx, c.out.view(), c.x.view(), c.e.view(), c.z0.view(), c.noise.view(),
                                   {kSteps, {.n = 2}}, 4.0f),
                  Error);
}

TEST_CASE("scale_start mixes latent and noise with each image's factors") {
  Case c;
  const float a[3] = {0.9f, 0.8f, 0.7f}, b[3] = {0.1f, 0.2f, 0.0f};
  const auto want = [&](bool with_noise, bool shifted = false) {
    Tensor<float, Cpu> out(kShape);
    const std::int64_t each = kShape.size() / kShape.n;
    for (std::int64_t i = 0; i < out.size(); ++i) {
      const std::int64_t n = (i / each + (shifted ? 1 : 0)) % 3;
      out.data()[i] = a[n] * c.z0.data()[i] + (with_noise ? b[n] * c.noise.data()[i] : 0.0f);
    }
    return out;
  };
  const View<const float, Cpu> av{a, {.n = 3}}, bv{b, {.n = 3}};
  ops::scale_start(c.ctx, c.out.view(), c.z0.view(), c.noise.view(), av, bv);
  CHECK(test::compare(c.out.view(), want(true).view(), 1e-6).close);
  CHECK_FALSE(test::compare(c.out.view(), want(false).view(), 1e-3).close);
  CHECK_FALSE(test::compare(c.out.view(), want(true, true).view(), 1e-3).close);
  ops::scale_start(c.ctx, c.out.view(), c.z0.view(), {}, av, bv);
  CHECK(test::compare(c.out.view(), want(false).view(), 1e-6).close);
  CHECK_THROWS_AS(ops::scale_start(c.ctx, c.out.view(), c.z0.view(), {}, {a, {.n = 2}}, bv), Error);
}

}  // namespace ops_diffusion_step_test
