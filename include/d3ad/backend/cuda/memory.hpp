#pragma once
// Memory of the CUDA device for every type of activations: counted, aligned to 256 bytes.
//
// Copies are made on the default stream. The default stream and contexts' streams wait for each other, so a copy comes
// after what was launched before it, and before what is launched after it. Memory is allocated on the thread's current
// device, which a context sets.

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
    if (bytes == 0) bytes = 1;  // cudaMalloc returns null for 0 bytes, and a tensor with a null pointer is empty
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
    if (p) ignore(cudaFree(p));  // waits for running kernels
  }
  static void discard(void*, std::size_t) noexcept {}  // no part of an allocation can be freed
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
