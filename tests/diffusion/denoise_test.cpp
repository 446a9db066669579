// The timetable of denoising, and the loop with models whose answer is known; the goldens with a UNet are elsewhere.

#include "d3ad/diffusion/denoise.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "support/compare.hpp"
#include "support/golden.hpp"

namespace denoise_test {

using namespace d3ad;
using diffusion::DenoiseOptions;
using V = Value<float, Cpu>;

namespace {

const Schedule kSchedule;
const Shape kShape{3, 5, 6, 4};
const std::vector<int> kT_hat{20, 50, 80};

// A model that predicts factor * x + t / 1000: depends on the image, its place and its time.
struct Linear {
  float factor = 0.3f;
  std::vector<std::vector<std::int32_t>>* calls = nullptr;

  V operator()(Context<Cpu>& ctx, V x, View<const std::int32_t, Cpu> t) const {
    if (calls) calls->emplace_back(t.data, t.data + t.size());
    auto e = make_value<float>(ctx, x.shape());
    const std::int64_t each = x.view().size() / x.shape().n;
    for (std::int64_t i = 0; i < x.view().size(); ++i)
      e.view().data[i] = factor * x.view().data[i] + static_cast<float>(t.data[i / each]) / 1000;
    return e;
  }
};

Tensor<float, Cpu> run(const Tensor<float, Cpu>& z0, const std::vector<int>& T_hat, const DenoiseOptions& options,
                       const Linear& model = {}, int threads = 2) {
  Context<Cpu> ctx({.threads = threads});
  Tensor<float, Cpu> out(z0.shape());
  const auto x = diffusion::reconstruct(ctx, model, test::borrow(z0), T_hat, kSchedule, options);
  copy_to_host(out.data(), View<const float, Cpu>(x.view()));
  return out;
}

// METHOD.md, section 6, for one number, in double, with noise of 0. shift: an error in the index into the schedule.
double follow(double z0, int T_hat, const DenoiseOptions& o, double factor = 0.3, int shift = 0) {
  const auto alpha_bar = [&](int t) { return double{kSchedule.alpha_bar(std::max(t + shift, -1))}; };
  const int step = std::max(T_hat / o.steps, 1);
  std::vector<int> s;
  for (int t = 0; t < T_hat; t += step) s.push_back(t);
  double x = std::sqrt(alpha_bar(T_hat)) * z0;
  for (std::size_t i = s.size(); i-- > 0;) {
    const double a = alpha_bar(s[i]), next = i > 0 ? alpha_bar(s[i - 1]) : 1.0;
    const double e = factor * x + s[i] / 1000.0;
    const double guided = e - std::sqrt(1 - a) * o.eta2 * (std::sqrt(a) * z0 + std::sqrt(1 - a) * e - x);
    const double x0 = (x - std::sqrt(1 - a) * guided) / std::sqrt(a);
    const bool dropped = o.drop_first_direction && i + 1 == s.size();
    x = std::sqrt(next) * x0 + (dropped ? 0.0 : std::sqrt(1 - next)) * guided;
  }
  return x;
}

Tensor<float, Cpu> follow(const Tensor<float, Cpu>& z0, const std::vector<int>& T_hat, const DenoiseOptions& o,
                          int shift = 0) {
  Tensor<float, Cpu> out(z0.shape());
  const std::int64_t each = z0.size() / z0.shape().n;
  for (std::int64_t i = 0; i < z0.size(); ++i)
    out.data()[i] = static_cast<float>(follow(z0.data()[i], T_hat[static_cast<std::size_t>(i / each)], o, 0.3, shift));
  return out;
}

}  // namespace

TEST_CASE("the start is the golden files'") {
  for (const char* name : {"reconstruct_eta2_0", "reconstruct_eta2_4", "reconstruct_eta2_10"}) {
    const test::Golden golden(name);
    const auto z0 = golden.tensor("z0"), want = golden.tensor("x.0");
    std::vector<int> T_hat;
    for (const auto t : golden.file.ints("T_hat")) T_hat.push_back(static_cast<int>(t));
    Context<Cpu> ctx({.threads = 2});
    const auto got = diffusion::scaled(ctx, test::borrow(z0), T_hat, kSchedule, 0.0f, {});
    CHECK(test::compare(got.view(), want.view(), 1e-6).close);
    for (auto& T : T_hat) --T;  // an index off by one
    const auto shifted = diffusion::scaled(ctx, test::borrow(z0), T_hat, kSchedule, 0.0f, {});
    CHECK_FALSE(test::compare(shifted.view(), want.view(), 1e-5).close);
  }
  const test::Golden golden("reconstruct_omega_half");
  const auto z0 = golden.tensor("z0"), noise = golden.tensor("noise"), want = golden.tensor("first");
  std::vector<int> T_hat;
  for (const auto t : golden.file.ints("T_hat")) T_hat.push_back(static_cast<int>(t));
  Context<Cpu> ctx({.threads = 2});
  const auto got = diffusion::scaled(ctx, test::borrow(z0), T_hat, kSchedule, 0.5f, noise.view());
  CHECK(test::compare(got.view(), want.view(), 1e-6).close);
  const auto other = diffusion::scaled(ctx, test::borrow(z0), T_hat, kSchedule, 1.0f, noise.view());
  CHECK_FALSE(test::compare(other.view(), want.view(), 1e-2).close);
}

TEST_CASE("the timetable: ten steps whatever T̂, from T̂ - step down to 0") {
  std::vector<std::vector<std::int32_t>> calls;
  const auto z0 = test::random(kShape, 1);
  run(z0, kT_hat, {}, {.calls = &calls});
  REQUIRE(calls.size() == 10);
  for (int i = 0; i < 10; ++i)
    CHECK(calls[static_cast<std::size_t>(i)] == std::vector<std::int32_t>{2 * (9 - i), 5 * (9 - i), 8 * (9 - i)});
  for (int T = 10; T <= 990; T += 10) CHECK(diffusion::times(T, 10).size() == 10);
  CHECK(diffusion::times(5, 10) == std::vector<int>{0, 1, 2, 3, 4});
  CHECK(diffusion::times(25, 10).size() == 13);  // step 2: the published rule, not ten
  CHECK(diffusion::times(80, 1) == std::vector<int>{0});
  CHECK(diffusion::times(0, 10).empty());
}

TEST_CASE("coefficients: DDIM without eta, and the last step lands on alpha_bar 1") {
  const auto timetable = diffusion::denoise_steps(kSchedule, {80});
  REQUIRE(timetable.steps.size() == 10);
  const auto first = timetable.steps.front().coefficients[0], last = timetable.steps.back().coefficients[0];
  CHECK(timetable.steps.front().t[0] == 72);
  CHECK(first.alpha_bar == kSchedule.alpha_bar(72));
  CHECK(first.alpha_bar_next == kSchedule.alpha_bar(64));
  CHECK(first.c1 == 0.0f);
  CHECK(first.c2 == doctest::Approx(std::sqrt(1 - kSchedule.alpha_bar(64))));
  CHECK(last.alpha_bar == kSchedule.alpha_bar(0));
  CHECK(last.alpha_bar_next == 1.0f);
  CHECK(last.c2 == 0.0f);
  const auto noisy = diffusion::denoise_steps(kSchedule, {80}, 10, 1.0f).steps.front().coefficients[0];
  const double a = kSchedule.alpha_bar(72), b = kSchedule.alpha_bar(64);
  CHECK(noisy.c1 == doctest::Approx(std::sqrt((1 - a / b) * (1 - b) / (1 - a))));
  CHECK(noisy.c1 * noisy.c1 + noisy.c2 * noisy.c2 == doctest::Approx(1 - b));
}

TEST_CASE("reconstruct follows METHOD.md, section 6, with a model whose answer is known") {
  const auto z0 = test::random(kShape, 2);
  for (const float eta2 : {0.0f, 4.0f, 10.0f})
    for (const bool drop : {false, true})
      for (const int steps : {1, 10, 7}) {
        CAPTURE(eta2);
        CAPTURE(drop);
        CAPTURE(steps);
        const DenoiseOptions options{.eta2 = eta2, .steps = steps, .drop_first_direction = drop};
        const auto got = test::compare(run(z0, kT_hat, options).view(), follow(z0, kT_hat, options).view(), 1e-5);
        CHECK_MESSAGE(got.close, got);
      }
}

TEST_CASE("a shifted schedule, other guidance, steps or a dropped direction would be noticed") {
  const auto z0 = test::random(kShape, 2);
  const auto got = run(z0, kT_hat, {});
  CHECK(test::compare(got.view(), follow(z0, kT_hat, {}).view(), 1e-5).close);
  CHECK_FALSE(test::compare(got.view(), follow(z0, kT_hat, {}, 1).view(), 1e-5).close);
  CHECK_FALSE(test::compare(got.view(), follow(z0, kT_hat, {}, -1).view(), 1e-5).close);
  CHECK_FALSE(test::compare(got.view(), follow(z0, kT_hat, {.eta2 = 4.1f}).view(), 1e-5).close);
  CHECK_FALSE(test::compare(got.view(), follow(z0, kT_hat, {.steps = 5}).view(), 1e-5).close);
  CHECK_FALSE(test::compare(got.view(), follow(z0, kT_hat, {.drop_first_direction = true}).view(), 1e-5).close);
  CHECK_FALSE(test::compare(got.view(), follow(z0, {30, 50, 80}, {}).view(), 1e-5).close);
}

TEST_CASE("a model that predicts what was scaled away is followed to z0 / sqrt(alpha_bar)") {
  // Without guidance and with e = 0 each step only divides by its own scale: x ends at the start over sqrt(ᾱ) of the
  // first time, since all later factors cancel.
  const auto z0 = test::random(kShape, 3);
  const auto got = run(z0, kT_hat, {.eta2 = 0}, {.factor = 0});
  const auto want = follow(z0, kT_hat, {.eta2 = 0});
  CHECK_FALSE(test::compare(got.view(), want.view(), 1e-5).close);  // that one has factor 0.3
  Context<Cpu> ctx;
  const auto zero = [](Context<Cpu>& c, V x, View<const std::int32_t, Cpu>) {
    auto e = make_value<float>(c, x.shape());
    std::fill_n(e.view().data, e.view().size(), 0.0f);
    return e;
  };
  const auto x = diffusion::reconstruct(ctx, zero, test::borrow(z0), kT_hat, kSchedule, {.eta2 = 0});
  Tensor<float, Cpu> exact(kShape);
  const std::int64_t each = kShape.size() / kShape.n;
  for (std::int64_t i = 0; i < z0.size(); ++i) {
    const int T = kT_hat[static_cast<std::size_t>(i / each)];
    exact.data()[i] = z0.data()[i] * std::sqrt(kSchedule.alpha_bar(T) / kSchedule.alpha_bar(T - T / 10));
  }
  CHECK(test::compare(x.view(), exact.view(), 1e-5).close);
}

TEST_CASE("an image's result depends neither on its batch nor on its place nor on the threads") {
  const auto z0 = test::random(kShape, 4);
  const std::int64_t each = kShape.size() / kShape.n;
  for (const int steps : {10, 7}) {  // with 7, images wait for each other
    const DenoiseOptions options{.eta = 0.5f, .omega = 0.3f, .steps = steps, .seed = 11};
    const auto all = run(z0, kT_hat, options);
    const auto four = run(z0, kT_hat, options, {}, 4);
    CHECK(std::equal(all.data(), all.data() + all.size(), four.data()));
    for (std::int64_t i = 0; i < 3; ++i) {
      Tensor<float, Cpu> one({1, 5, 6, 4});
      std::copy_n(z0.data() + i * each, each, one.data());
      auto alone = options;
      alone.first_image = static_cast<std::uint64_t>(i);
      const auto got = run(one, {kT_hat[static_cast<std::size_t>(i)]}, alone);
      CHECK(std::equal(got.data(), got.data() + each, all.data() + i * each));
      alone.first_image += 1;
      const auto other = run(one, {kT_hat[static_cast<std::size_t>(i)]}, alone);
      CHECK_FALSE(std::equal(other.data(), other.data() + each, all.data() + i * each));
    }
  }
}

TEST_CASE("noise comes from the seed, or is given") {
  const auto z0 = test::random(kShape, 5), noise = test::random(kShape, 6);
  const auto a = run(z0, kT_hat, {.omega = 1, .seed = 1}), b = run(z0, kT_hat, {.omega = 1, .seed = 2}),
             again = run(z0, kT_hat, {.omega = 1, .seed = 1}), still = run(z0, kT_hat, {.seed = 2});
  CHECK(std::equal(a.data(), a.data() + a.size(), again.data()));
  CHECK_FALSE(test::compare(a.view(), b.view(), 1e-3).close);
  const auto quiet = run(z0, kT_hat, {.seed = 1});
  CHECK(std::equal(still.data(), still.data() + still.size(), quiet.data()));

  Context<Cpu> ctx;
  std::vector<int> seen;
  Tensor<float, Cpu> first(kShape);
  const auto on_step = [&](int step, View<const float, Cpu> x) {
    if (step == 0) copy_to_host(first.data(), x);
    seen.push_back(step);
  };
  const auto x = diffusion::reconstruct(ctx, Linear{}, test::borrow(z0), kT_hat, kSchedule, {.omega = 0.5f},
                                        noise.view(), on_step);
  CHECK(seen == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  const auto want = diffusion::scaled(ctx, test::borrow(z0), kT_hat, kSchedule, 0.5f, noise.view());
  CHECK(test::compare(first.view(), want.view(), 0).close);
}

TEST_CASE("z0 is left as it is, and after the first pass the loop allocates nothing") {
  const auto z0 = test::random(kShape, 7), copy = test::random(kShape, 7);
  Context<Cpu> ctx({.threads = 2});
  const auto once = [&] {
    diffusion::reconstruct(ctx, Linear{}, test::borrow(z0), kT_hat, kSchedule, {.eta = 0.5f, .omega = 1});
  };
  once();
  CHECK(std::equal(z0.data(), z0.data() + z0.size(), copy.data()));
  once();
  const auto growths = ctx.arena.growths();
  once();
  CHECK(ctx.arena.growths() == growths);
}

TEST_CASE("a model may keep what it was given") {
  const auto z0 = test::random(kShape, 8);
  Context<Cpu> ctx;
  std::vector<V> kept;
  const auto model = [&](Context<Cpu>& c, V x, View<const std::int32_t, Cpu> t) {
    kept.push_back(x);
    return Linear{}(c, x, t);
  };
  const auto x = diffusion::reconstruct(ctx, model, test::borrow(z0), kT_hat, kSchedule, {});
  const auto start = diffusion::scaled(ctx, test::borrow(z0), kT_hat, kSchedule, 0.0f, {});
  CHECK(test::compare(kept.front().view(), start.view(), 0).close);
  CHECK(test::compare(x.view(), run(z0, kT_hat, {}).view(), 0).close);
}

TEST_CASE("reconstruct refuses what makes no sense") {
  const auto z0 = test::random(kShape, 9);
  CHECK_THROWS_AS(run(z0, {20, 50}, {}), Error);
  CHECK_THROWS_AS(run(z0, {20, 50, 1000}, {}), Error);
  CHECK_THROWS_AS(run(z0, {20, 50, -10}, {}), Error);
  CHECK_THROWS_AS(run(z0, kT_hat, {.steps = 0}), Error);
  CHECK_THROWS_AS(run(z0, kT_hat, {.omega = 2}), Error);
  CHECK_THROWS_AS(run(z0, kT_hat, {.eta = -1}), Error);
  CHECK_THROWS_AS(run(z0, kT_hat, {.eta2 = NAN}), Error);
  Context<Cpu> ctx;
  const auto wrong = [](Context<Cpu>& c, V, View<const std::int32_t, Cpu>) {
    return make_value<float>(c, {1, 2, 3, 4});
  };
  CHECK_THROWS_AS(diffusion::reconstruct(ctx, wrong, test::borrow(z0), kT_hat, kSchedule, {}), Error);
}

}  // namespace denoise_test
