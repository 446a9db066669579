#pragma once
// The passes over the latent around the UNet's calls (diffusion/denoise.hpp says how they are used).
//
// scale_start: where denoising begins.
//   out = a[n] * z0 + b[n] * noise                          a, b {n}; noise.data may be null: out = a[n] * z0
//
// guided_step: everything between two calls, in one pass. With A and B the image's alpha_bar and alpha_bar_next:
//   e'  = e - sqrt(1-A) * eta2 * (sqrt(A) * z0 + sqrt(1-A) * e - x)      guidance towards the input z0
//   x0  = (x - sqrt(1-A) * e') / sqrt(A)
//   out = sqrt(B) * x0 + c1 * noise + c2 * e'
// x, e, z0, noise, out [n, h, w, c]; coefficients {n}; noise.data may be null if every c1 is 0.
//
// out may be any of the inputs. All arithmetic is float. kIdle are the coefficients of an image that does not move in
// this step: out is then exactly x (for finite e), whatever eta2.

#include <cmath>

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/rng.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::ops {

struct StepCoefficients {
  float alpha_bar, alpha_bar_next, c1, c2;
  bool operator==(const StepCoefficients&) const = default;
};

inline constexpr StepCoefficients kIdle{1.0f, 1.0f, 0.0f, 0.0f};

template <class Device>
void scale_start(Context<Device>&, View<Weight<Device>, Device> out, In<Weight<Device>, Device> z0,
                 In<Weight<Device>, Device> noise, In<float, Device> a, In<float, Device> b);
template <class Device>
void guided_step(Context<Device>&, View<Weight<Device>, Device> out, In<Weight<Device>, Device> x,
                 In<Real<Device>, Device> e, In<Weight<Device>, Device> z0, In<Weight<Device>, Device> noise,
                 In<StepCoefficients, Device> coefficients, float eta2);

// The arithmetic of guided_step, the same on every device: the factors of an image, then its elements.
struct GuidedStep {
  float signal, spread, pull, next, c1, c2;  // sqrt(A), sqrt(1-A), sqrt(1-A) eta2, sqrt(B)

  D3AD_HOST_DEVICE GuidedStep(StepCoefficients k, float eta2)
      : signal(std::sqrt(k.alpha_bar)),
        spread(std::sqrt(1.0f - k.alpha_bar)),
        pull(spread * eta2),
        next(std::sqrt(k.alpha_bar_next)),
        c1(k.c1),
        c2(k.c2) {}

  D3AD_HOST_DEVICE float operator()(float x, float e, float z0, float noise) const {
    const float guided = e - pull * (signal * z0 + spread * e - x);
    const float x0 = (x - spread * guided) / signal;
    return next * x0 + c1 * noise + c2 * guided;
  }
};

inline void check_scale_start(Shape out, Shape z0, Shape noise, bool has_noise, Shape a, Shape b) {
  D3AD_CHECK(out == z0, "scale_start: out ", out, " is not the shape of z0 ", z0);
  D3AD_CHECK(!has_noise || noise == z0, "scale_start: noise ", noise, " is not the shape of z0 ", z0);
  D3AD_CHECK(a.size() == z0.n && b.size() == z0.n, "scale_start: factors ", a, " and ", b, " for z0 ", z0,
             ", expected one an image");
}

inline void check_guided_step(Shape out, Shape x, Shape e, Shape z0, Shape noise, bool has_noise, Shape coefficients) {
  D3AD_CHECK(out == x && e == x && z0 == x, "guided_step: out ", out, ", x ", x, ", e ", e, " and z0 ", z0,
             " are not of one shape");
  D3AD_CHECK(!has_noise || noise == x, "guided_step: noise ", noise, " is not the shape of x ", x);
  D3AD_CHECK(coefficients.size() == x.n, "guided_step: coefficients ", coefficients, " for x ", x,
             ", expected one an image");
}

}  // namespace d3ad::ops
