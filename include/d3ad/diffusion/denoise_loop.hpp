#pragma once
// Repeated reconstruction with a network that is frozen (diffusion/denoise.hpp has the method):
//
//   DenoiseLoop<Cuda> loop;                                                     kept as long as the network
//   auto z = loop(ctx, model, z0, T_hat, schedule, {.eta2 = 4, .steps = 10});     as diffusion::reconstruct
//
//   auto z = loop(ctx, model, z0, T_hats, choice, schedule, options);   T̂ of image i: T_hats[choice[i]], found there
//
// On a device that replays work (core/replay.hpp) all steps of a batch are recorded once for each number of images and
// are then launched as a whole. T̂ differs from image to image, and from batch to batch, as data in a table. The noise
// that omega and eta ask for is drawn before. If T̂ is chosen on the device, it fills that table there, and the host
// does not wait; the number of steps is then that of the T̂ of T_hats with most steps. On other devices this is
// reconstruct() itself, for which the chosen T̂ are copied to the host.

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "d3ad/backend/ops.hpp"
#include "d3ad/core/replay.hpp"
#include "d3ad/diffusion/denoise.hpp"

namespace d3ad {

template <class Device>
class DenoiseLoop {
 public:
  using V = Value<Weight<Device>, Device>;

  template <class Model>
  V operator()(Context<Device>& ctx, Model&& model, const V& z0, const std::vector<int>& T_hat,
               const Schedule& schedule, const diffusion::DenoiseOptions& options) {
    if constexpr (kReplays<Device>) {
      const Numbers numbers(schedule, T_hat, options);
      Tables& tables = tables_for(z0.shape(), numbers.steps, options);
      tables.rows.upload(numbers);
      return replayed(ctx, model, z0, tables, options);
    } else {
      return diffusion::reconstruct(ctx, model, z0, T_hat, schedule, options);
    }
  }

  template <class Model>
  V operator()(Context<Device>& ctx, Model&& model, const V& z0, const std::vector<int>& T_hats,
               const Value<std::int32_t, Device>& choice, const Schedule& schedule,
               const diffusion::DenoiseOptions& options) {
    if constexpr (kReplays<Device>) {
      const Rows& from = choices(Numbers(schedule, T_hats, options));
      Tables& tables = tables_for(z0.shape(), from.t.shape().n, options);
      ops::pick(ctx, tables.rows.signal.view(), from.signal.view(), choice.view());
      ops::pick(ctx, tables.rows.noise.view(), from.noise.view(), choice.view());
      ops::pick(ctx, tables.rows.t.view(), from.t.view(), choice.view());
      ops::pick(ctx, tables.rows.coefficients.view(), from.coefficients.view(), choice.view());
      return replayed(ctx, model, z0, tables, options);
    } else {
      return diffusion::reconstruct(ctx, model, z0, diffusion::chosen(T_hats, choice), schedule, options);
    }
  }

 private:
  // What differs from one T̂ to another: factors of the start, and of each step its time and coefficients; a column for
  // each T̂, a row for each step.
  struct Numbers {
    std::int64_t steps, columns;
    std::vector<float> signal, noise;
    std::vector<std::int32_t> t;
    std::vector<ops::StepCoefficients> coefficients;

    Numbers(const Schedule& schedule, const std::vector<int>& T_hat, const diffusion::DenoiseOptions& options)
        : columns(static_cast<std::int64_t>(T_hat.size())) {
      const auto timetable =
          diffusion::denoise_steps(schedule, T_hat, options.steps, options.eta, options.drop_first_direction);
      for (const auto& step : timetable.steps) {
        t.insert(t.end(), step.t.begin(), step.t.end());
        coefficients.insert(coefficients.end(), step.coefficients.begin(), step.coefficients.end());
      }
      steps = static_cast<std::int64_t>(timetable.steps.size());
      auto start = diffusion::start_factors(schedule, T_hat, options.omega);
      signal = std::move(start.signal), noise = std::move(start.noise);
    }
    bool operator==(const Numbers&) const = default;
  };
  // The same on the device.
  struct Rows {
    Tensor<Weight<Device>, Device> signal, noise;
    Tensor<std::int32_t, Device> t;
    Tensor<ops::StepCoefficients, Device> coefficients;

    Rows(std::int64_t steps, std::int64_t columns)
        : signal({.c = columns}),
          noise({.c = columns}),
          t({.n = steps, .c = columns}),
          coefficients({.n = steps, .c = columns}) {}
    void upload(const Numbers& numbers) {
      D3AD_CHECK(numbers.columns == t.shape().c, "reconstruct: ", numbers.columns, " T_hat for ", t.shape().c,
                 " images");
      copy_from_host(signal.view(), numbers.signal.data());
      copy_from_host(noise.view(), numbers.noise.data());
      copy_from_host(t.view(), numbers.t.data());
      copy_from_host(coefficients.view(), numbers.coefficients.data());
    }
  };
  // What the recorded work reads and writes: a column for each image.
  struct Tables {
    Tensor<Weight<Device>, Device> z0, x, start_noise;       // start_noise: empty without omega
    std::vector<Tensor<Weight<Device>, Device>> step_noise;  // of each step; empty without eta
    Rows rows;
  };
  using Noise = View<const Weight<Device>, Device>;

  template <class Model>
  V replayed(Context<Device>& ctx, Model& model, const V& z0, Tables& tables,
             const diffusion::DenoiseOptions& options) {
    const Shape shape = z0.shape();
    D3AD_CHECK(std::isfinite(options.eta2), "reconstruct: eta2 is ", options.eta2, ", expected a number");
    ops::copy(ctx, tables.z0.view(), z0.view());
    if (options.omega != 0) diffusion::draw_start_noise(ctx, tables.start_noise.view(), options);
    std::size_t left = tables.step_noise.size();
    for (auto& noise : tables.step_noise) diffusion::draw_step_noise(ctx, noise.view(), left--, options);
    const std::int64_t steps = tables.rows.t.shape().n;
    replay_.run(ctx, key(shape, steps, options), [&](Context<Device>& c) {
      const View<Weight<Device>, Device> x = tables.x.view();
      ops::scale_start(c, x, tables.z0.view(), options.omega != 0 ? Noise(tables.start_noise.view()) : Noise(),
                       tables.rows.signal.view(), tables.rows.noise.view());
      for (std::int64_t i = 0; i < steps; ++i) {
        const View<const std::int32_t, Device> t = tables.rows.t.view().images(i, 1);
        const View<const ops::StepCoefficients, Device> coefficients = tables.rows.coefficients.view().images(i, 1);
        const Value<Real<Device>, Device> e = model(c, V::borrow(x), t.reshaped({.n = shape.n}));
        D3AD_CHECK(e.shape() == shape, "reconstruct: the model gave ", e.shape(), " for x ", shape);
        ops::guided_step(c, x, x, e.view(), tables.z0.view(),
                         options.eta > 0 ? Noise(tables.step_noise[static_cast<std::size_t>(i)].view()) : Noise(),
                         coefficients.reshaped({.n = shape.n}), options.eta2);
      }
    });
    auto out = make_value<Weight<Device>>(ctx, shape);
    ops::copy(ctx, out.view(), tables.x.view());
    return out;
  }

  static std::string key(Shape shape, std::int64_t steps, const diffusion::DenoiseOptions& options) {
    return concat(shape, ' ', steps, ' ', options.eta2, options.omega != 0 ? " start" : "",
                  options.eta > 0 ? " steps" : "");
  }

  Tables& tables_for(Shape shape, std::int64_t steps, const diffusion::DenoiseOptions& options) {
    auto& tables = tables_[key(shape, steps, options)];
    if (!tables) {
      tables = std::make_unique<Tables>(Tables{.z0 = Tensor<Weight<Device>, Device>(shape),
                                               .x = Tensor<Weight<Device>, Device>(shape),
                                               .start_noise = {},
                                               .step_noise = {},
                                               .rows = Rows(steps, shape.n)});
      if (options.omega != 0) tables->start_noise = Tensor<Weight<Device>, Device>(shape);
      for (std::int64_t i = 0; options.eta > 0 && i < steps; ++i) tables->step_noise.emplace_back(shape);
    }
    return *tables;
  }

  // What may be chosen from, which stays the same from batch to batch.
  const Rows& choices(Numbers numbers) {
    if (!choices_ || !(choices_->numbers == numbers)) {
      choices_.reset();
      Rows rows(numbers.steps, numbers.columns);
      rows.upload(numbers);
      choices_ = std::make_unique<Choices>(Choices{std::move(numbers), std::move(rows)});
    }
    return choices_->rows;
  }
  struct Choices {
    Numbers numbers;
    Rows rows;
  };

  std::unordered_map<std::string, std::unique_ptr<Tables>> tables_;  // before what refers to them
  std::unique_ptr<Choices> choices_;
  Replay<Device> replay_;
};

}  // namespace d3ad
