#pragma once
// How kernels are started: launch("group_norm", ctx.stream(), kernel<T>, blocks, threads, shared_bytes, arguments...).
//
// It never waits. Errors name the kernel. If there is nothing to do (no blocks) nothing is launched. Compiled as C++
// with the emulated runtime of the tests first on the include path, the same call computes on the CPU.
//
//   unsigned blocks = blocks_for(count, threads);      of a grid-stride loop: at most kMostBlocks
//   float* tile = shared_memory<float>();              in a kernel: the block's dynamic shared memory, 16-byte aligned

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "d3ad/backend/cuda/check.hpp"

namespace d3ad::kernels {

// Sixteen blocks on each of 132 multiprocessors and some to spare: more do not run at the same time.
inline constexpr std::int64_t kMostBlocks = 4096;

inline unsigned blocks_for(std::int64_t count, int threads) {
  return static_cast<unsigned>(std::min((count + threads - 1) / threads, kMostBlocks));
}

// Parameters come from the kernel alone, so that arguments convert as in an ordinary call.
template <class... P>
void launch(const char* name, cudaStream_t stream, void (*kernel)(P...), dim3 blocks, dim3 threads,
            std::size_t shared_bytes, std::type_identity_t<P>... arguments) {
  if (blocks.x == 0 || blocks.y == 0 || blocks.z == 0) return;
#if defined(D3AD_CUDA_EMULATION)
  (void)name;
  emulation::enqueue(stream,
                     [=] { emulation::run_grid(blocks, threads, shared_bytes, [=] { kernel(arguments...); }); });
#else
  void* pointers[] = {const_cast<void*>(static_cast<const void*>(&arguments))...};
  cuda::check(cudaLaunchKernel(reinterpret_cast<const void*>(kernel), blocks, threads, pointers, shared_bytes, stream),
              name);
#endif
}

template <class T>
__device__ T* shared_memory() {
#if defined(D3AD_CUDA_EMULATION)
  return static_cast<T*>(emulation::Block::present().shared());
#else
  extern __shared__ __align__(16) unsigned char bytes[];
  return reinterpret_cast<T*>(bytes);
#endif
}

// The thread's place in the grid, and how many threads there are, of one-dimensional launches.
__device__ inline std::int64_t grid_thread() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ inline std::int64_t grid_threads() { return static_cast<std::int64_t>(gridDim.x) * blockDim.x; }

}  // namespace d3ad::kernels
