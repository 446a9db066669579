#pragma once
// CPU variant of ops/diffusion_step.hpp.

#include <cstdint>

#include "d3ad/backend/cpu/blocks.hpp"
#include "d3ad/ops/diffusion_step.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void scale_start(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> z0, In<float, Cpu> noise,
                             In<float, Cpu> a, In<float, Cpu> b) {
  check_scale_start(out.shape, z0.shape, noise.shape, noise.data != nullptr, a.shape, b.shape);
  detail::for_each_image_block(ctx, z0.shape, [&](std::int64_t n, std::int64_t first, std::int64_t last) {
    const float signal = a.data[n], spread = b.data[n];
    if (noise.data) {
      for (std::int64_t i = first; i < last; ++i) out.data[i] = signal * z0.data[i] + spread * noise.data[i];
    } else {
      for (std::int64_t i = first; i < last; ++i) out.data[i] = signal * z0.data[i];
    }
  });
}

template <>
D3AD_INLINE void guided_step(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> x, In<float, Cpu> e,
                             In<float, Cpu> z0, In<float, Cpu> noise, In<StepCoefficients, Cpu> coefficients,
                             float eta2) {
  check_guided_step(out.shape, x.shape, e.shape, z0.shape, noise.shape, noise.data != nullptr, coefficients.shape);
  for (std::int64_t n = 0; n < x.shape.n; ++n)
    D3AD_CHECK(noise.data || coefficients.data[n].c1 == 0.0f, "guided_step: c1 of image ", n, " is ",
               coefficients.data[n].c1, " and there is no noise for it");
  detail::for_each_image_block(ctx, x.shape, [&](std::int64_t n, std::int64_t first, std::int64_t last) {
    const GuidedStep step(coefficients.data[n], eta2);
    for (std::int64_t i = first; i < last; ++i)
      out.data[i] = step(x.data[i], e.data[i], z0.data[i], noise.data ? noise.data[i] : 0.0f);
  });
}

}  // namespace d3ad::ops
