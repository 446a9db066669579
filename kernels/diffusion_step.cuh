#pragma once
// CUDA kernels of ops/diffusion_step.hpp: each element of x, e, z0 and the noise is read once and written once.

#include "d3ad/ops/diffusion_step.hpp"
#include "kernels/element.cuh"
#include "kernels/launch.cuh"

namespace d3ad::kernels {

// out = a[n] * z0 + b[n] * noise; noise may be null. image: elements of one, with packs a multiple of four
template <class U>
__global__ void scale_start_kernel(U* out, const U* z0, const U* noise, const float* a, const float* b,
                                   std::int64_t count, std::int64_t image, bool packs) {
  const std::int64_t each = packs ? kPack<U> : 1;
  for (std::int64_t i = grid_thread() * each; i < count; i += grid_threads() * each) {
    const float signal = a[i / image], spread = noise ? b[i / image] : 0.0f;
    if (packs) {
      const Pack<U> z = load(z0 + i);
      Pack<U> y;
      if (noise) {
        const Pack<U> fresh = load(noise + i);
        for (int k = 0; k < kPack<U>; ++k) y.set(k, signal * z[k] + spread * fresh[k]);
      } else {
        for (int k = 0; k < kPack<U>; ++k) y.set(k, signal * z[k]);
      }
      store(out + i, y);
    } else {
      out[i] = narrow<U>(noise ? signal * widen(z0[i]) + spread * widen(noise[i]) : signal * widen(z0[i]));
    }
  }
}

// A pack of T is as many elements as several packs of float.
template <class T>
struct Floats {
  static constexpr int kParts = kPack<T> / kPack<float>;
  Pack<float> part[kParts];

  __device__ explicit Floats(const float* p) {
    for (int k = 0; k < kParts; ++k) part[k] = load(p + k * kPack<float>);
  }
  __device__ float& operator[](int i) { return part[i / kPack<float>].element[i % kPack<float>]; }
  __device__ void store_to(float* p) const {
    for (int k = 0; k < kParts; ++k) store(p + k * kPack<float>, part[k]);
  }
};

// One step of GuidedStep with each image's coefficients; noise may be null. An image whose c1 wants noise if there
// is none becomes NaN: the coefficients are on the device, so that nobody could refuse them.
template <class T>
__global__ void guided_step_kernel(float* out, const float* x, const T* e, const float* z0, const float* noise,
                                   const ops::StepCoefficients* coefficients, float eta2, std::int64_t count,
                                   std::int64_t image, bool packs) {
  const std::int64_t each = packs ? kPack<T> : 1;
  for (std::int64_t i = grid_thread() * each; i < count; i += grid_threads() * each) {
    const ops::GuidedStep step(coefficients[i / image], eta2);
    const float missing = step.c1 == 0.0f ? 0.0f : NAN;
    if (packs) {
      Floats<T> y(x + i), towards(z0 + i);
      const Pack<T> predicted = load(e + i);
      if (noise) {
        Floats<T> fresh(noise + i);
        for (int k = 0; k < kPack<T>; ++k) y[k] = step(y[k], predicted[k], towards[k], fresh[k]);
      } else {
        for (int k = 0; k < kPack<T>; ++k) y[k] = step(y[k], predicted[k], towards[k], missing);
      }
      y.store_to(out + i);
    } else {
      out[i] = step(x[i], widen(e[i]), z0[i], noise ? noise[i] : missing);
    }
  }
}

}  // namespace d3ad::kernels
