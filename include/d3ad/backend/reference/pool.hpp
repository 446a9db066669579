#pragma once
// Reference variant of ops/pool.hpp.

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "d3ad/backend/reference/elementwise.hpp"
#include "d3ad/ops/pool.hpp"

namespace d3ad::ops {

namespace detail {

// The offset of pixel (y, x) of image n.
inline std::int64_t pixel_offset(Shape s, std::int64_t n, std::int64_t y, std::int64_t x) {
  return ((n * s.h + y) * s.w + x) * s.c;
}

// Calls visit(n, y, x, c, i) for every element i of a tensor of shape s.
template <class Visit>
void for_each_element(Shape s, Visit visit) {
  std::int64_t i = 0;
  for (std::int64_t n = 0; n < s.n; ++n)
    for (std::int64_t y = 0; y < s.h; ++y)
      for (std::int64_t x = 0; x < s.w; ++x)
        for (std::int64_t c = 0; c < s.c; ++c) visit(n, y, x, c, i++);
}

}  // namespace detail

template <>
D3AD_INLINE void adaptive_avg_pool(Context<Reference>&, View<double, Reference> out, In<double, Reference> x) {
  check_adaptive_avg_pool(out.shape, x.shape);
  const Shape s = x.shape, o = out.shape;
  detail::for_each_element(o, [&](std::int64_t n, std::int64_t y, std::int64_t u, std::int64_t c, std::int64_t i) {
    const std::int64_t y0 = y * s.h / o.h, y1 = ((y + 1) * s.h + o.h - 1) / o.h;
    const std::int64_t x0 = u * s.w / o.w, x1 = ((u + 1) * s.w + o.w - 1) / o.w;
    double sum = 0;
    for (std::int64_t yy = y0; yy < y1; ++yy)
      for (std::int64_t xx = x0; xx < x1; ++xx) sum += x.data[detail::pixel_offset(s, n, yy, xx) + c];
    out.data[i] = sum / static_cast<double>((y1 - y0) * (x1 - x0));
  });
}

template <>
D3AD_INLINE void avg_pool2(Context<Reference>& ctx, View<double, Reference> out, In<double, Reference> x) {
  check_avg_pool2(out.shape, x.shape);
  adaptive_avg_pool(ctx, out, x);
}

template <>
D3AD_INLINE void avg_pool2_backward(Context<Reference>&, View<double, Reference> dx, In<double, Reference> dy) {
  check_avg_pool2(dy.shape, dx.shape);
  detail::for_each_element(dx.shape,
                           [&](std::int64_t n, std::int64_t y, std::int64_t u, std::int64_t c, std::int64_t i) {
                             dx.data[i] = dy.data[detail::pixel_offset(dy.shape, n, y / 2, u / 2) + c] / 4;
                           });
}

template <>
D3AD_INLINE void max_pool3(Context<Reference>&, View<double, Reference> out, View<std::int32_t, Reference> argmax,
                           In<double, Reference> x) {
  check_max_pool3(out.shape, argmax.shape, argmax.data != nullptr, x.shape);
  const Shape s = x.shape;
  detail::for_each_element(
      out.shape, [&](std::int64_t n, std::int64_t y, std::int64_t u, std::int64_t c, std::int64_t i) {
        double largest = -INFINITY;
        std::int64_t place = -1;
        for (std::int64_t yy = std::max<std::int64_t>(2 * y - 1, 0); yy < std::min(2 * y + 2, s.h); ++yy)
          for (std::int64_t xx = std::max<std::int64_t>(2 * u - 1, 0); xx < std::min(2 * u + 2, s.w); ++xx) {
            const double v = x.data[detail::pixel_offset(s, n, yy, xx) + c];
            if (place < 0 || v > largest || std::isnan(v)) largest = v, place = (yy * s.w + xx) * s.c + c;
          }
        out.data[i] = largest;
        if (argmax.data) argmax.data[i] = static_cast<std::int32_t>(place);
      });
}

template <>
D3AD_INLINE void max_pool3_backward(Context<Reference>&, View<double, Reference> dx, In<double, Reference> dy,
                                    In<std::int32_t, Reference> argmax) {
  check_max_pool3(dy.shape, argmax.shape, true, dx.shape);
  std::fill_n(dx.data, dx.size(), 0.0);
  detail::for_each_element(dy.shape, [&](std::int64_t n, std::int64_t, std::int64_t, std::int64_t, std::int64_t i) {
    dx.data[detail::pixel_offset(dx.shape, n, 0, 0) + argmax.data[i]] += dy.data[i];
  });
}

template <>
D3AD_INLINE void global_avg_pool(Context<Reference>& ctx, View<double, Reference> out, In<double, Reference> x) {
  check_global_avg_pool(out.shape, x.shape);
  adaptive_avg_pool(ctx, out, x);
}

template <>
D3AD_INLINE void global_avg_pool_backward(Context<Reference>&, View<double, Reference> dx, In<double, Reference> dy) {
  check_global_avg_pool(dy.shape, dx.shape);
  detail::for_each_element(dx.shape, [&](std::int64_t n, std::int64_t, std::int64_t, std::int64_t c, std::int64_t i) {
    dx.data[i] = dy.data[n * dy.shape.c + c] / static_cast<double>(dx.shape.pixels());
  });
}

}  // namespace d3ad::ops
