#pragma once
// A training loop that can be stopped with Ctrl-C and goes on with the same command, and batches made of generated
// images.
//
//   Loop loop(ctx, store, {.label = "extractor", .steps = 1000, .batch = 32, .lr = 1e-3f, .checkpoint = path});
//   loop.run([&](Tape<Cpu>& tape, std::int64_t step) { return loss; });

#include <chrono>
#include <d3ad/d3ad.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "../interrupt.hpp"
#include "../progress.hpp"

namespace pretrain {

namespace fs = std::filesystem;
using d3ad::Cpu;
using Value = d3ad::Value<float, Cpu>;

struct LoopOptions {
  std::string label;
  std::int64_t steps = 0;
  int batch = 0;
  float lr = 1e-3f, weight_decay = 0.01f;
  int warmup = 100;
  double clip = 1;
  fs::path checkpoint;
  std::string key;  // what the checkpoint has to belong to
};

class Loop {
 public:
  Loop(d3ad::Context<Cpu>& ctx, d3ad::ParameterStore<Cpu>& store, LoopOptions options)
      : ctx_(ctx),
        store_(store),
        options_(std::move(options)),
        optimizer_(store.parameters(), {.lr = options_.lr, .weight_decay = options_.weight_decay}) {
    if (!fs::exists(options_.checkpoint)) return;
    const d3ad::SafetensorsFile file(options_.checkpoint);
    const auto metadata = file.metadata();
    D3AD_CHECK(metadata.count("key") && metadata.at("key") == options_.key, "'", options_.checkpoint.string(),
               "' is a checkpoint of another training; delete it, or repeat its options");
    d3ad::load_training_state(store_, optimizer_, file, false);
    std::printf("%s: going on from step %lld\n", options_.label.c_str(), static_cast<long long>(optimizer_.steps()));
  }

  // loss(tape, step): the loss of one batch, on the tape.
  template <class Loss>
  void run(Loss&& loss) {
    using Clock = std::chrono::steady_clock;
    command_line::InterruptGuard guard;
    command_line::Progress progress(options_.label, options_.steps, "images", options_.batch, 30);
    auto saved = Clock::now();
    double mean = -1;
    while (optimizer_.steps() < options_.steps) {
      const auto step = optimizer_.steps();
      {
        d3ad::Tape<Cpu> tape(ctx_);
        optimizer_.zero_gradients(ctx_);
        const auto value = loss(tape, step);
        const auto now = static_cast<double>(d3ad::fn::item(value));
        mean = mean < 0 ? now : 0.98 * mean + 0.02 * now;
        tape.backward(value);
      }
      const double factor = d3ad::learning_rate_factor(step, options_.steps, options_.warmup, true);
      optimizer_.step(ctx_, {.lr_factor = factor, .clip = options_.clip});
      progress.show(step + 1, "loss " + d3ad::fixed(mean, 4));
      const bool stop = guard.interrupted();
      if (stop || std::chrono::duration<double>(Clock::now() - saved).count() > 60) {
        d3ad::save_training_state(store_, optimizer_, options_.checkpoint, {{"key", options_.key}});
        saved = Clock::now();
      }
      if (stop)
        throw d3ad::Interrupted(d3ad::concat("stopped at step ", step + 1, "; run the same command again to go on"));
    }
    store_.drop_gradients();
  }

  // The training is over and its result written: its checkpoint goes.
  void forget() const { fs::remove(options_.checkpoint); }

 private:
  d3ad::Context<Cpu>& ctx_;
  d3ad::ParameterStore<Cpu>& store_;
  LoopOptions options_;
  d3ad::AdamW<Cpu> optimizer_;
};

// Canvases in a batch, [n, size, size, 3] in -1 ... 1. draw(i) makes the i-th, each on any thread.
template <class Draw>
Value make_batch(d3ad::Context<Cpu>& ctx, int count, int size, Draw&& draw) {
  auto x = make_value<float>(ctx, {count, size, size, 3});
#pragma omp parallel for schedule(dynamic) num_threads(ctx.threads())
  for (int i = 0; i < count; ++i) draw(i).copy_input(x.view().images(i, 1).data);
  return x;
}

}  // namespace pretrain
