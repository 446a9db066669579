#pragma once
// Reference variant of ops/concat.hpp.

#include "d3ad/backend/reference/context.hpp"
#include "d3ad/ops/concat.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void concat(Context<Reference>&, View<double, Reference> out, In<double, Reference> a,
                        In<double, Reference> b) {
  check_concat(out.shape, a.shape, b.shape);
  for (std::int64_t r = 0; r < out.shape.rows(); ++r)
    for (std::int64_t c = 0; c < out.shape.c; ++c)
      out.data[r * out.shape.c + c] = c < a.shape.c ? a.data[r * a.shape.c + c] : b.data[r * b.shape.c + c - a.shape.c];
}

template <>
D3AD_INLINE void split(Context<Reference>&, View<double, Reference> a, View<double, Reference> b,
                       In<double, Reference> x) {
  check_split(a.shape, a.data != nullptr, b.shape, b.data != nullptr, x.shape);
  const std::int64_t first = a.data ? a.shape.c : x.shape.c - b.shape.c;
  for (std::int64_t r = 0; r < x.shape.rows(); ++r)
    for (std::int64_t c = 0; c < x.shape.c; ++c) {
      if (c < first && a.data) a.data[r * first + c] = x.data[r * x.shape.c + c];
      if (c >= first && b.data) b.data[r * (x.shape.c - first) + c - first] = x.data[r * x.shape.c + c];
    }
}

}  // namespace d3ad::ops
