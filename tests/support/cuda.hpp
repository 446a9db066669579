#pragma once
// Tests on an NVIDIA GPU, or on the emulation of one (tests/cuda_emulation).
//
//   if (!test::cuda_present()) return;                    there is none: counted, and said at the end (main.cpp)
//   auto x = test::to_cuda<half>(random.view());          a tensor of CudaOf<half>
//   Tensor<float, Cpu> y = test::from_cuda<half>(x.view());

#include <cstdint>
#include <vector>

#include "d3ad/backend/cpu/memory.hpp"
#include "d3ad/backend/cuda/context.hpp"

namespace d3ad::test {

inline std::int64_t& cuda_skipped() {
  static std::int64_t count = 0;
  return count;
}

// Whether there is one; where not, the caller's test counts as skipped.
inline bool cuda_present() {
  int count = 0;
  const bool present = cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
  if (!present) {
    cuda::ignore(cudaGetLastError());
    ++cuda_skipped();
  }
  return present;
}

// U numbers on the device whose activations are T; by default both are the same.
template <class T, class U = T>
Tensor<U, CudaOf<T>> to_cuda(View<const float, Cpu> x) {
  std::vector<U> host;
  for (std::int64_t i = 0; i < x.size(); ++i) host.push_back(static_cast<U>(x.data[i]));
  Tensor<U, CudaOf<T>> out(x.shape);
  copy_from_host(out.view(), host.data());
  return out;
}
template <class T, class U = T>
Tensor<float, Cpu> from_cuda(View<U, CudaOf<T>> x) {
  std::vector<U> host(static_cast<std::size_t>(x.size()));
  copy_to_host<U, CudaOf<T>>(host.data(), x);
  Tensor<float, Cpu> out(x.shape);
  for (std::size_t i = 0; i < host.size(); ++i) out.data()[i] = static_cast<float>(host[i]);
  return out;
}

}  // namespace d3ad::test
