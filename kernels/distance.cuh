#pragma once
// CUDA kernels of ops/distance.hpp.

#include "kernels/element.cuh"
#include "kernels/launch.cuh"

namespace d3ad::kernels {

// What a thread sums up over its channels, in double: the limit is bandwidth all the same.
struct L1Sums {
  double sum = 0;

  __device__ void add(float p, float q) { sum += fabs(static_cast<double>(p) - static_cast<double>(q)); }
  __device__ void join(int by) { sum += __shfl_xor_sync(0xffffffffu, sum, by); }
  __device__ double distance(std::int64_t channels, double) const { return sum / static_cast<double>(channels); }
};
struct CosineSums {
  double ab = 0, aa = 0, bb = 0;

  __device__ void add(float a, float b) {
    const double p = static_cast<double>(a), q = static_cast<double>(b);
    ab += p * q, aa += p * p, bb += q * q;
  }
  __device__ void join(int by) {
    ab += __shfl_xor_sync(0xffffffffu, ab, by);
    aa += __shfl_xor_sync(0xffffffffu, aa, by);
    bb += __shfl_xor_sync(0xffffffffu, bb, by);
  }
  __device__ double distance(std::int64_t, double eps) const {
    double a = sqrt(aa), b = sqrt(bb);
    if (a < eps) a = eps;  // not fmax: a NaN has to stay one
    if (b < eps) b = eps;
    return 1.0 - ab / (a * b);
  }
};

// out[r] = the distance of row r of a and b; `lanes` threads (a power of two, at most 32) for each row.
template <class Sums, class T>
__global__ void channel_distance_kernel(float* out, const T* a, const T* b, std::int64_t rows, std::int64_t channels,
                                        int lanes, bool packs, double eps) {
  const int lane = static_cast<int>(threadIdx.x) % lanes, in_warp = static_cast<int>(threadIdx.x) % 32 / lanes;
  const std::int64_t step = grid_threads() / lanes;
  // A warp's threads make the same turns, since all of them have to join.
  for (std::int64_t first = grid_thread() / 32 * (32 / lanes); first < rows; first += step) {
    const std::int64_t r = first + in_warp;
    Sums sums;
    if (r < rows) {
      const T *p = a + r * channels, *q = b + r * channels;
      if (packs) {
        for (std::int64_t c = lane * kPack<T>; c < channels; c += lanes * kPack<T>) {
          const Pack<T> u = load(p + c), v = load(q + c);
          for (int k = 0; k < kPack<T>; ++k) sums.add(u[k], v[k]);
        }
      } else {
        for (std::int64_t c = lane; c < channels; c += lanes) sums.add(widen(p[c]), widen(q[c]));
      }
    }
    for (int by = lanes / 2; by > 0; by /= 2) sums.join(by);
    if (lane == 0 && r < rows) out[r] = static_cast<float>(sums.distance(channels, eps));
  }
}

// Tiles of pairwise_l1: kPairTile x kPairTile pairs a block of 16 x 16 threads, each of which has 4 x 4 of them.
inline constexpr int kPairTile = 64, kPairDepth = 16, kPairRun = 256, kPairPitch = kPairTile + 4;

// Elements k ... k + kPairDepth - 1 of kPairTile rows into registers, and from there to shared memory, transposed. What
// is not there is 0 on both sides and adds nothing.
struct PairStrip {
  float element[4];

  __device__ void fetch(const float* x, std::int64_t row, std::int64_t rows, std::int64_t count, std::int64_t k,
                        std::int64_t end, int thread) {
    k += thread % kPairDepth;
    row += thread / kPairDepth;
    for (int m = 0; m < 4; ++m, row += kPairTile / 4) element[m] = row < rows && k < end ? x[row * count + k] : 0.0f;
  }
  __device__ void put(float* tile, int thread) const {
    for (int m = 0; m < 4; ++m)
      tile[thread % kPairDepth * kPairPitch + thread / kPairDepth + m * (kPairTile / 4)] = element[m];
  }
};

// Where the sum of a pair goes.
inline __device__ void store_pair(float* out, double* partial, std::int64_t at, std::int64_t pairs, double sum) {
  if (partial)
    partial[static_cast<std::int64_t>(blockIdx.y) * pairs + at] = sum;
  else
    out[at] = static_cast<float>(sum);
}

// Sums of |a_i - b_j| over elements of the slice blockIdx.y, `length` (a multiple of kPairRun) long: to out, or, if
// there is more than one slice, to partial [slices, rows, columns]. Sums are made in float over kPairRun elements,
// these in double. same: a is b, so tiles below the diagonal are those above it, turned.
template <bool kSame>
__global__ void pairwise_l1_kernel(float* out, double* partial, const float* a, const float* b, std::int64_t rows,
                                   std::int64_t columns, std::int64_t count, std::int64_t length) {
  alignas(16) __shared__ float strip_a[kPairDepth * kPairPitch];
  alignas(16) __shared__ float strip_b[kPairDepth * kPairPitch];
  const std::int64_t across = (columns + kPairTile - 1) / kPairTile;
  const std::int64_t i0 = blockIdx.x / across * kPairTile, j0 = blockIdx.x % across * kPairTile;
  if (kSame && j0 < i0) return;
  const int thread = static_cast<int>(threadIdx.x), ti = thread / 16 * 4, tj = thread % 16 * 4;
  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.y) * length;
  const std::int64_t end = begin + length < count ? begin + length : count;

  double total[4][4] = {};
  float sum[4][4] = {};
  PairStrip next_a, next_b;
  next_a.fetch(a, i0, rows, count, begin, end, thread);
  next_b.fetch(b, j0, columns, count, begin, end, thread);
  for (std::int64_t k = begin; k < end; k += kPairDepth) {
    __syncthreads();
    next_a.put(strip_a, thread);
    next_b.put(strip_b, thread);
    __syncthreads();
    if (k + kPairDepth < end) {  // under way while this strip is added up
      next_a.fetch(a, i0, rows, count, k + kPairDepth, end, thread);
      next_b.fetch(b, j0, columns, count, k + kPairDepth, end, thread);
    }
    for (int m = 0; m < kPairDepth; ++m) {
      const Pack<float> p = load(strip_a + m * kPairPitch + ti), q = load(strip_b + m * kPairPitch + tj);
      for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) sum[i][j] += fabsf(p.element[i] - q.element[j]);
    }
    if ((k + kPairDepth - begin) % kPairRun == 0 || k + kPairDepth >= end)
      for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) total[i][j] += static_cast<double>(sum[i][j]), sum[i][j] = 0;
  }
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) {
      const std::int64_t row = i0 + ti + i, column = j0 + tj + j;
      if (row >= rows || column >= columns) continue;
      store_pair(out, partial, row * columns + column, rows * columns, total[i][j]);
      if (kSame && j0 > i0) store_pair(out, partial, column * columns + row, rows * columns, total[i][j]);
    }
}

// out = the sum of the slices
static __global__ void join_slices_kernel(float* out, const double* partial, std::int64_t pairs, int slices) {
  for (std::int64_t i = grid_thread(); i < pairs; i += grid_threads()) {
    double sum = 0;
    for (int s = 0; s < slices; ++s) sum += partial[s * pairs + i];
    out[i] = static_cast<float>(sum);
  }
}

}  // namespace d3ad::kernels
