#pragma once
// CPU variant of ops/convert.hpp, and a parameter's value as float whatever it is stored as:
//
//   const auto w = plain_value(ctx, parameter);   // borrowed where it is float, widened into the arena else

#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/core/parameter.hpp"
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

inline Value<float, Cpu> plain_value(Context<Cpu>& ctx, const Parameter<Cpu>& parameter) {
  if (parameter.has_plain() || !parameter.narrow()) return Value<float, Cpu>::borrow(parameter.value());
  auto wide = ctx.arena.make<float>(parameter.shape());
  widen(ctx, wide.view(), parameter.narrow_value());
  return wide;
}

}  // namespace d3ad::ops
