#pragma once
// Reference variant of ops/diffusion_step.hpp. Coefficients are the floats of the CPU.

#include <cmath>

#include "d3ad/backend/reference/context.hpp"
#include "d3ad/ops/diffusion_step.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void scale_start(Context<Reference>&, View<double, Reference> out, In<double, Reference> z0,
                             In<double, Reference> noise, In<float, Reference> a, In<float, Reference> b) {
  check_scale_start(out.shape, z0.shape, noise.shape, noise.data != nullptr, a.shape, b.shape);
  const std::int64_t image = z0.shape.h * z0.shape.w * z0.shape.c;
  for (std::int64_t i = 0; i < z0.size(); ++i)
    out.data[i] =
        double{a.data[i / image]} * z0.data[i] + (noise.data ? double{b.data[i / image]} * noise.data[i] : 0.0);
}

template <>
D3AD_INLINE void guided_step(Context<Reference>&, View<double, Reference> out, In<double, Reference> x,
                             In<double, Reference> e, In<double, Reference> z0, In<double, Reference> noise,
                             In<StepCoefficients, Reference> coefficients, float eta2) {
  check_guided_step(out.shape, x.shape, e.shape, z0.shape, noise.shape, noise.data != nullptr, coefficients.shape);
  const std::int64_t image = x.shape.h * x.shape.w * x.shape.c;
  for (std::int64_t i = 0; i < x.size(); ++i) {
    const auto& k = coefficients.data[i / image];
    D3AD_CHECK(noise.data || k.c1 == 0.0f, "guided_step: c1 of image ", i / image, " is ", k.c1,
               " and there is no noise for it");
    const double signal = std::sqrt(double{k.alpha_bar}), spread = std::sqrt(1 - double{k.alpha_bar});
    const double guided = e.data[i] - spread * double{eta2} * (signal * z0.data[i] + spread * e.data[i] - x.data[i]);
    const double start = (x.data[i] - spread * guided) / signal;
    out.data[i] = std::sqrt(double{k.alpha_bar_next}) * start + double{k.c2} * guided +
                  (noise.data ? double{k.c1} * noise.data[i] : 0.0);
  }
}

}  // namespace d3ad::ops
