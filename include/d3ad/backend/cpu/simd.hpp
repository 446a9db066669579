#pragma once
// The widest vectors that this machine has, chosen at run time, for loops that are written once.
//
//   struct Square {
//     D3AD_SIMD_INLINE static void run(float* x, std::int64_t n) {
//   #pragma omp simd
//       for (std::int64_t i = 0; i < n; ++i) x[i] *= x[i];
//     }
//   };
//   simd::run<Square>(x, n);
//
// The loop is compiled for the program's own target and, on x86-64, again for AVX2 and for AVX-512: run() is inlined
// into functions of these targets, where the compiler vectorises it. This is for innermost loops only; threads are
// started outside. Sums over a fixed number of lanes (not `reduction`) give the same bits for any width.

#include <bit>
#include <cstdint>

#include "d3ad/core/check.hpp"

#if defined(__GNUC__)
#define D3AD_SIMD_INLINE [[gnu::always_inline]] inline
#else
#define D3AD_SIMD_INLINE inline
#endif

#if (defined(__x86_64__) || defined(_M_X64)) && defined(__GNUC__)
#define D3AD_SIMD_X86 1
#else
#define D3AD_SIMD_X86 0
#endif

namespace d3ad::simd {

enum class Level { baseline, avx2, avx512 };

inline const char* name(Level level) {
  return level == Level::avx512 ? "AVX-512" : level == Level::avx2 ? "AVX2" : "baseline";
}

// The widest that this machine supports.
inline Level best() {
#if D3AD_SIMD_X86
  static const Level found = [] {
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
      return Level::avx512;
    return avx2 ? Level::avx2 : Level::baseline;
  }();
  return found;
#else
  return Level::baseline;
#endif
}

namespace detail {
inline Level& current() {
  static Level level = best();
  return level;
}
}  // namespace detail

inline Level level() { return detail::current(); }

// Makes all kernels of the process use a lower level, so that tests can run each level that the machine has. Must not
// be called while other threads compute.
inline void use(Level level) {
  D3AD_CHECK(level <= best(), "simd: ", name(level), " was asked for, this machine has ", name(best()));
  detail::current() = level;
}

namespace detail {
#if D3AD_SIMD_X86
template <class Kernel, class... Args>
[[gnu::target("avx2,fma,avx512f,avx512dq,avx512vl,avx512bw")]] void run_avx512(Args... args) {
  Kernel::run(args...);
}
template <class Kernel, class... Args>
[[gnu::target("avx2,fma")]] void run_avx2(Args... args) {
  Kernel::run(args...);
}
#endif
}  // namespace detail

template <class Kernel, class... Args>
void run(Args... args) {
#if D3AD_SIMD_X86
  switch (level()) {
    case Level::avx512:
      return detail::run_avx512<Kernel>(args...);
    case Level::avx2:
      return detail::run_avx2<Kernel>(args...);
    case Level::baseline:
      break;
  }
#endif
  Kernel::run(args...);
}

// ---- arithmetic that loops inline ----

// e^x, relative error below 2e-7: 2^n times a polynomial. |x| beyond 87 counts as 87 (e^87 is 6e37); NaN stays NaN.
//
// The limit and NaN are treated by integer arithmetic: a comparison of floats may trap, and a compiler that respects
// this generates a branch instead of vectors.
D3AD_SIMD_INLINE float exp(float x) {
  constexpr std::int32_t kSign = INT32_MIN, kInfinity = 0x7f800000, kLargest = 0x42ae0000;  // 87
  const std::int32_t bits = std::bit_cast<std::int32_t>(x), size = bits & ~kSign;
  const std::int32_t nan = (kInfinity - size) >> 31;  // all ones for NaN
  x = std::bit_cast<float>((size < kLargest ? size : kLargest) | (bits & kSign));
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, left in the low bits
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
  const std::uint32_t exponent = (std::bit_cast<std::uint32_t>(shifted) + 127u) << 23;  // shifts kMagic's bits out
  return std::bit_cast<float>(std::bit_cast<std::int32_t>(p * std::bit_cast<float>(exponent)) | nan);
}

// max(x, 0); NaN stays NaN. Computed on the bits, as in exp.
D3AD_SIMD_INLINE float relu(float x) {
  constexpr std::int32_t kSign = INT32_MIN, kInfinity = 0x7f800000;
  const std::int32_t bits = std::bit_cast<std::int32_t>(x), nan = (kInfinity - (bits & ~kSign)) >> 31;
  return std::bit_cast<float>(bits & (~(bits >> 31) | nan));
}

// value where x > 0 (or NaN with a positive sign), else 0.
D3AD_SIMD_INLINE float where_positive(float x, float value) {
  const std::int32_t keep = -static_cast<std::int32_t>(std::bit_cast<std::int32_t>(x) > 0);
  return std::bit_cast<float>(std::bit_cast<std::int32_t>(value) & keep);
}

// 1 / (1 + e^-x)
D3AD_SIMD_INLINE float sigmoid(float x) { return 1.0f / (1.0f + exp(-x)); }

}  // namespace d3ad::simd
