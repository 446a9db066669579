#pragma once
// Reference variant of ops/blur.hpp: both axes of the blur at once.

#include <algorithm>
#include <cmath>
#include <limits>

#include "d3ad/backend/reference/pool.hpp"
#include "d3ad/ops/blur.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void mix_maps(Context<Reference>&, View<double, Reference> out, In<double, Reference> x,
                          In<double, Reference> y, MapRange x_range, MapRange y_range, float lambda) {
  check_mix_maps(out.shape, x.shape, y.shape);
  const auto share = [](double v, MapRange r) {
    return r.hi > r.lo ? (v - double{r.lo}) / (double{r.hi} - double{r.lo}) : 0.0;
  };
  for (std::int64_t i = 0; i < x.size(); ++i)
    out.data[i] = double{lambda} * share(x.data[i], x_range) + (1 - double{lambda}) * share(y.data[i], y_range);
}

template <>
D3AD_INLINE void gaussian_blur(Context<Reference>& ctx, View<double, Reference> out, In<double, Reference> x,
                               float sigma, int radius) {
  check_gaussian_blur(out.shape, x.shape, sigma, radius);
  if (!(sigma > 0)) radius = 0;
  const Shape s = x.shape;
  const auto weight = [&](int d) { return radius ? std::exp(-0.5 * d * d / (double{sigma} * double{sigma})) : 1.0; };
  double sum = 0;
  for (int d = -radius; d <= radius; ++d) sum += weight(d);
  const auto blurred = make_value<double>(ctx, s);
  detail::for_each_element(s, [&](std::int64_t n, std::int64_t y, std::int64_t u, std::int64_t c, std::int64_t i) {
    double total = 0;
    for (int a = -radius; a <= radius; ++a)
      for (int b = -radius; b <= radius; ++b)
        total +=
            weight(a) * weight(b) * x.data[detail::pixel_offset(s, n, mirrored(y + a, s.h), mirrored(u + b, s.w)) + c];
    blurred.view().data[i] = total / (sum * sum);
  });
  std::copy_n(blurred.view().data, s.size(), out.data);
}

template <>
D3AD_INLINE void min_max(Context<Reference>&, In<double, Reference> x, float& lo, float& hi) {
  check_min_max(x.shape);
  double least = x.data[0], most = x.data[0];
  for (std::int64_t i = 0; i < x.size(); ++i) {
    if (std::isnan(x.data[i])) least = most = std::numeric_limits<double>::quiet_NaN();
    if (x.data[i] < least) least = x.data[i];
    if (x.data[i] > most) most = x.data[i];
  }
  lo = static_cast<float>(least);
  hi = static_cast<float>(most);
}

template <>
D3AD_INLINE void max_per_image(Context<Reference>&, View<double, Reference> out, In<double, Reference> x) {
  check_max_per_image(out.shape, x.shape);
  const std::int64_t count = x.shape.h * x.shape.w * x.shape.c;
  for (std::int64_t i = 0; i < x.size(); ++i) {
    double& most = out.data[i / count];
    if (i % count == 0 || std::isnan(x.data[i]) || x.data[i] > most) most = x.data[i];
  }
}

}  // namespace d3ad::ops
