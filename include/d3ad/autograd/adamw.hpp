#pragma once
// AdamW over all trainable parameters of a network, with gradient clipping, warm-up and cosine decay of the learning
// rate, and an exponential moving average of the weights.
//
//   AdamW<Cpu> optimizer(store.parameters(), {.lr = 1e-4f});
//   optimizer.zero_gradients(ctx);
//   tape.backward(loss);
//   const double norm = optimizer.step(ctx, {.lr_factor = 1, .clip = 1.0});
//
// The state (moments, step count, average) can be read and written by name, so that a resumed run equals an
// uninterrupted one bit for bit.

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/backend/ops.hpp"
#include "d3ad/core/parameter.hpp"

namespace d3ad {

// Rises linearly over `warmup` steps. Then it is 1 or, with cosine_decay, half a cosine that is 0 at `total`. Steps
// count from 0.
inline double learning_rate_factor(std::int64_t step, std::int64_t total, std::int64_t warmup, bool cosine_decay) {
  if (step < warmup) return static_cast<double>(step + 1) / static_cast<double>(warmup);
  if (!cosine_decay || total <= warmup) return 1.0;
  const double progress = static_cast<double>(step - warmup) / static_cast<double>(total - warmup);
  return 0.5 * (1.0 + std::cos(3.14159265358979323846 * (progress < 1.0 ? progress : 1.0)));
}

template <class Device>
class AdamW {
 public:
  struct StepOptions {
    double lr_factor = 1.0;
    double clip = 0.0;            // largest norm of all gradients together; 0: no clipping
    double ema = 0.0;             // decay of the average; 0: no average
    double gradient_scale = 1.0;  // factor of the parameters' gradients, applied before anything else
    bool may_overflow = false;    // a gradient that is not finite skips the step instead of throwing (loss_scale.hpp)
  };

  AdamW(std::vector<Parameter<Device>*> parameters, ops::AdamW config) : config_(config) {
    for (auto* p : parameters) {
      if (!p->trainable()) continue;
      State s{p, zeros(p->shape()), zeros(p->shape()), {}};
      states_.push_back(std::move(s));
    }
  }

  void zero_gradients(Context<Device>& ctx) {
    for (auto& s : states_) ops::fill(ctx, s.parameter->gradient(), 0.0f);
  }

  // Takes one step. Returns the norm of the gradient before clipping. With may_overflow, no step was taken if this norm
  // is not finite.
  double step(Context<Device>& ctx, StepOptions options) {
    std::vector<ops::AdamWTensor<Device>> tensors;
    for (auto& s : states_)
      tensors.push_back({s.parameter->edit(), s.m.view(), s.v.view(), s.parameter->gradient(),
                         options.ema > 0 ? s.average.view() : View<Weight<Device>, Device>()});
    const double norm = std::sqrt(ops::sum_squares_all(ctx, tensors)) * options.gradient_scale;
    if (options.may_overflow && !std::isfinite(norm)) return norm;
    D3AD_CHECK(std::isfinite(norm), "training: the gradient is not finite at step ", steps_ + 1,
               "; lower the learning rate or clip the gradient");
    const double clip = options.clip > 0 && norm > options.clip ? options.clip / norm : 1.0;
    const double scale = clip * options.gradient_scale;
    ++steps_;
    ops::AdamW config = config_;
    config.lr = static_cast<float>(double{config_.lr} * options.lr_factor);
    // In the first steps the decay is smaller, so that the initial weights soon lose their influence.
    const double warm = (1.0 + static_cast<double>(steps_)) / (10.0 + static_cast<double>(steps_));
    ops::adamw_all(ctx, tensors, config, steps_, static_cast<float>(scale),
                   static_cast<float>(warm < options.ema ? warm : options.ema));
    if (options.ema > 0)
      for (std::size_t i = 0; i < states_.size(); ++i) {
        auto& average = states_[i].average;
        if (!average.empty()) continue;
        average = Tensor<Weight<Device>, Device>(tensors[i].w.shape);
        ops::copy(ctx, average.view(), tensors[i].w);
      }
    return norm;
  }

  std::int64_t steps() const { return steps_; }
  void set_steps(std::int64_t steps) { steps_ = steps; }

  // Replaces the parameters by their averages, at the end of a training that has them.
  void take_averages(Context<Device>& ctx) {
    for (auto& s : states_)
      if (!s.average.empty()) ops::copy(ctx, s.parameter->edit(), s.average.view());
  }

  // Calls f(name, parameter, tensor) for every tensor of the state. Names are "m.<parameter>", "v.<parameter>" and
  // "ema.<parameter>".
  template <class F>
  void each_state(F&& f) {
    for (auto& s : states_) {
      f("m." + s.parameter->name(), *s.parameter, s.m);
      f("v." + s.parameter->name(), *s.parameter, s.v);
      if (!s.average.empty()) f("ema." + s.parameter->name(), *s.parameter, s.average);
    }
  }
  bool has_averages() const { return !states_.empty() && !states_.front().average.empty(); }
  // Allocates the averages, before a state that has them is read.
  void allocate_averages() {
    for (auto& s : states_) s.average = zeros(s.parameter->shape());
  }

 private:
  struct State {
    Parameter<Device>* parameter;
    Tensor<Weight<Device>, Device> m, v, average;
  };
  static Tensor<Weight<Device>, Device> zeros(Shape shape) {
    Tensor<Weight<Device>, Device> t(shape);
    const std::vector<Weight<Device>> host(static_cast<std::size_t>(shape.size()));
    copy_from_host(t.view(), host.data());
    return t;
  }

  ops::AdamW config_;
  std::vector<State> states_;
  std::int64_t steps_ = 0;
};

}  // namespace d3ad
