#pragma once
// CUDA kernels of ops/optimizer.hpp. Tensors are cut into chunks, one block each, so that a single launch serves all
// tensors of a network; its table of tensors and chunks lies on the device. For optimizer.cu alone.

#include <cstdint>

#include "d3ad/ops/optimizer.hpp"
#include "kernels/element.cuh"
#include "kernels/launch.cuh"
#include "kernels/loss.cuh"

namespace d3ad::kernels {

struct OptimizerTensor {
  float *w, *m, *v;
  const float* gradient;
  float* average;  // null: none
  std::int64_t count;

  bool operator==(const OptimizerTensor&) const = default;
};

// Elements first ... of a tensor of the table.
struct OptimizerChunk {
  std::int64_t tensor, first;
};

inline constexpr std::int64_t kChunk = 16384;  // elements; a multiple of a pack
inline constexpr int kChunkThreads = 256;

__device__ inline bool aligned(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; }

// average += rate * (value - average)
struct MoveTowards {
  float rate;
  __device__ float operator()(float average, float value) const { return average + rate * (value - average); }
};

__device__ inline void adamw_element(float& w, float& m, float& v, float gradient, const ops::AdamWFactors& f) {
  const float g = gradient * f.gradient_scale;
  m += (1.0f - f.beta1) * (g - m);
  v = f.beta2 * v + (1.0f - f.beta2) * g * g;
  w = w * f.keep - f.size * m / (sqrtf(v) * f.unbias + f.eps);
}

// A chunk of one tensor, by one block.
__device__ inline void adamw_chunk(const OptimizerTensor& t, std::int64_t first, const ops::AdamWFactors& f,
                                   MoveTowards move) {
  const std::int64_t last = t.count - first < kChunk ? t.count : first + kChunk;
  const bool packs = aligned(t.w) && aligned(t.m) && aligned(t.v) && aligned(t.gradient) && aligned(t.average);
  const std::int64_t whole = packs ? first + (last - first) / kPack<float> * kPack<float> : first;
  for (std::int64_t i = first + threadIdx.x * std::int64_t{kPack<float>}; i < whole;
       i += blockDim.x * std::int64_t{kPack<float>}) {
    Pack<float> w = load(t.w + i), m = load(t.m + i), v = load(t.v + i);
    const Pack<float> gradient = load(t.gradient + i);
    for (int k = 0; k < kPack<float>; ++k) adamw_element(w.element[k], m.element[k], v.element[k], gradient[k], f);
    store(t.w + i, w);
    store(t.m + i, m);
    store(t.v + i, v);
    if (t.average) {
      Pack<float> average = load(t.average + i);
      for (int k = 0; k < kPack<float>; ++k) average.set(k, move(average[k], w[k]));
      store(t.average + i, average);
    }
  }
  for (std::int64_t i = whole + threadIdx.x; i < last; i += blockDim.x) {
    adamw_element(t.w[i], t.m[i], t.v[i], t.gradient[i], f);
    if (t.average) t.average[i] = move(t.average[i], t.w[i]);
  }
}

__global__ void adamw_kernel(OptimizerTensor tensor, ops::AdamWFactors factors) {
  adamw_chunk(tensor, static_cast<std::int64_t>(blockIdx.x) * kChunk, factors, MoveTowards{0});
}

__global__ void adamw_all_kernel(const OptimizerTensor* tensors, const OptimizerChunk* chunks,
                                 ops::AdamWFactors factors, MoveTowards move) {
  const OptimizerChunk chunk = chunks[blockIdx.x];
  adamw_chunk(tensors[chunk.tensor], chunk.first, factors, move);
}

// partial[chunk] = sum of the gradient's squares
__global__ void sum_squares_all_kernel(double* partial, const OptimizerTensor* tensors, const OptimizerChunk* chunks) {
  __shared__ double shared[33];
  const OptimizerChunk chunk = chunks[blockIdx.x];
  const OptimizerTensor t = tensors[chunk.tensor];
  const std::int64_t last = t.count - chunk.first < kChunk ? t.count : chunk.first + kChunk;
  const double sum = block_sum(
      sum_terms<float>(chunk.first, last, threadIdx.x, blockDim.x, aligned(t.gradient), Square{}, t.gradient), shared);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

}  // namespace d3ad::kernels
