#pragma once
// CUDA kernels of ops/blur.hpp.
//
// The blur's two passes are one sum over neighbours along an axis: Axis sees the tensor as [outer, length, inner] and
// the neighbours are `inner` elements apart. Tiles with their halo lie in shared memory. Threads take neighbouring
// elements: along the row if pixels have few channels (blur_along_kernel), else, and down the columns, elements of a
// row side by side (blur_across_kernel). If the halo is too large for that, blur_plain_kernel reads all from x.

#include "d3ad/ops/blur.hpp"
#include "kernels/element.cuh"
#include "kernels/launch.cuh"

namespace d3ad::kernels {

struct MixMaps {
  float x_factor, x_lo, y_factor, y_lo;
  __device__ float operator()(float x, float y) const { return x_factor * (x - x_lo) + y_factor * (y - y_lo); }
};

struct Axis {
  std::int64_t outer, length, inner;

  std::int64_t size() const { return outer * length * inner; }
  // Where the element lies that stands for position `at`, which may be beyond the border.
  __device__ std::int64_t offset(std::int64_t o, std::int64_t at) const {
    if (at < 0 || at >= length) at = ops::mirrored(at, length);
    return (o * length + at) * inner;
  }
};

// Tiles along a row: kAlongRows rows of kAlongTile pixels each, and radius more on both sides; one of its 128 threads
// makes a pixel's channel in all the rows. Shared memory: weights, then the rows.
inline constexpr int kAlongRows = 4, kAlongTile = 128;

static __global__ void blur_along_kernel(float* out, const float* x, const float* weights, Axis axis, int radius) {
  float* const shared_weights = shared_memory<float>();
  float* const tile = shared_weights + 2 * radius + 1;
  const int channels = static_cast<int>(axis.inner), thread = static_cast<int>(threadIdx.x);
  const int pixels = kAlongTile + 2 * radius, pitch = pixels * channels;
  const std::int64_t tiles = (axis.length + kAlongTile - 1) / kAlongTile;
  const std::int64_t first_row = blockIdx.x / tiles * kAlongRows, first = blockIdx.x % tiles * kAlongTile;
  for (int i = thread; i < 2 * radius + 1; i += kAlongTile) shared_weights[i] = weights[i];
  for (int r = 0; r < kAlongRows; ++r)
    for (int i = thread; i < pitch; i += kAlongTile)
      tile[r * pitch + i] = first_row + r < axis.outer
                                ? x[axis.offset(first_row + r, first + i / channels - radius) + i % channels]
                                : 0.0f;
  __syncthreads();
  for (int i = thread; i < kAlongTile * channels; i += kAlongTile) {
    const std::int64_t at = first + i / channels;
    if (at >= axis.length) break;
    float sum[kAlongRows] = {};
    for (int d = 0; d < 2 * radius + 1; ++d)
      for (int r = 0; r < kAlongRows; ++r) sum[r] += shared_weights[d] * tile[r * pitch + i + d * channels];
    for (int r = 0; r < kAlongRows; ++r)
      if (first_row + r < axis.outer) out[axis.offset(first_row + r, at) + i % channels] = sum[r];
  }
}

// Tiles across: kAcrossTile positions along the axis, and radius more on both sides, of 32 neighbouring elements; one
// of 32 x 8 threads makes every eighth position.
inline constexpr int kAcrossTile = 32, kAcrossThreads = 8;

static __global__ void blur_across_kernel(float* out, const float* x, const float* weights, Axis axis, int radius) {
  constexpr int kPer = kAcrossTile / kAcrossThreads;
  float* const shared_weights = shared_memory<float>();
  float* const tile = shared_weights + 2 * radius + 1;
  const int lane = static_cast<int>(threadIdx.x), part = static_cast<int>(threadIdx.y);
  const std::int64_t columns = (axis.inner + 31) / 32, tiles = (axis.length + kAcrossTile - 1) / kAcrossTile;
  const std::int64_t e = blockIdx.x % columns * 32 + lane, first = blockIdx.x / columns % tiles * kAcrossTile;
  const std::int64_t o = blockIdx.x / columns / tiles;
  for (int i = part * 32 + lane; i < 2 * radius + 1; i += 32 * kAcrossThreads) shared_weights[i] = weights[i];
  for (int i = part; i < kAcrossTile + 2 * radius; i += kAcrossThreads)
    tile[i * 32 + lane] = e < axis.inner ? x[axis.offset(o, first + i - radius) + e] : 0.0f;
  __syncthreads();
  float sum[kPer] = {};
  for (int d = 0; d < 2 * radius + 1; ++d)
    for (int k = 0; k < kPer; ++k) sum[k] += shared_weights[d] * tile[(part + k * kAcrossThreads + d) * 32 + lane];
  if (e >= axis.inner) return;
  for (int k = 0; k < kPer; ++k) {
    const std::int64_t at = first + part + k * kAcrossThreads;
    if (at < axis.length) out[axis.offset(o, at) + e] = sum[k];
  }
}

// Any radius. Sums in float over kBlurRun neighbours, these in double.
inline constexpr int kBlurRun = 256;

static __global__ void blur_plain_kernel(float* out, const float* x, const float* weights, Axis axis, int radius) {
  const std::int64_t count = axis.outer * axis.length * axis.inner, length = axis.length;
  const std::int64_t period = length > 1 ? 2 * (length - 1) : 1;
  for (std::int64_t i = grid_thread(); i < count; i += grid_threads()) {
    const std::int64_t at = i / axis.inner % length, o = i / axis.inner / length;
    const float* const line = x + o * length * axis.inner + i % axis.inner;
    // Walks there and back: positions of a period, of which those from `length` on are mirrored.
    std::int64_t p = (at - radius) % period;
    if (p < 0) p += period;
    double total = 0;
    for (int d = 0; d < 2 * radius + 1;) {
      const int end = d + kBlurRun < 2 * radius + 1 ? d + kBlurRun : 2 * radius + 1;
      float sum = 0;
      for (; d < end; ++d) {
        sum += weights[d] * line[(p < length ? p : period - p) * axis.inner];
        if (++p == period) p = 0;
      }
      total += static_cast<double>(sum);
    }
    out[i] = static_cast<float>(total);
  }
}

// The extremes of both; a NaN stays.
struct Extremes {
  float lo, hi;

  __device__ void add(float low, float high) {
    lo = low < lo || low != low ? low : lo;
    hi = high > hi || high != high ? high : hi;
  }
};

// Extremes of slice blockIdx.x % slices of image blockIdx.x / slices, which has `count` elements (at least one): to
// lo[blockIdx.x] and hi[blockIdx.x], if they are not null. Blocks of 256 threads.
static __global__ void extremes_kernel(float* lo, float* hi, const float* x, std::int64_t count, std::int64_t slices,
                                       bool packs) {
  __shared__ float low[8], high[8];
  const int thread = static_cast<int>(threadIdx.x);
  const float* const image = x + blockIdx.x / slices * count;
  const std::int64_t first = blockIdx.x % slices * 256 + thread, step = slices * 256;
  Extremes e{image[0], image[0]};
  if (packs) {
    for (std::int64_t i = first; i < count / kPack<float>; i += step) {
      const Pack<float> p = load(image + i * kPack<float>);
      for (int k = 0; k < kPack<float>; ++k) e.add(p[k], p[k]);
    }
  } else {
    for (std::int64_t i = first; i < count; i += step) e.add(image[i], image[i]);
  }
  for (int by = 16; by > 0; by /= 2)
    e.add(__shfl_xor_sync(0xffffffffu, e.lo, by), __shfl_xor_sync(0xffffffffu, e.hi, by));
  if (thread % 32 == 0) low[thread / 32] = e.lo, high[thread / 32] = e.hi;
  __syncthreads();
  if (thread != 0) return;
  for (int w = 1; w < 8; ++w) e.add(low[w], high[w]);
  if (lo) lo[blockIdx.x] = e.lo;
  if (hi) hi[blockIdx.x] = e.hi;
}

}  // namespace d3ad::kernels
