#pragma once
// Reconstruction again and again with a network that is frozen (diffusion/denoise.hpp has the method):
//
//   DenoiseLoop<Cuda> loop;                                                     kept as long as the network
//   auto z = loop(ctx, model, z0, T_hat, schedule, {.eta2 = 4, .steps = 10});     as diffusion::reconstruct
//
// On a device that replays work (core/replay.hpp) all steps of a batch are recorded once for each number of images and
// launched as a whole from then on: T̂ differs from image to image, and from batch to batch, as data in a table. Where
// noise is drawn on the way (omega, eta), and on other devices, it is reconstruct() itself.

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

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
      if (options.eta == 0 && options.omega == 0) return replayed(ctx, model, z0, T_hat, schedule, options);
    }
    return diffusion::reconstruct(ctx, model, z0, T_hat, schedule, options);
  }

 private:
  // What the recorded work reads and writes: the start, and a row of times and coefficients for each step.
  struct Tables {
    Tensor<Weight<Device>, Device> z0, x, signal, noise;
    Tensor<std::int32_t, Device> t;
    Tensor<ops::StepCoefficients, Device> coefficients;
  };

  template <class Model>
  V replayed(Context<Device>& ctx, Model& model, const V& z0, const std::vector<int>& T_hat, const Schedule& schedule,
             const diffusion::DenoiseOptions& options) {
    const Shape shape = z0.shape();
    D3AD_CHECK(static_cast<std::int64_t>(T_hat.size()) == shape.n, "reconstruct: ", T_hat.size(), " T_hat for ",
               shape.n, " images");
    D3AD_CHECK(std::isfinite(options.eta2), "reconstruct: eta2 is ", options.eta2, ", expected a number");
    const auto timetable = diffusion::plan(schedule, T_hat, options.steps, 0, options.drop_first_direction);
    const auto steps = static_cast<std::int64_t>(timetable.steps.size());
    const std::string key = concat(shape, ' ', steps, ' ', options.eta2);
    Tables& tables = fill_tables(ctx, key, z0, timetable, diffusion::start_factors(schedule, T_hat, 0));
    replay_.run(ctx, key, [&](Context<Device>& c) {
      const View<Weight<Device>, Device> x = tables.x.view();
      ops::scale_start(c, x, tables.z0.view(), {}, tables.signal.view(), tables.noise.view());
      for (std::int64_t i = 0; i < steps; ++i) {
        const View<const std::int32_t, Device> t = tables.t.view().images(i, 1);
        const View<const ops::StepCoefficients, Device> coefficients = tables.coefficients.view().images(i, 1);
        const Value<Real<Device>, Device> e = model(c, V::borrow(x), t.reshaped({.n = shape.n}));
        D3AD_CHECK(e.shape() == shape, "reconstruct: the model gave ", e.shape(), " for x ", shape);
        ops::guided_step(c, x, x, e.view(), tables.z0.view(), {}, coefficients.reshaped({.n = shape.n}), options.eta2);
      }
    });
    auto out = ctx.arena.template make<Weight<Device>>(shape);
    ops::copy(ctx, out.view(), tables.x.view());
    return out;
  }

  Tables& fill_tables(Context<Device>& ctx, const std::string& key, const V& z0,
                      const diffusion::DenoisePlan& timetable, const diffusion::StartFactors& start) {
    const Shape shape = z0.shape();
    const Shape table{.n = static_cast<std::int64_t>(timetable.steps.size()), .c = shape.n};
    auto& tables = tables_[key];
    if (!tables)
      tables = std::make_unique<Tables>(Tables{.z0 = Tensor<Weight<Device>, Device>(shape),
                                               .x = Tensor<Weight<Device>, Device>(shape),
                                               .signal = Tensor<Weight<Device>, Device>({.n = shape.n}),
                                               .noise = Tensor<Weight<Device>, Device>({.n = shape.n}),
                                               .t = Tensor<std::int32_t, Device>(table),
                                               .coefficients = Tensor<ops::StepCoefficients, Device>(table)});
    std::vector<std::int32_t> t;
    std::vector<ops::StepCoefficients> coefficients;
    for (const auto& step : timetable.steps) {
      t.insert(t.end(), step.t.begin(), step.t.end());
      coefficients.insert(coefficients.end(), step.coefficients.begin(), step.coefficients.end());
    }
    copy_from_host(tables->t.view(), t.data());
    copy_from_host(tables->coefficients.view(), coefficients.data());
    copy_from_host(tables->signal.view(), start.signal.data());
    copy_from_host(tables->noise.view(), start.noise.data());
    ops::copy(ctx, tables->z0.view(), z0.view());
    return *tables;
  }

  std::unordered_map<std::string, std::unique_ptr<Tables>> tables_;  // before what refers to them
  Replay<Device> replay_;
};

}  // namespace d3ad
