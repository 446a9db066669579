#pragma once
// CUDA kernels between a pixel and its 2 x 2: upsample_nearest2 and avg_pool2, each the other's gradient except for a
// factor.

#include "kernels/channels.cuh"

namespace d3ad::kernels {

// The first of a pixel's four in an image of twice the width: where element i of the small image begins in the large
// one. Rows of all images are counted through.
__device__ inline std::int64_t first_of_four(std::int64_t i, std::int64_t width, std::int64_t channels) {
  const std::int64_t pixel = i / channels, c = i - pixel * channels;
  const std::int64_t row = pixel / width, column = pixel - row * width;
  return (4 * row * width + 2 * column) * channels + c;
}

// large = factor * small; count: elements of the small image, width: its
template <class T, int N>
__global__ void spread_to_four_kernel(T* large, const T* small, std::int64_t count, std::int64_t width,
                                      std::int64_t channels, float factor) {
  for (std::int64_t i = grid_thread(); i < count / N; i += grid_threads()) {
    Channels<T, N> v = channels_at<N>(small + i * N);
    if (factor != 1.0f)
      for (int k = 0; k < N; ++k) v.set(k, factor * v[k]);
    T* const top = large + first_of_four(i * N, width, channels);
    T* const bottom = top + 2 * width * channels;
    put(top, v);
    put(top + channels, v);
    put(bottom, v);
    put(bottom + channels, v);
  }
}

// small = factor * sum of the four
template <class T, int N>
__global__ void sum_four_kernel(T* small, const T* large, std::int64_t count, std::int64_t width, std::int64_t channels,
                                float factor) {
  for (std::int64_t i = grid_thread(); i < count / N; i += grid_threads()) {
    const T* const top = large + first_of_four(i * N, width, channels);
    const T* const bottom = top + 2 * width * channels;
    const Channels<T, N> a = channels_at<N>(top), b = channels_at<N>(top + channels);
    const Channels<T, N> c = channels_at<N>(bottom), d = channels_at<N>(bottom + channels);
    Channels<T, N> sum;
    for (int k = 0; k < N; ++k) sum.set(k, factor * ((a[k] + b[k]) + (c[k] + d[k])));
    put(small + i * N, sum);
  }
}

template <class T>
void spread_to_four(const char* name, cudaStream_t stream, T* large, const T* small, Shape s, float factor) {
  launch_channels<T>(name, stream, packed<T>({large, small}, s.c), spread_to_four_kernel<T, kPack<T>>,
                     spread_to_four_kernel<T, 1>, s.size(), large, small, s.size(), s.w, s.c, factor);
}
template <class T>
void sum_four(const char* name, cudaStream_t stream, T* small, const T* large, Shape s, float factor) {
  launch_channels<T>(name, stream, packed<T>({small, large}, s.c), sum_four_kernel<T, kPack<T>>, sum_four_kernel<T, 1>,
                     s.size(), small, large, s.size(), s.w, s.c, factor);
}

}  // namespace d3ad::kernels
