// Training in half: the loss is scaled, a gradient that does not fit halves the scale and the step is made again; the
// losses are those of float to half's rounding, and a resumed run is the uninterrupted one.

#include "d3ad/autograd/loss_scale.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "d3ad/diffusion/unet_trainer.hpp"
#include "support/cuda.hpp"
#include "support/temporary_folder.hpp"

namespace cuda_loss_scale_test {

using namespace d3ad;

namespace {

const Shape kLatents{.n = 5, .h = 8, .w = 8, .c = 3};

std::vector<float> latents() {
  std::vector<float> out;
  for (std::int64_t i = 0; i < kLatents.size(); ++i)
    out.push_back(std::sin(0.37f * static_cast<float>(i % 211)) + 0.1f * static_cast<float>(i % 3));
  return out;
}

template <class Device>
struct Training {
  explicit Training(const std::vector<float>& images) { trainer.set_latents(images, kLatents); }
  std::vector<double> run(int steps) {
    std::vector<double> losses;
    for (int i = 0; i < steps; ++i) losses.push_back(trainer.step().loss);
    return losses;
  }

  Context<Device> ctx;
  Schedule schedule;
  ParameterStore<Device> store;
  InitSource source{5};
  UNet<Device> unet{Params<Device>(store, source),
                    {.channels = 3, .base = 32, .multipliers = {1, 2}, .res_blocks = 1, .attention = {2}, .heads = 2}};
  UNetTrainer<Device> trainer{ctx, unet, store, schedule, {.iterations = 4, .batch = 4, .clip = 0.5, .seed = 3}};
};

}  // namespace

TEST_CASE("a loss scale falls at once and rises slowly") {
  LossScale<CudaHalf> scale;
  const float first = scale.value();
  CHECK(scale.keeps(1.0));
  CHECK_FALSE(scale.keeps(std::numeric_limits<double>::infinity()));
  CHECK_FALSE(scale.keeps(std::numeric_limits<double>::quiet_NaN()));
  CHECK_EQ(scale.value(), first / 4);
  for (int i = 0; i < 2000; ++i) CHECK(scale.keeps(1.0));
  CHECK_EQ(scale.value(), first / 2);
  const auto exhaust = [&] {
    while (!scale.keeps(INFINITY)) continue;
  };
  CHECK_THROWS_WITH_AS(exhaust(), doctest::Contains("half's range"), Error);
  LossScale<Cpu> none;
  CHECK_EQ(none.value(), 1.0f);
  CHECK(none.keeps(INFINITY));
}

TEST_CASE("CUDA: training in half and bfloat16 follows training in float") {
  if (!test::cuda_present()) return;
  const auto images = latents();
  Training<Cuda> wide(images);
  Training<CudaHalf> narrow(images);
  Training<CudaBfloat16> brain(images);
  const auto want = wide.run(3), in_half = narrow.run(3), in_bfloat16 = brain.run(3);
  for (std::size_t i = 0; i < want.size(); ++i) {
    CHECK(in_half[i] == doctest::Approx(want[i]).epsilon(5e-3));
    CHECK(in_bfloat16[i] == doctest::Approx(want[i]).epsilon(3e-2));
  }
}

TEST_CASE("CUDA: a training in half that was stopped goes on as if it had not been") {
  if (!test::cuda_present()) return;
  const auto images = latents();
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "checkpoint.safetensors";
  Training<CudaHalf> whole(images), begun(images), resumed(images);
  const auto want = whole.run(4);
  begun.run(2);
  begun.trainer.save(path, {});
  resumed.trainer.load(SafetensorsFile(path));
  const auto rest = resumed.run(2);
  CHECK_EQ(rest[0], want[2]);
  CHECK_EQ(rest[1], want[3]);
}

}  // namespace cuda_loss_scale_test
