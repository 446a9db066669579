#pragma once
// CPU variant of ops/concat.hpp.

#include <algorithm>

#include "d3ad/backend/cpu/blocks.hpp"
#include "d3ad/ops/concat.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void concat(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> a, In<float, Cpu> b) {
  check_concat(out.shape, a.shape, b.shape);
  const std::int64_t p = a.shape.c, q = b.shape.c;
  detail::for_each_row_block(ctx, out.shape.rows(), p + q, [&](std::int64_t first, std::int64_t rows) {
    for (std::int64_t r = first; r < first + rows; ++r) {
      std::copy_n(a.data + r * p, p, out.data + r * (p + q));
      std::copy_n(b.data + r * q, q, out.data + r * (p + q) + p);
    }
  });
}

template <>
D3AD_INLINE void split(Context<Cpu>& ctx, View<float, Cpu> a, View<float, Cpu> b, In<float, Cpu> x) {
  check_split(a.shape, a.data != nullptr, b.shape, b.data != nullptr, x.shape);
  const std::int64_t p = a.data ? a.shape.c : x.shape.c - b.shape.c, q = x.shape.c - p;
  detail::for_each_row_block(ctx, x.shape.rows(), p + q, [&](std::int64_t first, std::int64_t rows) {
    for (std::int64_t r = first; r < first + rows; ++r) {
      if (a.data) std::copy_n(x.data + r * (p + q), p, a.data + r * p);
      if (b.data) std::copy_n(x.data + r * (p + q) + p, q, b.data + r * q);
    }
  });
}

}  // namespace d3ad::ops
