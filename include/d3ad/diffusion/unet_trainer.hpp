#pragma once
// Training of the UNet on latents (METHOD.md, section 3): x_t = sqrt(alpha_bar_t) z + sqrt(1 - alpha_bar_t) eps; the
// loss is the mean squared error of the predicted noise; AdamW.
//
//   UNetTrainer<Cpu> trainer(ctx, unet, store, schedule, options);
//   trainer.set_latents(latents, shape);                     // host memory, [count, h, w, c]
//   while (!trainer.done()) { auto s = trainer.step(); ... trainer.save(path); }
//   trainer.finish();                                        // averaged weights, if there are any
//
// All that is random comes from counters (seed, step), so a run that was stopped and resumed from save() equals an
// uninterrupted one bit for bit. Images are drawn in shuffled rounds; the last, short batch of a round is dropped, and
// if there are fewer images than a batch holds, rounds follow each other within it.
//
// Several processes (a Group) share each micro-batch: each computes its part of the images, gradients are summed during
// the backward pass, and all take the same step. What a place of a batch holds does not depend on the process that
// computes it, so the result equals that of one process to the rounding of sums. share() gives all processes the state
// of rank 0, which alone loads and saves.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/autograd/adamw.hpp"
#include "d3ad/autograd/convert.hpp"
#include "d3ad/autograd/loss_scale.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/core/rng.hpp"
#include "d3ad/diffusion/schedule.hpp"
#include "d3ad/models/unet.hpp"
#include "d3ad/parallel/gradient_sum.hpp"
#include "d3ad/parallel/nccl.hpp"  // how a GPU's are summed
#include "d3ad/weights/share.hpp"
#include "d3ad/weights/training_state.hpp"

namespace d3ad {

struct UNetTrainerOptions {
  std::int64_t iterations = 0;  // total; 0: epochs x batches a round
  std::int64_t epochs = 0;
  int batch = 30;
  int accumulate = 1;  // micro-batches a step
  ops::AdamW adamw = {};
  double ema = 0, clip = 0;
  int warmup = 0;
  bool cosine_decay = false;
  std::uint64_t seed = 0;
};

template <class Device>
class UNetTrainer {
 public:
  struct Step {
    std::int64_t number = 0;  // 1-based
    double loss = 0, gradient_norm = 0, learning_rate = 0;
  };

  UNetTrainer(Context<Device>& ctx, const UNet<Device>& unet, ParameterStore<Device>& store, const Schedule& schedule,
              UNetTrainerOptions options, Group& group = Group::alone());

  // Throws if a batch does not split into its parts and over the processes.
  static void check(const UNetTrainerOptions& options, const Group& group);

  // `latents` [shape.n, h, w, c] on the host, kept by reference.
  void set_latents(const std::vector<float>& latents, Shape shape);

  std::int64_t batches_a_round() const { return std::max<std::int64_t>(1, shape_.n / options_.batch); }
  std::int64_t total() const;
  std::int64_t steps() const { return optimizer_.steps(); }
  bool done() const { return steps() >= total(); }

  Step step();

  // The averaged weights take their place (with EMA), and gradients go.
  void finish();

  // Weights, moments, averages and the step count; `metadata` comes along.
  void save(const std::filesystem::path& path, std::map<std::string, std::string> metadata);

  // Gives everybody the weights, moments, averages and step count of rank 0.
  void share();

  // Continues from what save() wrote. The file has to hold exactly this network's state.
  void load(const SafetensorsFile& file);

 private:
  // The image at place p of the endless sequence of shuffled rounds.
  std::int64_t image_at(std::int64_t p);

  double forward_backward(std::int64_t number, std::int64_t first, std::int64_t count);

  Context<Device>& ctx_;
  Group& group_;
  const UNet<Device>& unet_;
  ParameterStore<Device>& store_;
  const Schedule& schedule_;
  UNetTrainerOptions options_;
  AdamW<Device> optimizer_;
  LossScale<Device> scale_;
  GradientSum<Device> sum_;
  const std::vector<float>* latents_ = nullptr;
  Shape shape_;
  std::vector<std::size_t> order_;
  std::int64_t round_ = -1;
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/diffusion/unet_trainer-inl.hpp"
#endif
