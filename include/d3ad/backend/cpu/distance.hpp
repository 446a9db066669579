#pragma once
// CPU variant of ops/distance.hpp.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/ops/distance.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void channel_l1(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> a, In<float, Cpu> b) {
  check_channel_distance("channel_l1", out.shape, a.shape, b.shape);
  const std::int64_t rows = a.shape.rows(), c = a.shape.c;
#pragma omp parallel for num_threads(ctx.threads())
  for (std::int64_t r = 0; r < rows; ++r) {
    double sum = 0;
    for (std::int64_t i = r * c; i < (r + 1) * c; ++i) sum += std::abs(double{a.data[i]} - double{b.data[i]});
    out.data[r] = static_cast<float>(sum / static_cast<double>(c));
  }
}

template <>
D3AD_INLINE void channel_cosine(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> a, In<float, Cpu> b) {
  check_channel_distance("channel_cosine", out.shape, a.shape, b.shape);
  const std::int64_t rows = a.shape.rows(), c = a.shape.c;
#pragma omp parallel for num_threads(ctx.threads())
  for (std::int64_t r = 0; r < rows; ++r) {
    double ab = 0, aa = 0, bb = 0;
    for (std::int64_t i = r * c; i < (r + 1) * c; ++i) {
      const double p = a.data[i], q = b.data[i];
      ab += p * q, aa += p * p, bb += q * q;
    }
    // In this order NaN stays NaN: std::max(NaN, eps) is NaN, std::max(eps, NaN) is eps.
    const double lengths = std::max(std::sqrt(aa), kCosineEps) * std::max(std::sqrt(bb), kCosineEps);
    out.data[r] = static_cast<float>(1.0 - ab / lengths);
  }
}

namespace detail {

// Sum of |a - b|, in sixteen lanes: four registers of the instruction set that every x86-64 and ARMv8 has, so that all
// machines add in the same order. Four independent sums hide the latency of the additions.
inline double l1_distance(const float* a, const float* b, std::int64_t count) {
  constexpr int kWidth = 4, kSums = 4, kLanes = kWidth * kSums;
  constexpr std::int64_t kRun = 1024;
  using Lanes = float __attribute__((vector_size(kWidth * sizeof(float))));
  using Bits = std::int32_t __attribute__((vector_size(kWidth * sizeof(float))));
  const Bits no_sign = Bits{} + 0x7fffffff;
  double total = 0;
  std::int64_t i = 0;
  while (i + kLanes <= count) {
    const std::int64_t end = std::min(i + kRun, count);
    Lanes sum[kSums]{};
    for (; i + kLanes <= end; i += kLanes) {
      for (int k = 0; k < kSums; ++k) {
        Lanes p, q;
        std::memcpy(&p, a + i + k * kWidth, sizeof p);
        std::memcpy(&q, b + i + k * kWidth, sizeof q);
        sum[k] += reinterpret_cast<Lanes>(reinterpret_cast<Bits>(p - q) & no_sign);
      }
    }
    for (int lane = 0; lane < kLanes; ++lane) total += double{sum[lane / kWidth][lane % kWidth]};
  }
  for (; i < count; ++i) total += std::abs(double{a[i]} - double{b[i]});
  return total;
}

}  // namespace detail

template <>
D3AD_INLINE void pairwise_l1(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> a, In<float, Cpu> b) {
  check_pairwise_l1(out.shape, a.shape, b.shape);
  const std::int64_t rows = a.shape.n, columns = b.shape.n, count = a.shape.h * a.shape.w * a.shape.c;
  const bool same = a.data == b.data && rows == columns;
  // Tiles of images, so that what a tile reads stays in cache for all its pairs.
  constexpr std::int64_t kTile = 8;
  const std::int64_t down = (rows + kTile - 1) / kTile, across = (columns + kTile - 1) / kTile;
#pragma omp parallel for num_threads(ctx.threads()) schedule(dynamic)
  for (std::int64_t tile = 0; tile < down * across; ++tile) {
    const std::int64_t i0 = tile / across * kTile, j0 = tile % across * kTile;
    if (same && j0 < i0) continue;
    for (std::int64_t i = i0; i < std::min(i0 + kTile, rows); ++i)
      for (std::int64_t j = j0; j < std::min(j0 + kTile, columns); ++j) {
        if (same && j < i) continue;
        const auto d = static_cast<float>(detail::l1_distance(a.data + i * count, b.data + j * count, count));
        out.data[i * columns + j] = d;
        if (same) out.data[j * columns + i] = d;
      }
  }
}

}  // namespace d3ad::ops
