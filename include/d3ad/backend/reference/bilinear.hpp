#pragma once
// Reference variant of ops/bilinear.hpp.

#include <algorithm>
#include <cmath>

#include "d3ad/backend/reference/pool.hpp"
#include "d3ad/ops/bilinear.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void bilinear_align_corners(Context<Reference>&, View<double, Reference> out, In<double, Reference> x) {
  check_bilinear(out.shape, x.shape);
  const Shape s = x.shape, o = out.shape;
  const auto position = [](std::int64_t i, std::int64_t in, std::int64_t to) {
    return to > 1 ? static_cast<double>(i * (in - 1)) / static_cast<double>(to - 1) : 0.0;
  };
  detail::for_each_element(o, [&](std::int64_t n, std::int64_t y, std::int64_t u, std::int64_t c, std::int64_t i) {
    const double p = position(y, s.h, o.h), q = position(u, s.w, o.w);
    const auto top = static_cast<std::int64_t>(p), left = static_cast<std::int64_t>(q);
    const double v = p - static_cast<double>(top), t = q - static_cast<double>(left);
    const auto pixel = [&](std::int64_t yy, std::int64_t xx) {
      return x.data[detail::pixel_offset(s, n, std::min(yy, s.h - 1), std::min(xx, s.w - 1)) + c];
    };
    out.data[i] = (1 - v) * ((1 - t) * pixel(top, left) + t * pixel(top, left + 1)) +
                  v * ((1 - t) * pixel(top + 1, left) + t * pixel(top + 1, left + 1));
  });
}

}  // namespace d3ad::ops
