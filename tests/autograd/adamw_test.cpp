// The optimizer around the update: learning-rate factor, clipping, averages, the state that a checkpoint holds.

#include "d3ad/autograd/adamw.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "support/compare.hpp"

namespace adamw_test {

using namespace d3ad;

namespace {

// Two parameters, one of them not to be trained, and gradients that depend on the step alone.
struct Weights {
  Context<Cpu> ctx;
  Parameter<Cpu> a{"a", {3}, {.c = 3}}, fixed{"fixed", {2}, {.c = 2}, false};

  Weights() {
    test::random(a.edit(), 1);
    test::random(fixed.edit(), 2);
  }
  std::vector<Parameter<Cpu>*> all() { return {&a, &fixed}; }
  void set_gradient(int step) { test::random(a.gradient(), static_cast<std::uint64_t>(100 + step)); }
  std::vector<float> value() const { return {a.value().data, a.value().data + 3}; }
};

}  // namespace

TEST_CASE("the learning rate warms up, holds, and decays along half a cosine") {
  CHECK_EQ(learning_rate_factor(0, 100, 10, true), doctest::Approx(0.1));
  CHECK_EQ(learning_rate_factor(9, 100, 10, true), doctest::Approx(1.0));
  CHECK_EQ(learning_rate_factor(10, 100, 10, true), doctest::Approx(1.0));
  CHECK_EQ(learning_rate_factor(55, 100, 10, true), doctest::Approx(0.5));
  CHECK_EQ(learning_rate_factor(100, 100, 10, true), doctest::Approx(0.0));
  CHECK_EQ(learning_rate_factor(200, 100, 10, true), doctest::Approx(0.0));
  CHECK_EQ(learning_rate_factor(55, 100, 10, false), 1.0);
  CHECK_EQ(learning_rate_factor(0, 100, 0, false), 1.0);
  CHECK_EQ(learning_rate_factor(12, 10, 10, true), 1.0);  // nothing is left to decay over
}

TEST_CASE("AdamW leaves alone what is not trained, and reports the norm before clipping") {
  Weights w;
  AdamW<Cpu> optimizer(w.all(), {.lr = 0.1f, .weight_decay = 0.1f});
  const std::vector<float> before(w.fixed.value().data, w.fixed.value().data + 2);
  w.set_gradient(0);
  double squares = 0;
  for (int i = 0; i < 3; ++i) squares += std::pow(double{w.a.gradient().data[i]}, 2);
  CHECK_EQ(optimizer.step(w.ctx, {.clip = 1e-3}), doctest::Approx(std::sqrt(squares)));
  CHECK_EQ(std::vector<float>(w.fixed.value().data, w.fixed.value().data + 2), before);
  CHECK_EQ(optimizer.steps(), 1);
}

TEST_CASE("clipping scales the gradients together, and only where they are too large") {
  // Adam's first step hardly depends on the gradient's length; the moments do.
  const auto first_moment = [](double clip) {
    Weights w;
    AdamW<Cpu> optimizer(w.all(), {});
    w.set_gradient(0);
    const double norm = optimizer.step(w.ctx, {.clip = clip});
    std::vector<float> m;
    optimizer.each_state([&](const std::string& name, const Parameter<Cpu>&, Tensor<float, Cpu>& t) {
      if (name == "m.a") m.assign(t.data(), t.data() + 3);
    });
    REQUIRE_EQ(m.size(), 3);
    return std::pair(m, norm);
  };
  const auto [whole, norm] = first_moment(0);
  const auto loose = first_moment(norm * 2).first, half = first_moment(norm / 2).first;
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK_EQ(loose[i], whole[i]);
    CHECK_EQ(half[i], doctest::Approx(whole[i] / 2).epsilon(1e-6));
  }
}

TEST_CASE("a gradient that is not finite is refused and moves nothing") {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Weights w;
    AdamW<Cpu> optimizer(w.all(), {});
    const auto before = w.value();
    w.set_gradient(0);
    w.a.gradient().data[1] = bad;
    CHECK_THROWS_WITH_AS(optimizer.step(w.ctx, {.ema = 0.9}), doctest::Contains("not finite at step 1"), Error);
    CHECK_EQ(w.value(), before);
    CHECK_EQ(optimizer.steps(), 0);
  }
}

TEST_CASE("the average starts at the weights, follows faster early on, and can take their place") {
  Weights w;
  AdamW<Cpu> optimizer(w.all(), {.lr = 0.1f});
  std::vector<double> want;
  for (int step = 1; step <= 4; ++step) {
    w.set_gradient(step);
    optimizer.step(w.ctx, {.ema = 0.3});
    const auto now = w.value();
    const double decay = std::min(0.3, (1.0 + step) / (10.0 + step));  // 2/11, 3/12, 4/13 and then the cap
    for (std::size_t i = 0; i < 3; ++i) {
      if (step == 1)
        want.push_back(double{now[i]});
      else
        want[i] = decay * want[i] + (1 - decay) * double{now[i]};
    }
  }
  const auto trained = w.value();
  optimizer.take_averages(w.ctx);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK_EQ(double{w.value()[i]}, doctest::Approx(want[i]).epsilon(1e-6));
    CHECK_NE(w.value()[i], trained[i]);
  }
}

TEST_CASE("an optimizer that takes another's state over goes on bit for bit") {
  Weights whole, half;
  AdamW<Cpu> a(whole.all(), {.lr = 0.1f}), b(half.all(), {.lr = 0.1f});
  const AdamW<Cpu>::StepOptions options{.clip = 1.0, .ema = 0.9};
  for (int step = 0; step < 6; ++step) {
    whole.set_gradient(step);
    a.step(whole.ctx, options);
    if (step >= 3) continue;
    half.set_gradient(step);
    b.step(half.ctx, options);
  }
  std::map<std::string, std::vector<float>> saved;
  b.each_state([&](const std::string& name, const Parameter<Cpu>&, Tensor<float, Cpu>& t) {
    saved[name].assign(t.data(), t.data() + t.size());
  });
  CHECK_EQ(saved.size(), 3);  // m.a, v.a, ema.a

  const auto go_on = [&](bool restore) {
    Weights rest;
    ops::copy(rest.ctx, rest.a.edit(), half.a.value());
    AdamW<Cpu> c(rest.all(), {.lr = 0.1f});
    c.set_steps(b.steps());
    c.allocate_averages();
    if (restore)
      c.each_state([&](const std::string& name, const Parameter<Cpu>&, Tensor<float, Cpu>& t) {
        std::copy(saved.at(name).begin(), saved.at(name).end(), t.data());
      });
    for (int step = 3; step < 6; ++step) {
      rest.set_gradient(step);
      c.step(rest.ctx, options);
    }
    const auto weights = rest.value();
    c.take_averages(rest.ctx);
    return std::pair(weights, rest.value());
  };
  const auto resumed = go_on(true), forgot = go_on(false);
  CHECK_EQ(resumed.first, whole.value());
  CHECK_NE(forgot.first, whole.value());
  a.take_averages(whole.ctx);
  CHECK_EQ(resumed.second, whole.value());
}

}  // namespace adamw_test
