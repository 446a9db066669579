#pragma once
// Non-linearities of ops/activation.hpp and their gradients, for map_elements (elementwise.cuh).

#include "kernels/elementwise.cuh"

namespace d3ad::kernels {

// 1 / (1 + e^-x) and 1 - that, each with its own small relative error, on both sides of 0.
struct Sigmoid {
  float value, rest;
  __device__ explicit Sigmoid(float x) {
    const float e = expf(-fabsf(x)), large = 1.0f / (1.0f + e), small = e * large;
    value = x < 0 ? small : large;
    rest = x < 0 ? large : small;
  }
};

struct Silu {
  __device__ float operator()(float x) const { return x * Sigmoid(x).value; }
};
struct Relu {
  __device__ float operator()(float x) const { return x < 0 ? 0.0f : x; }  // NaN stays
};
struct Tanh {
  __device__ float operator()(float x) const { return tanhf(x); }
};

struct SiluBackward {
  __device__ float operator()(float dy, float x) const {
    const Sigmoid s(x);
    return dy * (s.value * (1.0f + x * s.rest));
  }
};
struct ReluBackward {
  __device__ float operator()(float dy, float x) const { return x > 0 ? dy : 0.0f; }
};
struct TanhBackward {
  __device__ float operator()(float dy, float x) const {
    const float t = tanhf(x);
    return dy * (1.0f - t * t);
  }
};

}  // namespace d3ad::kernels
