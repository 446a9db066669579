#pragma once
// Reference variant of ops/convert.hpp: between double and the two-byte storage of weights.

#include "d3ad/backend/reference/context.hpp"
#include "d3ad/ops/convert.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void widen(Context<Reference>&, View<double, Reference> out, In<bfloat16, Reference> x) {
  check_convert(out.shape, x.shape);
  for (std::int64_t i = 0; i < x.size(); ++i) out.data[i] = double{static_cast<float>(x.data[i])};
}

template <>
D3AD_INLINE void narrow(Context<Reference>&, View<bfloat16, Reference> out, In<double, Reference> x) {
  check_convert(out.shape, x.shape);
  for (std::int64_t i = 0; i < x.size(); ++i) out.data[i] = bfloat16(static_cast<float>(x.data[i]));
}

}  // namespace d3ad::ops
