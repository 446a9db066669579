#pragma once
// CUDA kernels of backend/cuda/column_sums.hpp: blocks of rows are summed up side by side, and joined in a fixed order.

#include "kernels/element.cuh"
#include "kernels/launch.cuh"

namespace d3ad::kernels {

inline constexpr int kColumnThreads = 256;

// How a matrix is cut up; a function of its shape alone.
struct ColumnBlocks {
  std::int64_t rows, channels;
  int lanes;                  // threads side by side in a row, a power of two
  std::int64_t across, down;  // blocks along the columns and along the rows
  std::int64_t rows_each;     // of a block
};

// partial [down, channels]: each block's sums. W elements at a time.
template <int W, class T>
__global__ void sum_columns(float* partial, const T* x, ColumnBlocks m) {
  __shared__ float sums[kColumnThreads * kPack<T>];
  const int thread = static_cast<int>(threadIdx.x), lane = thread % m.lanes, side_by_side = kColumnThreads / m.lanes;
  const std::int64_t block = blockIdx.x, row_block = block / m.across;
  const std::int64_t c = (block % m.across * m.lanes + lane) * W;
  const std::int64_t first = row_block * m.rows_each;
  const std::int64_t end = first + m.rows_each < m.rows ? first + m.rows_each : m.rows;
  float sum[W] = {};
  if (c < m.channels)
    for (std::int64_t r = first + thread / m.lanes; r < end; r += side_by_side) {
      if constexpr (W == 1) {
        sum[0] += widen(x[r * m.channels + c]);
      } else {
        const Pack<T> values = load(x + r * m.channels + c);
        for (int k = 0; k < W; ++k) sum[k] += values[k];
      }
    }
  for (int k = 0; k < W; ++k) sums[thread * W + k] = sum[k];
  __syncthreads();
  if (thread >= m.lanes || c >= m.channels) return;
  for (int k = 0; k < W; ++k) {
    double total = 0;
    for (int s = 0; s < side_by_side; ++s) total += static_cast<double>(sums[(s * m.lanes + lane) * W + k]);
    partial[row_block * m.channels + c + k] = static_cast<float>(total);
  }
}

// sums[c] += the blocks' sums; 32 x 8 threads for 32 channels
static __global__ void add_partial_columns(float* sums, const float* partial, std::int64_t blocks,
                                           std::int64_t channels) {
  __shared__ double part[8][33];
  const std::int64_t c = static_cast<std::int64_t>(blockIdx.x) * 32 + threadIdx.x;
  double sum = 0;
  if (c < channels)
    for (std::int64_t b = threadIdx.y; b < blocks; b += 8) sum += static_cast<double>(partial[b * channels + c]);
  part[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || c >= channels) return;
  double total = 0;
  for (int k = 0; k < 8; ++k) total += part[k][threadIdx.x];
  sums[c] = static_cast<float>(static_cast<double>(sums[c]) + total);
}

}  // namespace d3ad::kernels
