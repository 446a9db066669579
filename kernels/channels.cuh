#pragma once
// Kernels along the channels, written once for packs of them and for one at a time.
//
//   template <class T, int N> __global__ void kernel(T* out, const T* x, std::int64_t count, std::int64_t channels) {
//     for (std::int64_t i = grid_thread(); i < count / N; i += grid_threads()) {
//       const Channels<T, N> v = channels_at<N>(x + i * N);          v[k] is a float
//       put(out + i * N, v);
//     }
//   }
//   launch_channels<T>("name", stream, packs, kernel<T, kPack<T>>, kernel<T, 1>, count, out, x, count, channels);

#include "kernels/element.cuh"
#include "kernels/launch.cuh"

namespace d3ad::kernels {

// N neighbouring elements: one load or store if they make up 16 bytes, two for 32.
template <class T, int N>
struct alignas(N * sizeof(T) < 16 ? N * sizeof(T) : 16) Channels {
  T element[N];

  __device__ float operator[](int k) const { return widen(element[k]); }
  __device__ void set(int k, float v) { element[k] = narrow<T>(v); }
};
template <int N, class T>
__device__ Channels<T, N> channels_at(const T* p) {
  return *reinterpret_cast<const Channels<T, N>*>(p);
}
template <class T, int N>
__device__ void put(T* p, const Channels<T, N>& channels) {
  *reinterpret_cast<Channels<T, N>*>(p) = channels;
}

inline constexpr int kChannelThreads = 256;

// Threads for `count` elements: each takes a pack of T if `packs`, one element otherwise, and then the next.
template <class T, class... P>
void launch_channels(const char* name, cudaStream_t stream, bool packs, void (*of_packs)(P...),
                     void (*of_elements)(P...), std::int64_t count, std::type_identity_t<P>... arguments) {
  launch(name, stream, packs ? of_packs : of_elements, blocks_for(packs ? count / kPack<T> : count, kChannelThreads),
         kChannelThreads, 0, arguments...);
}

}  // namespace d3ad::kernels
