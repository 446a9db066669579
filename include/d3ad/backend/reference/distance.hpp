#pragma once
// Reference variant of ops/distance.hpp.

#include <algorithm>
#include <cmath>

#include "d3ad/backend/reference/context.hpp"
#include "d3ad/ops/distance.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void channel_l1(Context<Reference>&, View<double, Reference> out, In<double, Reference> a,
                            In<double, Reference> b) {
  check_channel_distance("channel_l1", out.shape, a.shape, b.shape);
  for (std::int64_t r = 0; r < a.shape.rows(); ++r) {
    double sum = 0;
    for (std::int64_t i = r * a.shape.c; i < (r + 1) * a.shape.c; ++i) sum += std::abs(a.data[i] - b.data[i]);
    out.data[r] = sum / static_cast<double>(a.shape.c);
  }
}

template <>
D3AD_INLINE void channel_cosine(Context<Reference>&, View<double, Reference> out, In<double, Reference> a,
                                In<double, Reference> b) {
  check_channel_distance("channel_cosine", out.shape, a.shape, b.shape);
  for (std::int64_t r = 0; r < a.shape.rows(); ++r) {
    double ab = 0, aa = 0, bb = 0;
    for (std::int64_t i = r * a.shape.c; i < (r + 1) * a.shape.c; ++i)
      ab += a.data[i] * b.data[i], aa += a.data[i] * a.data[i], bb += b.data[i] * b.data[i];
    out.data[r] = 1 - ab / (std::max(std::sqrt(aa), kCosineEps) * std::max(std::sqrt(bb), kCosineEps));
  }
}

template <>
D3AD_INLINE void pairwise_l1(Context<Reference>&, View<double, Reference> out, In<double, Reference> a,
                             In<double, Reference> b) {
  check_pairwise_l1(out.shape, a.shape, b.shape);
  const std::int64_t count = a.shape.h * a.shape.w * a.shape.c;
  for (std::int64_t i = 0; i < a.shape.n; ++i)
    for (std::int64_t j = 0; j < b.shape.n; ++j) {
      double sum = 0;
      for (std::int64_t k = 0; k < count; ++k) sum += std::abs(a.data[i * count + k] - b.data[j * count + k]);
      out.data[i * b.shape.n + j] = sum;
    }
}

}  // namespace d3ad::ops
