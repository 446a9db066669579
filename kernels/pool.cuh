#pragma once
// CUDA kernels of ops/pool.hpp. avg_pool2 is in resample.cuh.

#include "kernels/resample.cuh"

namespace d3ad::kernels {

// Each output looks at its window, which neighbours find in the cache. place may be null.
template <class T, int N>
__global__ void max_pool3_kernel(T* out, std::int32_t* place, const T* x, std::int64_t count, Shape o, Shape s) {
  for (std::int64_t i = grid_thread(); i < count / N; i += grid_threads()) {
    const std::int64_t pixel = i * N / s.c, c = i * N - pixel * s.c;
    const std::int64_t row = pixel / o.w, u = pixel - row * o.w, n = row / o.h, y = row - n * o.h;
    const T* const image = x + n * s.h * s.w * s.c;
    const std::int64_t y0 = y > 0 ? 2 * y - 1 : 0, y1 = 2 * y + 2 < s.h ? 2 * y + 2 : s.h;
    const std::int64_t x0 = u > 0 ? 2 * u - 1 : 0, x1 = 2 * u + 2 < s.w ? 2 * u + 2 : s.w;
    Channels<T, N> largest = channels_at<N>(image + (y0 * s.w + x0) * s.c + c);
    Channels<std::int32_t, N> at;
    for (int k = 0; k < N; ++k) at.element[k] = static_cast<std::int32_t>((y0 * s.w + x0) * s.c + c + k);
    for (std::int64_t yy = y0; yy < y1; ++yy)
      for (std::int64_t xx = x0; xx < x1; ++xx) {
        const std::int64_t from = (yy * s.w + xx) * s.c + c;
        const Channels<T, N> v = channels_at<N>(image + from);
        for (int k = 0; k < N; ++k) {
          const float old = largest[k], mine = v[k];
          if (mine > old || (mine != mine && old == old)) {  // the first NaN stays
            largest.element[k] = v.element[k];
            at.element[k] = static_cast<std::int32_t>(from + k);
          }
        }
      }
    put(out + i * N, largest);
    if (place) put(place + i * N, at);
  }
}

// Each input asks the one, two or four windows that it is in whether it was the largest there: no two threads write to
// one place, and sums are made in one order.
template <class T, int N>
__global__ void max_pool3_backward_kernel(T* dx, const T* dy, const std::int32_t* place, std::int64_t count, Shape o,
                                          Shape s) {
  for (std::int64_t i = grid_thread(); i < count / N; i += grid_threads()) {
    const std::int64_t pixel = i * N / s.c, c = i * N - pixel * s.c;
    const std::int64_t row = pixel / s.w, u = pixel - row * s.w, n = row / s.h, y = row - n * s.h;
    const std::int64_t y1 = (y + 1) / 2 < o.h ? (y + 1) / 2 : o.h - 1, x1 = (u + 1) / 2 < o.w ? (u + 1) / 2 : o.w - 1;
    const auto self = static_cast<std::int32_t>((y * s.w + u) * s.c + c);
    float sum[N] = {};
    for (std::int64_t yy = y / 2; yy <= y1; ++yy)
      for (std::int64_t xx = u / 2; xx <= x1; ++xx) {
        const std::int64_t from = ((n * o.h + yy) * o.w + xx) * s.c + c;
        const Channels<T, N> g = channels_at<N>(dy + from);
        const Channels<std::int32_t, N> at = channels_at<N>(place + from);
        for (int k = 0; k < N; ++k)
          if (at.element[k] == self + k) sum[k] += g[k];
      }
    Channels<T, N> v;
    for (int k = 0; k < N; ++k) v.set(k, sum[k]);
    put(dx + i * N, v);
  }
}

template <class T, int N>
__global__ void adaptive_avg_pool_kernel(T* out, const T* x, std::int64_t count, Shape o, Shape s) {
  for (std::int64_t i = grid_thread(); i < count / N; i += grid_threads()) {
    const std::int64_t pixel = i * N / s.c, c = i * N - pixel * s.c;
    const std::int64_t row = pixel / o.w, u = pixel - row * o.w, n = row / o.h, y = row - n * o.h;
    const std::int64_t y0 = y * s.h / o.h, y1 = ((y + 1) * s.h + o.h - 1) / o.h;
    const std::int64_t x0 = u * s.w / o.w, x1 = ((u + 1) * s.w + o.w - 1) / o.w;
    double sum[N] = {};
    for (std::int64_t yy = y0; yy < y1; ++yy) {
      const T* const from = x + ((n * s.h + yy) * s.w) * s.c + c;
      float of_row[N] = {};
      for (std::int64_t xx = x0; xx < x1; ++xx) {
        const Channels<T, N> v = channels_at<N>(from + xx * s.c);
        for (int k = 0; k < N; ++k) of_row[k] += v[k];
      }
      for (int k = 0; k < N; ++k) sum[k] += static_cast<double>(of_row[k]);
    }
    const double factor = 1.0 / static_cast<double>((y1 - y0) * (x1 - x0));
    Channels<T, N> v;
    for (int k = 0; k < N; ++k) v.set(k, static_cast<float>(sum[k] * factor));
    put(out + i * N, v);
  }
}

// How global_avg_pool is cut: blocks of `lanes` threads along the channels, each with N of them, and kChannelThreads /
// lanes along the pixels; an image's channels take `chunks` blocks, its pixels `slices` of them.
struct PoolGrid {
  std::int64_t pixels, channels, chunks, slices;
  int lanes;
};

inline PoolGrid pool_grid(Shape s, int of_each) {
  const std::int64_t items = s.c / of_each;
  PoolGrid grid{s.pixels(), s.c, 0, 1, 1};
  while (grid.lanes < 32 && grid.lanes < items) grid.lanes *= 2;
  grid.chunks = (items + grid.lanes - 1) / grid.lanes;
  // Enough blocks for all multiprocessors, but eight pixels for a thread.
  constexpr std::int64_t kBlocks = 512, kPixels = 8;
  const std::int64_t most = grid.pixels / (kPixels * (kChannelThreads / grid.lanes));
  grid.slices = std::clamp<std::int64_t>(kBlocks / (s.n * grid.chunks), 1, std::max<std::int64_t>(most, 1));
  return grid;
}

// sums[slice, n, c] = factor * sum over the slice's pixels; S: T if one slice is all, double otherwise
template <class T, class S, int N>
__global__ void sum_slices_kernel(S* sums, const T* x, std::int64_t images, PoolGrid grid, double factor) {
  __shared__ double partial[N][kChannelThreads];
  const int thread = static_cast<int>(threadIdx.x), lane = thread % grid.lanes, line = thread / grid.lanes;
  const int lines = kChannelThreads / grid.lanes;
  const std::int64_t block = blockIdx.x, chunk = block % grid.chunks, slice = block / grid.chunks % grid.slices;
  const std::int64_t n = block / grid.chunks / grid.slices, c = (chunk * grid.lanes + lane) * N;
  const std::int64_t first = grid.pixels * slice / grid.slices, end = grid.pixels * (slice + 1) / grid.slices;
  float sum[N] = {};
  if (c < grid.channels)
    for (std::int64_t p = first + line; p < end; p += lines) {
      const Channels<T, N> v = channels_at<N>(x + (n * grid.pixels + p) * grid.channels + c);
      for (int k = 0; k < N; ++k) sum[k] += v[k];
    }
  for (int k = 0; k < N; ++k) partial[k][thread] = static_cast<double>(sum[k]);
  for (int by = lines / 2; by > 0; by /= 2) {
    __syncthreads();
    if (line < by)
      for (int k = 0; k < N; ++k) partial[k][thread] += partial[k][thread + by * grid.lanes];
  }
  if (line != 0 || c >= grid.channels) return;
  for (int k = 0; k < N; ++k) {
    S& to = sums[(slice * images + n) * grid.channels + c + k];
    if constexpr (std::is_same_v<S, double>)
      to = factor * partial[k][thread];
    else
      to = narrow<S>(static_cast<float>(factor * partial[k][thread]));
  }
}

// out[i] = sum of the slices' sums
template <class T>
__global__ void join_slices_kernel(T* out, const double* sums, std::int64_t count, std::int64_t slices) {
  for (std::int64_t i = grid_thread(); i < count; i += grid_threads()) {
    double sum = 0;
    for (std::int64_t k = 0; k < slices; ++k) sum += sums[k * count + i];
    out[i] = narrow<T>(static_cast<float>(sum));
  }
}

// dx[n, pixel, c] = factor * dy[n, c]; image: elements of one
template <class T, int N>
__global__ void spread_over_image_kernel(T* dx, const T* dy, std::int64_t count, std::int64_t image,
                                         std::int64_t channels, float factor) {
  for (std::int64_t i = grid_thread(); i < count / N; i += grid_threads()) {
    Channels<T, N> v = channels_at<N>(dy + i * N / image * channels + i * N % channels);
    for (int k = 0; k < N; ++k) v.set(k, factor * v[k]);
    put(dx + i * N, v);
  }
}

}  // namespace d3ad::kernels
