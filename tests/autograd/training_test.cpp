// Training against the reference: three steps of the UNet, one adaptation step of the ResNet; resuming; options.

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "d3ad/autograd/adamw.hpp"
#include "d3ad/backend/reference/ops.hpp"
#include "d3ad/diffusion/schedule.hpp"
#include "d3ad/diffusion/unet_trainer.hpp"
#include "d3ad/models/resnet.hpp"
#include "d3ad/models/unet.hpp"
#include "d3ad/networks-inl.hpp"
#include "support/compare.hpp"
#include "support/golden.hpp"
#include "support/golden_parameters.hpp"
#include "support/temporary_folder.hpp"

namespace autograd_training_test {

using namespace d3ad;

TEST_CASE("three training steps of the UNet equal the reference") {
  const test::Golden golden("train_unet");
  for (const bool checkpointing : {false, true}) {
    CAPTURE(checkpointing);
    Context<Cpu> ctx;
    const Schedule schedule;
    ParameterStore<Cpu> store;
    HashSource source("unet.");
    UNet<Cpu> unet(Params<Cpu>(store, source), golden.config().get<UNetConfig>());
    unet.set_checkpointing(checkpointing);
    AdamW<Cpu> optimizer(store.parameters(), {.lr = static_cast<float>(golden.number("lr")),
                                              .weight_decay = static_cast<float>(golden.number("weight_decay"))});
    const auto z0 = golden.tensor("z0");
    for (int step = 0; step < 3; ++step) {
      const auto noise = golden.tensor(concat("noise.", step));
      const auto t = golden.steps(concat("t.", step));
      Tensor<float, Cpu> a({.n = t.size()}), b({.n = t.size()});
      for (std::int64_t i = 0; i < t.size(); ++i) {
        a.data()[i] = std::sqrt(schedule.alpha_bar(t.data()[i]));
        b.data()[i] = std::sqrt(1 - schedule.alpha_bar(t.data()[i]));
      }
      auto x = make_value<float>(ctx, z0.shape());
      ops::add_noise(ctx, x.view(), z0.view(), noise.view(), a.view(), b.view());
      optimizer.zero_gradients(ctx);
      Tape<Cpu> tape(ctx);
      auto loss = fn::mse(tape, unet(tape, x, t.view()), test::borrow(noise));
      const auto want = golden.tensor(concat("loss.", step));
      const auto got = test::compare(loss.view(), want.view(), test::kTolerances.network);
      CHECK_MESSAGE(got.close, got);
      tape.backward(loss);
      if (step == 0)
        test::check_parameters(golden, store, "grad.", test::kTolerances.steps,
                               [](Parameter<Cpu>& p) -> View<const float, Cpu> { return p.gradient(); });
      const double norm = optimizer.step(ctx, {});
      if (step == 0)
        CHECK(norm == doctest::Approx(golden.tensor("grad_norm.0").data()[0]).epsilon(test::kTolerances.steps));
    }
    test::check_parameters(golden, store, "after3.", test::kTolerances.steps,
                           [](Parameter<Cpu>& p) { return std::as_const(p).value(); });
  }
}

TEST_CASE("the training golden tells a wrong optimizer from the right one") {
  const test::Golden golden("train_unet");
  Context<Cpu> ctx;
  ParameterStore<Cpu> store;
  HashSource source("unet.");
  UNet<Cpu> unet(Params<Cpu>(store, source), golden.config().get<UNetConfig>());
  // No step at all: the weights are still where they started, which the golden's tolerance has to notice.
  const auto want = golden.tensor("after3.down.1.0.in_layers.2.weight");
  const auto* p = store.find("down.1.0.in_layers.2.weight");
  REQUIRE(p);
  CHECK_FALSE(test::compare(std::as_const(*p).value(), want.view(), test::kTolerances.steps).close);
}

// On the reference device: an activation of 1.5e-6 decides here which way a ReLU goes and moves gradients by 2e-3 of
// their largest, while the rounding of activations to float alone moves them by 2e-6.
TEST_CASE("one adaptation step of the ResNet equals the reference") {
  const test::Golden golden("adapt_resnet34");
  Context<Reference> ctx;
  ParameterStore<Reference> store;
  HashSource source("resnet34.");
  const ResNet<Reference> net(Params<Reference>(store, source), ResNetConfig::named("resnet34"));
  AdamW<Reference> optimizer(store.parameters(), {.lr = static_cast<float>(golden.number("lr")),
                                                  .weight_decay = static_cast<float>(golden.number("weight_decay"))});
  optimizer.zero_gradients(ctx);
  Tape<Reference> tape(ctx);
  const auto rec = test::to_reference(golden.tensor("rec").view());
  const auto target = test::to_reference(golden.tensor("target").view());
  const auto f = net.features(tape, imagenet_input(ctx, Value<double, Reference>::borrow(rec.view())), true);
  const auto g = net.features(tape, imagenet_input(ctx, Value<double, Reference>::borrow(target.view())), true);
  auto loss = fn::cosine_loss(tape, f[0], g[0]);
  for (std::size_t i = 1; i < 3; ++i) loss = fn::add(tape, loss, fn::cosine_loss(tape, f[i], g[i]));
  const auto got = test::compare(loss.view(), golden.tensor("loss").view(), test::kTolerances.network);
  CHECK_MESSAGE(got.close, got);
  tape.backward(loss);
  test::check_parameters(golden, store, "grad.", test::kTolerances.steps,
                         [](Parameter<Reference>& p) -> View<const double, Reference> { return p.gradient(); });
  optimizer.step(ctx, {});
  test::check_parameters(golden, store, "after1.", test::kTolerances.steps,
                         [](Parameter<Reference>& p) { return std::as_const(p).value(); });
}

namespace {

struct Run {
  Context<Cpu> ctx{{.threads = 2}};
  Schedule schedule;
  ParameterStore<Cpu> store;
  InitSource source{11};
  UNet<Cpu> unet{
      Params<Cpu>(store, source),
      UNetConfig{.channels = 4, .base = 32, .multipliers = {1, 1}, .res_blocks = 1, .attention = {2}, .heads = 2}};
  UNetTrainer<Cpu> trainer;
  explicit Run(UNetTrainerOptions options) : trainer(ctx, unet, store, schedule, options) {}
};

std::vector<float> latents(Shape shape) {
  std::vector<float> z(static_cast<std::size_t>(shape.size()));
  const Rng rng(5, 0);
  for (std::size_t i = 0; i < z.size(); ++i) z[i] = rng.normal(i);
  return z;
}

bool same_weights(ParameterStore<Cpu>& a, ParameterStore<Cpu>& b) {
  for (auto& p : a) {
    const auto* q = b.find(p.name());
    const auto x = std::as_const(p).value(), y = q->value();
    if (std::memcmp(x.data, y.data, static_cast<std::size_t>(x.size()) * sizeof(float)) != 0) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("a resumed training equals an uninterrupted one bit for bit") {
  const Shape shape{7, 8, 8, 4};
  const auto z = latents(shape);
  const UNetTrainerOptions options{.iterations = 6,
                                   .batch = 4,
                                   .accumulate = 2,
                                   .ema = 0.9,
                                   .clip = 1,
                                   .warmup = 2,
                                   .cosine_decay = true,
                                   .seed = 3};
  const test::TemporaryFolder folder;

  Run whole(options);
  whole.trainer.set_latents(z, shape);
  while (!whole.trainer.done()) whole.trainer.step();
  whole.trainer.finish();

  Run first(options);
  first.trainer.set_latents(z, shape);
  for (int i = 0; i < 3; ++i) first.trainer.step();
  first.trainer.save(folder.path() / "checkpoint.safetensors", {});

  Run second(options);
  second.trainer.set_latents(z, shape);
  second.trainer.load(SafetensorsFile(folder.path() / "checkpoint.safetensors"));
  CHECK_EQ(second.trainer.steps(), 3);
  while (!second.trainer.done()) second.trainer.step();
  second.trainer.finish();
  CHECK(same_weights(whole.store, second.store));

  // Another seed is another training.
  auto other = options;
  other.seed = 4;
  Run different(other);
  different.trainer.set_latents(z, shape);
  while (!different.trainer.done()) different.trainer.step();
  different.trainer.finish();
  CHECK_FALSE(same_weights(whole.store, different.store));
}

TEST_CASE("training allocates nothing once it is under way") {
  const Shape shape{4, 8, 8, 4};
  const auto z = latents(shape);
  Run run({.iterations = 10, .batch = 2});
  run.trainer.set_latents(z, shape);
  for (int i = 0; i < 3; ++i) run.trainer.step();
  const auto before = Memory<Cpu>::allocations();
  for (int i = 0; i < 3; ++i) run.trainer.step();
  CHECK_EQ(Memory<Cpu>::allocations(), before);
}

TEST_CASE("NaN in the latents stops the training with a sentence") {
  const Shape shape{4, 8, 8, 4};
  auto z = latents(shape);
  for (auto& v : z) v = std::nanf("");
  Run run({.iterations = 2, .batch = 2});
  run.trainer.set_latents(z, shape);
  CHECK_THROWS_WITH_AS(run.trainer.step(), doctest::Contains("not finite"), Error);
}

}  // namespace autograd_training_test
