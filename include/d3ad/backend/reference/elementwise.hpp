#pragma once
// Reference variant of ops/elementwise.hpp.

#include <algorithm>
#include <vector>

#include "d3ad/backend/reference/context.hpp"
#include "d3ad/ops/elementwise.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void fill(Context<Reference>&, View<double, Reference> out, double value) {
  std::fill_n(out.data, out.size(), value);
}

template <>
D3AD_INLINE void copy(Context<Reference>&, View<double, Reference> out, In<double, Reference> x) {
  check_elementwise("copy", out.shape, x.shape);
  std::copy_n(x.data, x.size(), out.data);
}

template <>
D3AD_INLINE void add(Context<Reference>&, View<double, Reference> out, In<double, Reference> x,
                     In<double, Reference> y) {
  check_elementwise("add", out.shape, x.shape);
  check_elementwise("add", out.shape, y.shape);
  for (std::int64_t i = 0; i < x.size(); ++i) out.data[i] = x.data[i] + y.data[i];
}

template <>
D3AD_INLINE void scale(Context<Reference>&, View<double, Reference> out, In<double, Reference> x, double factor,
                       double offset) {
  check_elementwise("scale", out.shape, x.shape);
  for (std::int64_t i = 0; i < x.size(); ++i) out.data[i] = factor * x.data[i] + offset;
}

template <>
D3AD_INLINE void add_scaled(Context<Reference>&, View<double, Reference> out, In<double, Reference> x, double factor) {
  check_elementwise("add_scaled", out.shape, x.shape);
  for (std::int64_t i = 0; i < x.size(); ++i) out.data[i] += factor * x.data[i];
}

template <>
D3AD_INLINE void scale_channels(Context<Reference>&, View<double, Reference> out, In<double, Reference> x,
                                In<double, Reference> factor, In<double, Reference> offset) {
  check_scale_channels(out.shape, x.shape, factor.shape, offset.shape);
  for (std::int64_t i = 0; i < x.size(); ++i)
    out.data[i] = factor.data[i % x.shape.c] * x.data[i] + offset.data[i % x.shape.c];
}

template <>
D3AD_INLINE void add_per_image(Context<Reference>&, View<double, Reference> out, In<double, Reference> x,
                               In<double, Reference> shift) {
  check_elementwise("add_per_image", out.shape, x.shape);
  check_per_image("add_per_image", x.shape, shift.shape);
  const std::int64_t channels = x.shape.c, image = x.shape.pixels() * channels;
  for (std::int64_t i = 0; i < x.size(); ++i) out.data[i] = x.data[i] + shift.data[i / image * channels + i % channels];
}

template <>
D3AD_INLINE void sum_pixels(Context<Reference>&, View<double, Reference> out, In<double, Reference> x) {
  check_per_image("sum_pixels", x.shape, out.shape);
  const std::int64_t channels = x.shape.c, image = x.shape.pixels() * channels;
  std::fill_n(out.data, out.size(), 0.0);
  for (std::int64_t i = 0; i < x.size(); ++i) out.data[i / image * channels + i % channels] += x.data[i];
}

}  // namespace d3ad::ops
