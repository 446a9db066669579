#pragma once
// Calls of the CUDA runtime, checked: an Error names the call that failed and says why.
//
//   D3AD_CUDA_CHECK(cudaMemcpy(to, from, bytes, cudaMemcpyDefault));
//
// In destructors and other places that may not throw, results are dropped on purpose: cuda::ignore(cudaFree(p)).

#include <cuda_runtime.h>

#include <string_view>

#include "d3ad/core/check.hpp"

namespace d3ad::cuda {

// "cudaMalloc" of "cudaMalloc(&p, bytes)"
constexpr std::string_view call_name(std::string_view call) { return call.substr(0, call.find('(')); }

inline void check(cudaError_t result, std::string_view call) {
  if (result == cudaSuccess) return;
  if (result == cudaErrorNoDevice || result == cudaErrorInsufficientDriver)
    fail("CUDA: no NVIDIA GPU that can be used was found (", call_name(call), ": ", cudaGetErrorString(result),
         "); check nvidia-smi and the driver, or run on the CPU");
  fail("CUDA: ", call_name(call), " failed: ", cudaGetErrorString(result), " (", cudaGetErrorName(result), ")");
}

inline void ignore(cudaError_t) noexcept {}

}  // namespace d3ad::cuda

#define D3AD_CUDA_CHECK(call) ::d3ad::cuda::check((call), #call)
