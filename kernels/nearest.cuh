#pragma once
// CUDA kernels of ops/nearest.hpp.

#include "d3ad/ops/nearest.hpp"
#include "kernels/launch.cuh"

namespace d3ad::kernels {

inline constexpr int kNearestThreads = 256, kNearestWarps = kNearestThreads / 32;

// A number of a row and its column, by which equal numbers differ.
struct Entry {
  float value;
  std::int64_t column;

  __device__ bool before(const Entry& other) const {
    return value < other.value || (value == other.value && column < other.column);
  }
};

// A block for each row: k times the least entry after the one before. The row stays as it is, in the second cache.
static __global__ void nearest_mean_kernel(float* mean, std::int32_t* bin, const float* distances, std::int64_t columns,
                                           std::int64_t k, std::int64_t left_out, const float* edges,
                                           std::int64_t edge_count) {
  __shared__ float values[kNearestWarps];
  __shared__ std::int64_t places[kNearestWarps];
  __shared__ int has_nan;
  const auto thread = static_cast<int>(threadIdx.x);
  const std::int64_t row = blockIdx.x;
  const float* const d = distances + row * columns;
  const std::int64_t skip = left_out < 0 ? -1 : left_out + row;
  if (thread == 0) has_nan = 0;
  __syncthreads();
  for (std::int64_t c = thread; c < columns; c += kNearestThreads)
    if (c != skip && d[c] != d[c]) has_nan = 1;
  __syncthreads();

  const std::int64_t all = columns - (skip >= 0 && skip < columns ? 1 : 0);
  if (k > all) k = all;
  Entry last{-INFINITY, -1};
  double sum = 0;
  for (std::int64_t j = 0; j < k && !has_nan; ++j) {
    Entry least{INFINITY, columns};
    for (std::int64_t c = thread; c < columns; c += kNearestThreads) {
      const Entry entry{d[c], c};
      if (c != skip && last.before(entry) && entry.before(least)) least = entry;
    }
    for (int by = 16; by > 0; by /= 2) {
      const Entry other{__shfl_xor_sync(0xffffffffu, least.value, by), __shfl_xor_sync(0xffffffffu, least.column, by)};
      if (other.before(least)) least = other;
    }
    if (thread % 32 == 0) values[thread / 32] = least.value, places[thread / 32] = least.column;
    __syncthreads();
    for (int w = 0; w < kNearestWarps; ++w) {
      const Entry other{values[w], places[w]};
      if (other.before(least)) least = other;
    }
    __syncthreads();
    last = least;
    sum += static_cast<double>(last.value);
  }
  if (thread != 0) return;
  const float result = has_nan ? NAN : k > 0 ? static_cast<float>(sum / static_cast<double>(k)) : 0.0f;
  mean[row] = result;
  if (bin) bin[row] = ops::bin_of(result, edges, edge_count);
}

template <class U>
__global__ void pick_kernel(U* out, const U* table, const std::int32_t* choice, std::int64_t rows, std::int64_t columns,
                            std::int64_t images) {
  for (std::int64_t i = grid_thread(); i < rows * images; i += grid_threads())
    out[i] = table[i / images * columns + choice[i % images]];
}

}  // namespace d3ad::kernels
