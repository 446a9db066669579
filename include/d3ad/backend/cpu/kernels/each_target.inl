// Includes D3AD_TARGET_FILE once for each target, in a namespace of d3ad::kernels named as the target; if
// D3AD_ONE_TARGET is defined as 1 (baseline), 2 (AVX2) or 3 (AVX-512), for that one only.
// It has no include guard, because it is included more than once.

#if !defined(D3AD_ONE_TARGET)
#define D3AD_ONE_TARGET 0
#endif

#if D3AD_ONE_TARGET == 0 || D3AD_ONE_TARGET == 1

#define D3AD_LANES 4
#if defined(__aarch64__)
#define D3AD_ROWS 10  // 20 sums of 32 registers
#else
#define D3AD_ROWS 5  // 10 sums of 16 registers
#endif
namespace d3ad::kernels::baseline {
#include D3AD_TARGET_FILE
}
#undef D3AD_LANES
#undef D3AD_ROWS
#endif

#if D3AD_SIMD_X86

#if D3AD_ONE_TARGET == 0 || D3AD_ONE_TARGET == 2
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#define D3AD_LANES 8
#define D3AD_ROWS 6  // 12 sums of 16 registers
namespace d3ad::kernels::avx2 {
#include D3AD_TARGET_FILE
}
#undef D3AD_LANES
#undef D3AD_ROWS
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

#if D3AD_ONE_TARGET == 0 || D3AD_ONE_TARGET == 3
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512dq,avx512vl,avx512bw"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512dq,avx512vl,avx512bw,prefer-vector-width=512")
#endif
#define D3AD_LANES 16
#define D3AD_ROWS 14  // 28 sums of 32 registers
namespace d3ad::kernels::avx512 {
#include D3AD_TARGET_FILE
}
#undef D3AD_LANES
#undef D3AD_ROWS
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

#endif
