#pragma once
// CPU variant of ops/activation.hpp. tanh is the C library's: networks use it on latents only, which are small.

#include <cmath>

#include "d3ad/backend/cpu/blocks.hpp"
#include "d3ad/ops/activation.hpp"

namespace d3ad::ops {

namespace detail {

template <Activation kind>
struct Activate {
  D3AD_SIMD_INLINE static void run(float* out, const float* x, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i)
      out[i] = kind == Activation::silu ? x[i] * simd::sigmoid(x[i]) : simd::relu(x[i]);
  }
};

template <Activation kind>
struct ActivateBackward {
  D3AD_SIMD_INLINE static void run(float* dx, const float* dy, const float* x, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      const float v = x[i], s = simd::sigmoid(v);
      dx[i] = kind == Activation::silu ? dy[i] * (s * (1.0f + v * (1.0f - s))) : simd::where_positive(v, dy[i]);
    }
  }
};

}  // namespace detail

template <>
D3AD_INLINE void activate(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> x, Activation kind) {
  check_activate(out.shape, x.shape);
  detail::for_each_block(ctx, x.size(), [&](std::int64_t first, std::int64_t count) {
    float* const to = out.data + first;
    const float* const from = x.data + first;
    if (kind == Activation::silu) return simd::run<detail::Activate<Activation::silu>>(to, from, count);
    if (kind == Activation::relu) return simd::run<detail::Activate<Activation::relu>>(to, from, count);
    for (std::int64_t i = 0; i < count; ++i) to[i] = std::tanh(from[i]);
  });
}

template <>
D3AD_INLINE void activate_backward(Context<Cpu>& ctx, View<float, Cpu> dx, In<float, Cpu> dy, In<float, Cpu> x,
                                   Activation kind) {
  check_activate(dx.shape, x.shape);
  check_activate(dy.shape, x.shape);
  detail::for_each_block(ctx, x.size(), [&](std::int64_t first, std::int64_t count) {
    float* const to = dx.data + first;
    const float *const g = dy.data + first, *const v = x.data + first;
    if (kind == Activation::silu) return simd::run<detail::ActivateBackward<Activation::silu>>(to, g, v, count);
    if (kind == Activation::relu) return simd::run<detail::ActivateBackward<Activation::relu>>(to, g, v, count);
    for (std::int64_t i = 0; i < count; ++i) {
      const float t = std::tanh(v[i]);
      to[i] = g[i] * (1.0f - t * t);
    }
  });
}

}  // namespace d3ad::ops
