#pragma once
// CPU variant of ops/convert.hpp.

#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/ops/convert.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void widen(Context<Cpu>& ctx, View<float, Cpu> out, In<bfloat16, Cpu> x) {
  check_convert(out.shape, x.shape);
  const std::int64_t size = x.size();
  float* to = out.data;
  const bfloat16* from = x.data;
#pragma omp parallel for simd num_threads(ctx.threads()) schedule(static)
  for (std::int64_t i = 0; i < size; ++i) to[i] = from[i];
}

template <>
D3AD_INLINE void narrow(Context<Cpu>& ctx, View<bfloat16, Cpu> out, In<float, Cpu> x) {
  check_convert(out.shape, x.shape);
  const std::int64_t size = x.size();
  bfloat16* to = out.data;
  const float* from = x.data;
#pragma omp parallel for simd num_threads(ctx.threads()) schedule(static)
  for (std::int64_t i = 0; i < size; ++i) to[i] = bfloat16(from[i]);
}

}  // namespace d3ad::ops
