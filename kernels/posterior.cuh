#pragma once
// CUDA kernels of ops/posterior.hpp. noise may be null.

#include "kernels/channels.cuh"

namespace d3ad::kernels {

inline constexpr float kLogvarLow = -30.0f, kLogvarHigh = 20.0f;

template <class T, int N>
__global__ void posterior_kernel(T* z, const T* moments, const T* noise, std::int64_t count, std::int64_t channels) {
  for (std::int64_t i = grid_thread(); i < count / N; i += grid_threads()) {
    const std::int64_t row = i * N / channels, c = i * N - row * channels;
    const T* const mean = moments + 2 * row * channels + c;
    Channels<T, N> out = channels_at<N>(mean);
    if (noise) {
      const Channels<T, N> logvar = channels_at<N>(mean + channels), e = channels_at<N>(noise + i * N);
      for (int k = 0; k < N; ++k) {
        const float v = logvar[k];  // NaN passes
        const float clamped = v < kLogvarLow ? kLogvarLow : v > kLogvarHigh ? kLogvarHigh : v;
        out.set(k, out[k] + expf(0.5f * clamped) * e[k]);
      }
    }
    put(z + i * N, out);
  }
}

template <class T, int N>
__global__ void posterior_backward_kernel(T* dmoments, const T* dz, const T* moments, const T* noise,
                                          std::int64_t count, std::int64_t channels) {
  for (std::int64_t i = grid_thread(); i < count / N; i += grid_threads()) {
    const std::int64_t row = i * N / channels, mean = row * channels + i * N;  // 2 row channels + c
    const Channels<T, N> g = channels_at<N>(dz + i * N);
    Channels<T, N> dlogvar;
    for (int k = 0; k < N; ++k) dlogvar.set(k, 0.0f);
    if (noise) {
      const Channels<T, N> logvar = channels_at<N>(moments + mean + channels), e = channels_at<N>(noise + i * N);
      for (int k = 0; k < N; ++k) {
        const float v = logvar[k];
        if (v >= kLogvarLow && v <= kLogvarHigh) dlogvar.set(k, 0.5f * g[k] * e[k] * expf(0.5f * v));
      }
    }
    put(dmoments + mean, g);
    put(dmoments + mean + channels, dlogvar);
  }
}

}  // namespace d3ad::kernels
