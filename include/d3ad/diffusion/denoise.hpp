#pragma once
// Reconstruction (METHOD.md, section 6): from the scaled latent, a few guided DDIM steps towards a latent that the UNet
// has learned as good.
//
//   const auto model = [&](Context<Cpu>& c, Value<float, Cpu> x, View<const std::int32_t, Cpu> t) {
//     return unet(c, x, t);
//   };
//   auto z = diffusion::reconstruct(ctx, model, z0, T_hat, schedule, {.eta2 = 4, .steps = 10});
//
// Each image has its own T̂ and takes the times s = 0, step, 2 step, ... < T̂, from the last to the first, with step =
// max(T̂ / steps, 1). With ten steps and a T̂ that is a multiple of ten, every image takes exactly ten steps. If the
// counts differ, images with fewer steps stay unchanged until only as many steps are left as they need, so that an
// image's result does not depend on the others in its batch. denoise_steps() makes this timetable, with the coefficients
// of every step, on the host.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "d3ad/backend/ops.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/core/rng.hpp"
#include "d3ad/core/value.hpp"
#include "d3ad/diffusion/scaling.hpp"
#include "d3ad/diffusion/schedule.hpp"

namespace d3ad::diffusion {

struct DenoiseOptions {
  float eta2 = 4;   // guidance towards the input; 0: none
  float eta = 0;    // fresh noise a step; 0: none (DDIM), 1: as much as the forward process has
  float omega = 0;  // noise at the start; 0: none (noiseless scaling), 1: ordinary noising
  int steps = 10;
  std::uint64_t seed = 0;         // of what noise eta and omega ask for
  std::uint64_t first_image = 0;  // number of the batch's first image: image i draws as number first_image + i anywhere
  bool drop_first_direction = false;  // c2 = 0 in each image's first step (METHOD.md, section 4)
};

// The timetable of a batch.
struct DenoiseSteps {
  struct Step {
    std::vector<std::int32_t> t;                      // of each image
    std::vector<ops::StepCoefficients> coefficients;  // kIdle for an image that waits
  };
  std::vector<Step> steps;  // in the order they are taken
};

// The times of one image, ascending.
inline std::vector<int> times(int T_hat, int steps) {
  D3AD_CHECK(T_hat >= 0, "denoise: T_hat is ", T_hat, ", expected 0 or more");
  D3AD_CHECK(steps >= 1, "denoise: ", steps, " steps, expected 1 or more");
  std::vector<int> all;
  for (int s = 0; s < T_hat; s += std::max(T_hat / steps, 1)) all.push_back(s);
  return all;
}

ops::StepCoefficients step_coefficients(const Schedule& schedule, int t, int next, float eta);

DenoiseSteps denoise_steps(const Schedule& schedule, const std::vector<int>& T_hat, int steps = 10, float eta = 0,
                           bool drop_first_direction = false);

namespace detail {

// The first of a batch's random numbers: image i of it draws those of image first_image + i, in any batch.
inline std::uint64_t first_number(const DenoiseOptions& options, Shape z0) {
  return options.first_image * static_cast<std::uint64_t>(z0.h * z0.w * z0.c);
}

}  // namespace detail

// The seed's noise of a batch's latents: at the start (omega), and at the step at which `left` steps are left, this one
// included (eta). With this numbering an image's noise does not depend on the steps of the others.
template <class Device>
void draw_start_noise(Context<Device>& ctx, View<Weight<Device>, Device> noise, const DenoiseOptions& options) {
  ops::normal(ctx, noise, Rng(options.seed, Rng::stream("denoise.start")), detail::first_number(options, noise.shape));
}
template <class Device>
void draw_step_noise(Context<Device>& ctx, View<Weight<Device>, Device> noise, std::size_t left,
                     const DenoiseOptions& options) {
  ops::normal(ctx, noise, Rng(options.seed, Rng::stream("denoise.step") + left),
              detail::first_number(options, noise.shape));
}

// Where reconstruct() starts: z0 scaled, with the noise that omega asks for. noise: as z0, instead of the seed's.
template <class Device>
Value<Weight<Device>, Device> start(Context<Device>& ctx, const Value<Weight<Device>, Device>& z0,
                                    const std::vector<int>& T_hat, const Schedule& schedule,
                                    const DenoiseOptions& options, In<Weight<Device>, Device> noise = {}) {
  const Shape shape = z0.shape();
  Value<Weight<Device>, Device> drawn;
  if (options.omega != 0 && !noise.data) {
    drawn = make_value<Weight<Device>>(ctx, shape);
    draw_start_noise(ctx, drawn.view(), options);
    noise = drawn.view();
  }
  return scaled(ctx, z0, T_hat, schedule, options.omega, noise);
}

struct NoCallback {
  template <class X>
  void operator()(int, X&&) const {}
};

// model(ctx, x, t): the predicted noise for x [n, h, w, c] at times t {n}, as a Value of x's shape.
// start_noise: as z0, used instead of the seed's if omega is not 0.
// on_step(done, x): called with the View of x at the start (done = 0) and after each step (1, 2, ...).
template <class Device, class Model, class OnStep = NoCallback>
Value<Weight<Device>, Device> reconstruct(Context<Device>& ctx, Model&& model, const Value<Weight<Device>, Device>& z0,
                                          const std::vector<int>& T_hat, const Schedule& schedule,
                                          const DenoiseOptions& options, In<Weight<Device>, Device> start_noise = {},
                                          OnStep&& on_step = {}) {
  const Shape shape = z0.shape();
  D3AD_CHECK(static_cast<std::int64_t>(T_hat.size()) == shape.n, "reconstruct: ", T_hat.size(), " T_hat for ", shape.n,
             " images");
  D3AD_CHECK(std::isfinite(options.eta2), "reconstruct: eta2 is ", options.eta2, ", expected a number");
  const auto timetable = denoise_steps(schedule, T_hat, options.steps, options.eta, options.drop_first_direction);

  auto x = start(ctx, z0, T_hat, schedule, options, start_noise);
  on_step(0, View<const Weight<Device>, Device>(x.view()));

  Value<Weight<Device>, Device> noise;
  int done = 0;
  for (const auto& step : timetable.steps) {
    const auto t = detail::upload(ctx, step.t);
    const auto coefficients = detail::upload(ctx, step.coefficients);
    const Value<Real<Device>, Device> e = model(ctx, x, View<const std::int32_t, Device>(t.view()));
    D3AD_CHECK(e.shape() == shape, "reconstruct: the model gave ", e.shape(), " for x ", shape);
    if (options.eta > 0) {
      if (!noise) noise = make_value<Weight<Device>>(ctx, shape);
      draw_step_noise(ctx, noise.view(), timetable.steps.size() - static_cast<std::size_t>(done), options);
    }
    // The model may have kept x; then it is not ours to overwrite.
    auto out = x.unique() ? x : make_value<Weight<Device>>(ctx, shape);
    ops::guided_step(
        ctx, out.view(), x.view(), e.view(), z0.view(),
        options.eta > 0 ? View<const Weight<Device>, Device>(noise.view()) : View<const Weight<Device>, Device>(),
        coefficients.view(), options.eta2);
    x = std::move(out);
    on_step(++done, View<const Weight<Device>, Device>(x.view()));
  }
  return x;
}

}  // namespace d3ad::diffusion

#if D3AD_DEFINITIONS
#include "d3ad/diffusion/denoise-inl.hpp"
#endif
