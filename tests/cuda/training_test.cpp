// Training on the CUDA device against the reference: three steps of the UNet with all its gradients; that the CPU's
// trainer and this one give the same losses.

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "d3ad/autograd/adamw.hpp"
#include "d3ad/diffusion/scaling.hpp"
#include "d3ad/diffusion/unet_trainer.hpp"
#include "d3ad/models/unet.hpp"
#include "support/compare.hpp"
#include "support/cuda.hpp"
#include "support/golden.hpp"
#include "support/golden_parameters.hpp"

namespace cuda_training_test {

using namespace d3ad;

namespace {

Value<float, Cuda> upload(Context<Cuda>& ctx, const Tensor<float, Cpu>& x) {
  auto out = make_value<float>(ctx, x.shape());
  copy_from_host(out.view(), x.data());
  return out;
}

}  // namespace

TEST_CASE("CUDA: three training steps of the UNet equal the reference") {
  if (!test::cuda_present()) return;
  const test::Golden golden("train_unet");
  Context<Cuda> ctx;
  const Schedule schedule;
  ParameterStore<Cuda> store;
  HashSource source("unet.");
  const UNet<Cuda> unet(Params<Cuda>(store, source), golden.config().get<UNetConfig>());
  AdamW<Cuda> optimizer(store.parameters(), {.lr = static_cast<float>(golden.number("lr")),
                                             .weight_decay = static_cast<float>(golden.number("weight_decay"))});
  const auto z0 = golden.tensor("z0");
  for (int step = 0; step < 3; ++step) {
    CAPTURE(step);
    const auto t = golden.steps(concat("t.", step));
    std::vector<float> a, b;
    for (std::int64_t i = 0; i < t.size(); ++i) {
      a.push_back(std::sqrt(schedule.alpha_bar(t.data()[i])));
      b.push_back(std::sqrt(1 - schedule.alpha_bar(t.data()[i])));
    }
    Tensor<std::int32_t, Cuda> times(t.shape());
    copy_from_host(times.view(), t.data());
    const auto signal = diffusion::detail::upload(ctx, a), spread = diffusion::detail::upload(ctx, b);
    const auto noise = upload(ctx, golden.tensor(concat("noise.", step)));
    auto x = make_value<float>(ctx, z0.shape());
    ops::add_noise(ctx, x.view(), upload(ctx, z0).view(), noise.view(), signal.view(), spread.view());
    optimizer.zero_gradients(ctx);
    Tape<Cuda> tape(ctx);
    const auto loss = fn::mse(tape, unet(tape, x, View<const std::int32_t, Cuda>(times.view())), noise);
    const auto want = golden.tensor(concat("loss.", step)).data()[0];
    CHECK(double{fn::item(loss)} == doctest::Approx(double{want}).epsilon(test::kTolerances.network));
    tape.backward(loss);
    if (step == 0)
      test::check_parameters(golden, store, "grad.", test::kTolerances.steps,
                             [](auto& p) { return test::from_cuda<float>(p.gradient()); });
    const double norm = optimizer.step(ctx, {});
    if (step == 0)
      CHECK(norm == doctest::Approx(golden.tensor("grad_norm.0").data()[0]).epsilon(test::kTolerances.steps));
  }
  test::check_parameters(golden, store, "after3.", test::kTolerances.steps,
                         [](auto& p) { return test::from_cuda<float>(p.edit()); });
}

TEST_CASE("CUDA: the trainer draws what the CPU's draws, and its losses are the CPU's") {
  if (!test::cuda_present()) return;
  const Shape shape{.n = 5, .h = 8, .w = 8, .c = 3};
  std::vector<float> latents;
  for (std::int64_t i = 0; i < shape.size(); ++i)
    latents.push_back(std::sin(0.37f * static_cast<float>(i % 211)) + 0.1f * static_cast<float>(i % 3));
  const auto losses = [&]<class Device>(Context<Device>& ctx) {
    const Schedule schedule;
    ParameterStore<Device> store;
    InitSource source(5);
    const UNet<Device> unet(
        Params<Device>(store, source),
        {.channels = 3, .base = 32, .multipliers = {1, 2}, .res_blocks = 1, .attention = {2}, .heads = 2});
    UNetTrainer<Device> trainer(ctx, unet, store, schedule,
                                {.iterations = 4, .batch = 4, .accumulate = 2, .ema = 0.9, .clip = 0.5, .seed = 3});
    trainer.set_latents(latents, shape);
    std::vector<double> out;
    while (!trainer.done()) out.push_back(trainer.step().loss);
    return out;
  };
  Context<Cpu> host;
  Context<Cuda> ctx;
  const auto want = losses(host), got = losses(ctx);
  REQUIRE_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i) CHECK(got[i] == doctest::Approx(want[i]).epsilon(1e-4));
}

}  // namespace cuda_training_test
