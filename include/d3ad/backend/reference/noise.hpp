#pragma once
// Reference variant of ops/noise.hpp.

#include "d3ad/backend/reference/context.hpp"
#include "d3ad/ops/noise.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void normal(Context<Reference>&, View<double, Reference> out, Rng rng, std::uint64_t first) {
  for (std::int64_t i = 0; i < out.size(); ++i) out.data[i] = double{rng.normal(first + static_cast<std::uint64_t>(i))};
}

template <>
D3AD_INLINE void add_noise(Context<Reference>&, View<double, Reference> out, In<double, Reference> z,
                           In<double, Reference> e, In<double, Reference> a, In<double, Reference> b) {
  check_add_noise(out.shape, z.shape, e.shape, a.shape, b.shape);
  const std::int64_t image = z.size() / z.shape.n;
  for (std::int64_t i = 0; i < z.size(); ++i)
    out.data[i] = a.data[i / image] * z.data[i] + b.data[i / image] * e.data[i];
}

}  // namespace d3ad::ops
