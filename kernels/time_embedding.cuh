#pragma once
// CUDA kernel of ops/time_embedding.hpp.

#include "d3ad/ops/time_embedding.hpp"
#include "kernels/element.cuh"
#include "kernels/launch.cuh"

namespace d3ad::kernels {

template <class T>
__global__ void time_embedding_kernel(T* out, const std::int32_t* t, std::int64_t steps, std::int64_t half) {
  for (std::int64_t i = grid_thread(); i < steps * half; i += grid_threads()) {
    const std::int64_t n = i / half, k = i % half;
    const float angle = ops::time_embedding_angle(t[n], k, half);
    out[2 * n * half + k] = narrow<T>(sinf(angle));
    out[(2 * n + 1) * half + k] = narrow<T>(cosf(angle));
  }
}

}  // namespace d3ad::kernels
