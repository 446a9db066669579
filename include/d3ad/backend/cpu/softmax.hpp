#pragma once
// Rows of a softmax and of its gradient, for backend/cpu/attention.hpp:
//
//   softmax_row(row, n);                         // row = exp(row - max) / sum
//   softmax_row_backward(dp, p, n, scale);       // dp = scale * p * (dp - sum(p * dp))
//
// Sums are made in sixteen lanes on every machine. NaN stays NaN.

#include <bit>
#include <cstdint>

#include "d3ad/backend/cpu/simd.hpp"

namespace d3ad::ops::detail {

inline constexpr std::int64_t kSoftmaxLanes = 16;

D3AD_SIMD_INLINE float sum_of_lanes(const float* lanes) {
  float sum = 0;
  for (std::int64_t i = 0; i < kSoftmaxLanes; ++i) sum += lanes[i];
  return sum;
}

// The largest of n values, found by their bits (see simd::exp): floats have the order of these integers if the bits of
// the negative ones are inverted. NaN is not lost, because exp returns it.
D3AD_SIMD_INLINE float largest_of(const float* row, std::int64_t n) {
  std::int32_t largest = INT32_MIN;
#pragma omp simd reduction(max : largest)
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int32_t bits = std::bit_cast<std::int32_t>(row[i]), key = bits ^ ((bits >> 31) & INT32_MAX);
    largest = key > largest ? key : largest;
  }
  return std::bit_cast<float>(largest ^ ((largest >> 31) & INT32_MAX));
}

struct SoftmaxRow {
  D3AD_SIMD_INLINE static void run(float* row, std::int64_t n) {
    const float largest = largest_of(row, n);
    float lanes[kSoftmaxLanes]{};
    std::int64_t i = 0;
    for (; i + kSoftmaxLanes <= n; i += kSoftmaxLanes) {
#pragma omp simd
      for (std::int64_t j = 0; j < kSoftmaxLanes; ++j) {
        row[i + j] = simd::exp(row[i + j] - largest);
        lanes[j] += row[i + j];
      }
    }
    for (; i < n; ++i) lanes[0] += row[i] = simd::exp(row[i] - largest);
    const float factor = 1.0f / sum_of_lanes(lanes);
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j) row[j] *= factor;
  }
};

struct SoftmaxRowBackward {
  D3AD_SIMD_INLINE static void run(float* dp, const float* p, std::int64_t n, float scale) {
    float lanes[kSoftmaxLanes]{};
    std::int64_t i = 0;
    for (; i + kSoftmaxLanes <= n; i += kSoftmaxLanes) {
#pragma omp simd
      for (std::int64_t j = 0; j < kSoftmaxLanes; ++j) lanes[j] += p[i + j] * dp[i + j];
    }
    for (; i < n; ++i) lanes[0] += p[i] * dp[i];
    const float sum = sum_of_lanes(lanes);
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j) dp[j] = scale * p[j] * (dp[j] - sum);
  }
};

inline void softmax_row(float* row, std::int64_t n) { simd::run<SoftmaxRow>(row, n); }
inline void softmax_row_backward(float* dp, const float* p, std::int64_t n, float scale) {
  simd::run<SoftmaxRowBackward>(dp, p, n, scale);
}

}  // namespace d3ad::ops::detail
