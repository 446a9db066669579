// Gradients summed over processes (threads, here) while backward runs; training of the UNet by several.

#include "d3ad/parallel/gradient_sum.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <mutex>

#include "d3ad/autograd/functions.hpp"
#include "d3ad/diffusion/unet_trainer.hpp"
#include "support/thread_group.hpp"

namespace gradient_sum_test {

using namespace d3ad;

namespace {

Parameter<Cpu> parameter(const char* name, std::int64_t size) { return Parameter<Cpu>(name, {size}, Shape{.c = size}); }
void fill(Parameter<Cpu>& p, float value) {
  const auto g = p.gradient();
  for (std::int64_t i = 0; i < g.size(); ++i) g.data[i] = value + static_cast<float>(i);
}

const UNetConfig kSmall{
    .channels = 4, .base = 32, .multipliers = {1, 1}, .res_blocks = 1, .attention = {2}, .heads = 2};

using Weights = std::map<std::string, std::vector<float>>;
Weights weights_of(const ParameterStore<Cpu>& store) {
  Weights all;
  for (const auto& p : store) all[p.name()].assign(p.value().data, p.value().data + p.size());
  return all;
}
double farthest(const Weights& a, const Weights& b) {
  double far = 0;
  for (const auto& [name, values] : a)
    for (std::size_t i = 0; i < values.size(); ++i) far = std::max(far, std::abs(double{values[i]} - b.at(name)[i]));
  return far;
}

struct Trained {
  Weights weights;
  std::vector<double> losses, norms;
};

// The training that every one of `processes` has made, which have to be the same to the bit.
Trained train(int processes, UNetTrainerOptions options, bool checkpointing = false) {
  const Shape shape{9, 8, 8, 4};
  std::vector<float> latents(static_cast<std::size_t>(shape.size()));
  const Rng rng(5, 0);
  for (std::size_t i = 0; i < latents.size(); ++i) latents[i] = rng.normal(i);
  std::mutex mutex;
  std::vector<Trained> all;
  test::in_threads(processes, [&](Group& group) {
    Context<Cpu> ctx({.threads = 1});
    const Schedule schedule;
    ParameterStore<Cpu> store;
    InitSource source(static_cast<std::uint64_t>(11 + group.rank()));  // share() makes it that of the first
    UNet<Cpu> unet(Params<Cpu>(store, source), kSmall);
    unet.set_checkpointing(checkpointing);
    UNetTrainer<Cpu> trainer(ctx, unet, store, schedule, options, group);
    trainer.set_latents(latents, shape);
    trainer.share();
    Trained own;
    while (!trainer.done()) {
      const auto step = trainer.step();
      own.losses.push_back(step.loss), own.norms.push_back(step.gradient_norm);
    }
    trainer.finish();
    own.weights = weights_of(store);
    const std::lock_guard lock(mutex);
    all.push_back(std::move(own));
  });
  for (const auto& one : all) {
    CHECK_EQ(farthest(all[0].weights, one.weights), 0.0);
    CHECK_EQ(all[0].losses, one.losses);
  }
  return all[0];
}

}  // namespace

TEST_CASE("gradients become their sum, from the second pass on while the rest is yet to come") {
  std::mutex mutex;
  int right = 0;
  test::in_threads(3, [&](test::ThreadGroup& group) {
    Context<Cpu> ctx({.threads = 1});
    auto a = parameter("a", 5), b = parameter("b", 3), c = parameter("c", 2), idle = parameter("idle", 2);
    idle.gradient();
    GradientSum<Cpu> sum(group, ctx, {&a, &b, &c, &idle}, /*bucket_bytes=*/4);
    for (int pass = 0; pass < 3; ++pass) {
      const auto own = static_cast<float>(10 * group.rank() + pass);
      const int before = group.started();
      sum.begin();
      fill(b, own), sum.contributed(b);
      const int after_b = group.started() - before;
      fill(a, own), sum.contributed(a);
      const int after_first_of_a = group.started() - before;
      fill(a, own + 1), sum.contributed(a);
      fill(c, own), sum.contributed(c);
      const int after_all = group.started() - before;
      sum.finish();
      const float total = static_cast<float>(30 + 3 * pass);
      bool good = after_b == (pass > 0) && after_first_of_a == (pass > 0) && after_all == (pass > 0 ? 4 : 0) &&
                  group.started() - before == 4;
      for (int i = 0; i < 5; ++i) good = good && a.gradient().data[i] == total + 3 + static_cast<float>(3 * i);
      for (int i = 0; i < 3; ++i) good = good && b.gradient().data[i] == total + static_cast<float>(3 * i);
      good = good && c.gradient().data[1] == total + 3 && idle.gradient().data[0] == 0;
      const std::lock_guard lock(mutex);
      right += good;
    }
  });
  CHECK_EQ(right, 9);
}

TEST_CASE("a part of a gradient that comes after its sum was started is an error, not a wrong sum") {
  CHECK_THROWS_WITH_AS(test::in_threads(2,
                                        [](Group& group) {
                                          Context<Cpu> ctx({.threads = 1});
                                          auto a = parameter("a", 5);
                                          GradientSum<Cpu> sum(group, ctx, {&a});
                                          for (int pass = 0; pass < 2; ++pass) {
                                            sum.begin();
                                            for (int part = 0; part <= pass; ++part) sum.contributed(a);
                                            sum.finish();
                                          }
                                        }),
                       doctest::Contains("'a' got part 2"), Error);
}

TEST_CASE("a tape tells of every part of every gradient, also through checkpoints") {
  for (const bool checkpointing : {false, true}) {
    CAPTURE(checkpointing);
    Context<Cpu> ctx({.threads = 1});
    ParameterStore<Cpu> store;
    InitSource source(1);
    UNet<Cpu> unet(Params<Cpu>(store, source), kSmall);
    unet.set_checkpointing(checkpointing);
    auto x = make_value<float>(ctx, {2, 8, 8, 4}), target = make_value<float>(ctx, {2, 8, 8, 4});
    auto t = make_value<std::int32_t>(ctx, {.n = 2});
    const Rng rng(1, 2);
    for (std::int64_t i = 0; i < x.shape().size(); ++i) x.view().data[i] = rng.normal(static_cast<std::uint64_t>(i));
    ops::fill(ctx, target.view(), 0.5f);
    t.view().data[0] = 3, t.view().data[1] = 700;
    // What a gradient is at its last announcement is what it is in the end.
    std::map<std::string, std::vector<float>> last;
    Tape<Cpu> tape(ctx);
    tape.listen([&](Parameter<Cpu>& p) {
      const auto g = p.gradient();
      last[p.name()].assign(g.data, g.data + g.size());
    });
    tape.backward(fn::mse(tape, unet(tape, x, View<const std::int32_t, Cpu>(t.view())), target));
    for (auto& p : store) {
      CAPTURE(p.name());
      REQUIRE(last.count(p.name()));
      const auto g = p.gradient();
      CHECK_EQ(std::memcmp(last[p.name()].data(), g.data, last[p.name()].size() * sizeof(float)), 0);
    }
  }
}

TEST_CASE("training by several processes is that of one, to rounding") {
  const UNetTrainerOptions options{.iterations = 4,
                                   .batch = 8,
                                   .accumulate = 2,
                                   .ema = 0.9,
                                   .clip = 0.5,
                                   .warmup = 2,
                                   .cosine_decay = true,
                                   .seed = 3};
  const auto one = train(1, options);
  for (const int processes : {2, 4}) {
    CAPTURE(processes);
    for (const bool checkpointing : {false, true}) {
      const auto several = train(processes, options, checkpointing);
      for (std::size_t i = 0; i < one.losses.size(); ++i) {
        CHECK(several.losses[i] == doctest::Approx(one.losses[i]).epsilon(1e-5));
        CHECK(several.norms[i] == doctest::Approx(one.norms[i]).epsilon(1e-4));
      }
      // Adam's first steps divide a gradient by its own size: one that is rounding alone moves a weight by up to lr.
      CHECK_LT(farthest(one.weights, several.weights), 4e-4);
    }
  }
  // The tolerances tell another training: a step less, another seed.
  auto other = options;
  other.seed = 4;
  CHECK_GT(std::abs(train(2, other).losses[0] - one.losses[0]), 1e-3);
  CHECK_GT(std::abs(train(2, other).norms[0] - one.norms[0]), 1e-3);
  const auto again = train(4, options), twice = train(4, options);
  CHECK_EQ(farthest(again.weights, twice.weights), 0.0);
}

TEST_CASE("a batch that does not split over the processes is refused") {
  CHECK_THROWS_WITH_AS(train(3, {.iterations = 1, .batch = 8}),
                       doctest::Contains("choose a batch that is a multiple of 3"), Error);
}

}  // namespace gradient_sum_test
