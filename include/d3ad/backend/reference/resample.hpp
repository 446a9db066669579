#pragma once
// Reference variant of ops/resample.hpp.

#include <algorithm>

#include "d3ad/backend/reference/pool.hpp"
#include "d3ad/ops/resample.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void upsample_nearest2(Context<Reference>&, View<double, Reference> out, In<double, Reference> x) {
  check_upsample_nearest2(out.shape, x.shape);
  detail::for_each_element(out.shape,
                           [&](std::int64_t n, std::int64_t y, std::int64_t u, std::int64_t c, std::int64_t i) {
                             out.data[i] = x.data[detail::pixel_offset(x.shape, n, y / 2, u / 2) + c];
                           });
}

template <>
D3AD_INLINE void upsample_nearest2_backward(Context<Reference>&, View<double, Reference> dx, In<double, Reference> dy) {
  check_upsample_nearest2(dy.shape, dx.shape);
  std::fill_n(dx.data, dx.size(), 0.0);
  detail::for_each_element(dy.shape,
                           [&](std::int64_t n, std::int64_t y, std::int64_t u, std::int64_t c, std::int64_t i) {
                             dx.data[detail::pixel_offset(dx.shape, n, y / 2, u / 2) + c] += dy.data[i];
                           });
}

}  // namespace d3ad::ops
