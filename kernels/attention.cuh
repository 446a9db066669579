#pragma once
// CUDA kernels of backend/cuda/attention.hpp: softmax over rows of scores, and its gradient.
//
// Rows lie `stride` elements apart, a multiple of 4; what is behind their `columns` elements is written as 0. Rows of
// at most kShortRow columns belong to a warp, which keeps them in registers; longer ones to a block, which reads them
// three times. p may be the scores, ds may be dp: a thread writes what it alone has read, after all that it reads
// there.

#include "kernels/element.cuh"
#include "kernels/launch.cuh"

namespace d3ad::kernels {

inline constexpr int kShortRow = 1024;

template <class T>
struct alignas(4 * sizeof(T)) Quad {
  T element[4];
};

// A warp's share of a row: kQuads times four neighbours a lane, those of neighbouring lanes side by side.
template <int kQuads>
struct RowShare {
  float value[4 * kQuads];

  // `missing` stands for elements beyond the row's end.
  __device__ void read(const float* row, int columns, int lane, float missing) {
    for (int g = 0; g < kQuads; ++g) {
      const int first = (g * 32 + lane) * 4;
      Quad<float> q{};
      if (first < columns) q = *reinterpret_cast<const Quad<float>*>(row + first);
      for (int k = 0; k < 4; ++k) value[4 * g + k] = first + k < columns ? q.element[k] : missing;
    }
  }
  template <class T>
  __device__ void write(T* row, int columns, int lane) const {
    for (int g = 0; g < kQuads; ++g) {
      const int first = (g * 32 + lane) * 4;
      if (first >= columns) continue;
      Quad<T> q;
      for (int k = 0; k < 4; ++k) q.element[k] = narrow<T>(value[4 * g + k]);
      *reinterpret_cast<Quad<T>*>(row + first) = q;
    }
  }
  // The row becomes softmax(scale * row), for elements that are missing 0.
  __device__ void softmax(float scale) {
    float largest = value[0];
    for (int i = 1; i < 4 * kQuads; ++i)
      if (value[i] > largest || value[i] != value[i]) largest = value[i];
    largest = warp_max(largest);
    float sum = 0;
    for (int i = 0; i < 4 * kQuads; ++i) sum += value[i] = expf((value[i] - largest) * scale);
    const float factor = 1.0f / warp_sum(sum);
    for (int i = 0; i < 4 * kQuads; ++i) value[i] *= factor;
  }
};

// p = softmax(scale * scores)
template <int kQuads, class T>
__global__ void softmax_short_kernel(T* p, const float* scores, std::int64_t rows, std::int64_t columns,
                                     std::int64_t stride, float scale) {
  const int lane = static_cast<int>(threadIdx.x) % 32, n = static_cast<int>(columns);
  for (std::int64_t r = grid_thread() / 32; r < rows; r += grid_threads() / 32) {
    RowShare<kQuads> share;
    share.read(scores + r * stride, n, lane, -INFINITY);
    share.softmax(scale);
    share.write(p + r * stride, n, lane);
  }
}

// p = softmax(scale * scores), ds = p * (dp - sum of p * dp)
template <int kQuads, class T>
__global__ void softmax_gradient_short_kernel(T* p, T* ds, const float* scores, const float* dp, std::int64_t rows,
                                              std::int64_t columns, std::int64_t stride, float scale) {
  const int lane = static_cast<int>(threadIdx.x) % 32, n = static_cast<int>(columns);
  for (std::int64_t r = grid_thread() / 32; r < rows; r += grid_threads() / 32) {
    RowShare<kQuads> share, gradient;
    share.read(scores + r * stride, n, lane, -INFINITY);
    gradient.read(dp + r * stride, n, lane, 0.0f);
    share.softmax(scale);
    float mean = 0;
    for (int i = 0; i < 4 * kQuads; ++i) mean += share.value[i] * gradient.value[i];
    mean = warp_sum(mean);
    for (int i = 0; i < 4 * kQuads; ++i) gradient.value[i] = share.value[i] * (gradient.value[i] - mean);
    share.write(p + r * stride, n, lane);
    gradient.write(ds + r * stride, n, lane);
  }
}

// The largest element of a row, NaN if one is; for a block of 256 threads. shared: 8 floats.
__device__ inline float row_maximum(const float* row, std::int64_t columns, float* shared) {
  float largest = row[0];
  for (std::int64_t i = threadIdx.x; i < columns; i += 256)
    if (row[i] > largest || row[i] != row[i]) largest = row[i];
  largest = warp_max(largest);
  __syncthreads();  // `shared` may still be read for the row before
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = largest;
  __syncthreads();
  largest = shared[0];
  for (int w = 1; w < 8; ++w)
    if (shared[w] > largest || shared[w] != shared[w]) largest = shared[w];
  return largest;
}

template <class T>
__global__ void softmax_long_kernel(T* p, const float* scores, std::int64_t rows, std::int64_t columns,
                                    std::int64_t stride, float scale) {
  __shared__ float maxima[8];
  __shared__ double sums[33];
  for (std::int64_t r = blockIdx.x; r < rows; r += gridDim.x) {
    const float* const row = scores + r * stride;
    const float largest = row_maximum(row, columns, maxima);
    float sum = 0;
    for (std::int64_t i = threadIdx.x; i < columns; i += 256) sum += expf((row[i] - largest) * scale);
    const auto factor = static_cast<float>(1.0 / block_sum(static_cast<double>(sum), sums));
    for (std::int64_t i = threadIdx.x; i < stride; i += 256)
      p[r * stride + i] = narrow<T>(i < columns ? expf((row[i] - largest) * scale) * factor : 0.0f);
  }
}

template <class T>
__global__ void softmax_gradient_long_kernel(T* p, T* ds, const float* scores, const float* dp, std::int64_t rows,
                                             std::int64_t columns, std::int64_t stride, float scale) {
  __shared__ float maxima[8];
  __shared__ double sums[33];
  for (std::int64_t r = blockIdx.x; r < rows; r += gridDim.x) {
    const float *const row = scores + r * stride, *const gradient = dp + r * stride;
    const float largest = row_maximum(row, columns, maxima);
    float sum = 0, weighted = 0;
    for (std::int64_t i = threadIdx.x; i < columns; i += 256) {
      const float e = expf((row[i] - largest) * scale);
      sum += e, weighted += e * gradient[i];
    }
    const double total = block_sum(static_cast<double>(sum), sums);
    const auto mean = static_cast<float>(block_sum(static_cast<double>(weighted), sums) / total);
    const auto factor = static_cast<float>(1.0 / total);
    for (std::int64_t i = threadIdx.x; i < stride; i += 256) {
      const float v = i < columns ? expf((row[i] - largest) * scale) * factor : 0.0f;
      const float g = i < columns ? v * (gradient[i] - mean) : 0.0f;
      p[r * stride + i] = narrow<T>(v);
      ds[r * stride + i] = narrow<T>(g);
    }
  }
}

// out = x [batch, rows, columns], where out's rows lie `stride` elements apart and its matrices `step`.
template <class T>
__global__ void store_matrices_kernel(T* out, const float* x, std::int64_t batch, std::int64_t rows,
                                      std::int64_t columns, std::int64_t stride, std::int64_t step) {
  for (std::int64_t i = grid_thread(); i < batch * rows * columns; i += grid_threads())
    out[i / columns / rows * step + i / columns % rows * stride + i % columns] = narrow<T>(x[i]);
}

}  // namespace d3ad::kernels
