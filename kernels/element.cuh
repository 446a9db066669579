#pragma once
// Elements of kernels: float, half or bfloat16 in memory, float in registers; several at once if they lie aligned.
//
//   float v = widen(x[i]);   y[i] = narrow<T>(v);
//   Pack<T> p = load(x + i);   p[k];   store(y + i, p)       kPack<T> elements, 16 bytes, i a multiple of kPack<T>
//   const bool packs = packed({x, y}, channels)              whether all pointers and row lengths allow it
//   float s = warp_sum(v);   double s = block_sum(v, shared) the same bits whatever runs when; all threads get it
//   D3AD_FOR_ACTIVATIONS(INSTANTIATE)                        for each activation type: an explicit instantiation

#include <cuda_runtime.h>

#include <cstdint>
#include <initializer_list>
#include <type_traits>

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

#include "d3ad/core/dtype.hpp"
#include "d3ad/core/tensor.hpp"
#include "kernels/instantiate.hpp"

namespace d3ad::kernels {

__device__ inline float widen(float v) { return v; }
__device__ inline float widen(half v) {
#if defined(__CUDA_ARCH__)
  return __half2float(__ushort_as_half(v.bits));
#else
  return v;
#endif
}
__device__ inline float widen(bfloat16 v) {
#if defined(__CUDA_ARCH__)
  return __uint_as_float(static_cast<unsigned>(v.bits) << 16);
#else
  return v;
#endif
}

// Rounded to nearest even.
template <class T>
__device__ T narrow(float v) {
  if constexpr (std::is_same_v<T, float>) {
    return v;
  } else {
#if defined(__CUDA_ARCH__)
    T out;
    if constexpr (std::is_same_v<T, half>)
      out.bits = __half_as_ushort(__float2half_rn(v));
    else
      out.bits = __bfloat16_as_ushort(__float2bfloat16_rn(v));
    return out;
#else
    return T(v);
#endif
  }
}

template <class T>
inline constexpr int kPack = 16 / static_cast<int>(sizeof(T));

// Sixteen bytes of elements: one load or store.
template <class T>
struct alignas(16) Pack {
  T element[kPack<T>];

  __device__ float operator[](int i) const { return widen(element[i]); }
  __device__ void set(int i, float v) { element[i] = narrow<T>(v); }
};
template <class T>
__device__ Pack<T> load(const T* p) {
  return *reinterpret_cast<const Pack<T>*>(p);
}
template <class T>
__device__ void store(T* p, const Pack<T>& pack) {
  *reinterpret_cast<Pack<T>*>(p) = pack;
}

// Whether rows of `length` elements of T at these places begin and end with packs. Null pointers do not matter.
template <class T>
bool packed(std::initializer_list<const void*> places, std::int64_t length) {
  if (length % kPack<T> != 0) return false;
  for (const void* p : places)
    if (reinterpret_cast<std::uintptr_t>(p) % 16 != 0) return false;
  return true;
}

// Sums over the 32 threads of a warp, all of which have to call.
template <class V>
__device__ V warp_sum(V v) {
  for (int by = 16; by > 0; by /= 2) v += __shfl_xor_sync(0xffffffffu, v, by);
  return v;
}
__device__ inline float warp_max(float v) {
  for (int by = 16; by > 0; by /= 2) {
    const float other = __shfl_xor_sync(0xffffffffu, v, by);
    v = other > v || other != other ? other : v;  // NaN stays
  }
  return v;
}
// Sum over the threads of a block (a multiple of 32, at most 1024); `shared`: 33 values that nobody else uses.
template <class V>
__device__ V block_sum(V v, V* shared) {
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int warps = static_cast<int>(blockDim.x) / 32;
  v = warp_sum(v);
  __syncthreads();  // `shared` may still be read from an earlier sum
  if (lane == 0) shared[warp] = v;
  __syncthreads();
  if (warp == 0) {
    v = warp_sum(lane < warps ? shared[lane] : V(0));
    if (lane == 0) shared[32] = v;
  }
  __syncthreads();
  return shared[32];
}

}  // namespace d3ad::kernels
