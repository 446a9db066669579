#pragma once
// Memory of the CUDA device, whatever the activations' type: counted, aligned to 256 bytes.
//
// Copies belong to the default stream. Contexts' streams are of the kind that waits for it and that it waits for, so a
// copy sees what was launched before it, and what is launched after it sees the copy. Memory is that of the thread's
// present device, which a context sets.

#include <cuda_runtime.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "d3ad/backend/cuda/check.hpp"
#include "d3ad/core/border.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad {

namespace cuda {

struct DeviceMemory {
  static void* allocate(std::size_t bytes) {
    counter().fetch_add(1, std::memory_order_relaxed);
    if (bytes == 0) bytes = 1;  // cudaMalloc gives null for nothing, which tensors take for having no memory
    void* p = nullptr;
    const cudaError_t result = cudaMalloc(&p, bytes);
    if (result == cudaErrorMemoryAllocation) {
      ignore(cudaGetLastError());  // it is reported here, not at the next launch
      fail("out of GPU memory: ", bytes, " bytes were asked for; use a smaller batch or image");
    }
    check(result, "cudaMalloc");
    return p;
  }
  static void release(void* p) noexcept {
    if (p) ignore(cudaFree(p));  // waits for what still runs
  }
  static void discard(void*, std::size_t) noexcept {}  // a GPU's memory goes back as it was taken
  static void copy_from_host(void* to, const void* from, std::size_t bytes) {
    if (bytes) D3AD_CUDA_CHECK(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice));
  }
  static void copy_to_host(void* to, const void* from, std::size_t bytes) {
    if (bytes) D3AD_CUDA_CHECK(cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost));
  }
  static std::int64_t allocations() { return counter().load(std::memory_order_relaxed); }

 private:
  static std::atomic<std::int64_t>& counter() {
    static std::atomic<std::int64_t> count{0};
    return count;
  }
};

}  // namespace cuda

template <class T>
struct Memory<CudaOf<T>> : cuda::DeviceMemory {};

}  // namespace d3ad
