#pragma once
// CUDA kernels of ops/concat.hpp: rows of pixels, whose channels are those of a, then those of b.

#include "kernels/channels.cuh"

namespace d3ad::kernels {

template <class T, int N>
__global__ void concat_kernel(T* out, const T* a, const T* b, std::int64_t rows, std::int64_t of_a, std::int64_t of_b) {
  const std::int64_t channels = of_a + of_b, items = channels / N;
  for (std::int64_t i = grid_thread(); i < rows * items; i += grid_threads()) {
    const std::int64_t row = i / items, c = i % items * N;
    put(out + i * N, channels_at<N>(c < of_a ? a + row * of_a + c : b + row * of_b + c - of_a));
  }
}

// a or b may be null; then only the other's channels are read.
template <class T, int N>
__global__ void split_kernel(T* a, T* b, const T* x, std::int64_t rows, std::int64_t of_a, std::int64_t of_b) {
  const std::int64_t first = a ? 0 : of_a, items = ((b ? of_a + of_b : of_a) - first) / N;
  for (std::int64_t i = grid_thread(); i < rows * items; i += grid_threads()) {
    const std::int64_t row = i / items, c = first + i % items * N;
    put(c < of_a ? a + row * of_a + c : b + row * of_b + c - of_a, channels_at<N>(x + row * (of_a + of_b) + c));
  }
}

}  // namespace d3ad::kernels
