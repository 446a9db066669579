#pragma once
// Rows of a softmax and of its gradient, for backend/cpu/attention.hpp:
//
//   const SoftmaxRows& rows = softmax_rows();         the widest vectors this machine has
//   rows.forward(row, n)                              row <- exp(row - max) / sum
//   rows.backward(dp, p, n, scale)                    dp  <- scale * p * (dp - sum(p * dp))
//
// One loop is written once and compiled for each vector width; the choice is made at run time. exp is 2^n times a
// polynomial, relative error below 2e-7; NaN stays NaN.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>

#if (defined(__x86_64__) || defined(_M_X64)) && defined(__GNUC__)
#define D3AD_SOFTMAX_X86 1
#else
#define D3AD_SOFTMAX_X86 0
#endif

#if defined(__GNUC__)
#define D3AD_SOFTMAX_INLINE [[gnu::always_inline]] inline
#else
#define D3AD_SOFTMAX_INLINE inline
#endif

namespace d3ad::ops::detail {

struct SoftmaxRows {
  void (*forward)(float* row, std::int64_t n);
  void (*backward)(float* dp, const float* p, std::int64_t n, float scale);
};

// exp(x) for x <= 0; 1e-38 where it would be less.
D3AD_SOFTMAX_INLINE float exp_negative(float x) {
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, left in the low bits
  x = x < -87.0f ? -87.0f : x;
  const float shifted = x * 1.44269504089f + kMagic;
  const float n = shifted - kMagic;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts: the first product is exact
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const std::uint32_t exponent = (std::bit_cast<std::uint32_t>(shifted) + 127u) << 23;  // the magic's bits fall out
  return p * std::bit_cast<float>(exponent);
}

D3AD_SOFTMAX_INLINE void softmax_forward(float* row, std::int64_t n) {
  float largest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : largest)
  for (std::int64_t i = 0; i < n; ++i) largest = row[i] > largest ? row[i] : largest;
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) {
    row[i] = exp_negative(row[i] - largest);
    sum += row[i];
  }
  const float factor = 1.0f / sum;
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) row[i] *= factor;
}

D3AD_SOFTMAX_INLINE void softmax_backward(float* dp, const float* p, std::int64_t n, float scale) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) sum += p[i] * dp[i];
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) dp[i] = scale * p[i] * (dp[i] - sum);
}

#if D3AD_SOFTMAX_X86
[[gnu::target("avx512f,avx512dq,avx512vl,avx512bw,fma")]] inline void softmax_forward_avx512(float* row,
                                                                                             std::int64_t n) {
  softmax_forward(row, n);
}
[[gnu::target("avx512f,avx512dq,avx512vl,avx512bw,fma")]] inline void softmax_backward_avx512(float* dp, const float* p,
                                                                                              std::int64_t n,
                                                                                              float scale) {
  softmax_backward(dp, p, n, scale);
}
[[gnu::target("avx2,fma")]] inline void softmax_forward_avx2(float* row, std::int64_t n) { softmax_forward(row, n); }
[[gnu::target("avx2,fma")]] inline void softmax_backward_avx2(float* dp, const float* p, std::int64_t n, float scale) {
  softmax_backward(dp, p, n, scale);
}
#endif
inline void softmax_forward_any(float* row, std::int64_t n) { softmax_forward(row, n); }
inline void softmax_backward_any(float* dp, const float* p, std::int64_t n, float scale) {
  softmax_backward(dp, p, n, scale);
}

inline const SoftmaxRows& softmax_rows() {
  static const SoftmaxRows rows = [] {
#if D3AD_SOFTMAX_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("fma"))
      return SoftmaxRows{softmax_forward_avx512, softmax_backward_avx512};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
      return SoftmaxRows{softmax_forward_avx2, softmax_backward_avx2};
#endif
    return SoftmaxRows{softmax_forward_any, softmax_backward_any};
  }();
  return rows;
}

}  // namespace d3ad::ops::detail
