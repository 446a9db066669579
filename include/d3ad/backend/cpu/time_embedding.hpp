#pragma once
// CPU variant of ops/time_embedding.hpp: a plain loop, since there are a few hundred numbers only.

#include <cmath>

#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/ops/time_embedding.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void time_embedding(Context<Cpu>&, View<float, Cpu> out, In<std::int32_t, Cpu> t) {
  check_time_embedding(out.shape, t.shape);
  const std::int64_t half = out.shape.c / 2;
  for (std::int64_t n = 0; n < t.size(); ++n)
    for (std::int64_t i = 0; i < half; ++i) {
      const float angle = time_embedding_angle(t.data[n], i, half);
      out.data[n * out.shape.c + i] = std::sin(angle);
      out.data[n * out.shape.c + half + i] = std::cos(angle);
    }
}

}  // namespace d3ad::ops
