#pragma once
// Reference variant of ops/group_norm.hpp: one group of one image at a time. Nothing is kept for the backward pass,
// which computes the statistics again.

#include <algorithm>
#include <cmath>

#include "d3ad/backend/reference/context.hpp"
#include "d3ad/ops/group_norm.hpp"

namespace d3ad::ops {

namespace detail {

// One group of one image: its elements in a loop, and their statistics.
struct NormGroup {
  std::int64_t first, channels, width, pixels;
  double mean = 0, inverse = 0;

  NormGroup(In<double, Reference> x, std::int64_t image, std::int64_t group, GroupNorm config)
      : first(image * x.shape.pixels() * x.shape.c + group * (x.shape.c / config.groups)),
        channels(x.shape.c),
        width(x.shape.c / config.groups),
        pixels(x.shape.pixels()) {
    double var = 0;
    const auto count = static_cast<double>(pixels * width);
    each([&](std::int64_t i, std::int64_t) { mean += x.data[i] / count; });
    each([&](std::int64_t i, std::int64_t) { var += (x.data[i] - mean) * (x.data[i] - mean) / count; });
    inverse = 1 / std::sqrt(var + double{config.eps});
  }
  // f(element, channel)
  template <class F>
  void each(F f) const {
    for (std::int64_t p = 0; p < pixels; ++p)
      for (std::int64_t c = 0; c < width; ++c) f(first + p * channels + c, first % channels + c);
  }
};

}  // namespace detail

template <>
D3AD_INLINE void group_norm(Context<Reference>& ctx, View<double, Reference> out, View<double, Reference> stats,
                            In<double, Reference> x, In<double, Reference> scale, In<double, Reference> shift,
                            GroupNorm config) {
  check_group_norm(out.shape, stats.shape, stats.data != nullptr, x.shape, scale.shape, shift.shape, config);
  const std::int64_t groups = config.groups;
#pragma omp parallel for num_threads(ctx.threads()) schedule(static)
  for (std::int64_t job = 0; job < x.shape.n * groups; ++job) {
    const detail::NormGroup group(x, job / groups, job % groups, config);
    if (stats.data) {
      stats.data[job / groups * 2 * groups + job % groups] = group.mean;
      stats.data[job / groups * 2 * groups + groups + job % groups] = group.inverse;
    }
    group.each([&](std::int64_t i, std::int64_t c) {
      const double y = (x.data[i] - group.mean) * group.inverse * scale.data[c] + shift.data[c];
      out.data[i] = config.silu ? y / (1 + std::exp(-y)) : y;
    });
  }
}

template <>
D3AD_INLINE void group_norm_backward(Context<Reference>&, View<double, Reference> dx, View<double, Reference> dscale,
                                     View<double, Reference> dshift, In<double, Reference> dy, In<double, Reference> x,
                                     In<double, Reference> stats, In<double, Reference> scale,
                                     In<double, Reference> shift, GroupNorm config) {
  check_group_norm(dx.shape, stats.shape, true, x.shape, scale.shape, shift.shape, config);
  const std::int64_t groups = config.groups;
  for (std::int64_t job = 0; job < x.shape.n * groups; ++job) {
    const detail::NormGroup group(x, job / groups, job % groups, config);
    const auto normal = [&](std::int64_t i) { return (x.data[i] - group.mean) * group.inverse; };
    // The gradient of y, before SiLU.
    const auto gradient = [&](std::int64_t i, std::int64_t c) {
      if (!config.silu) return dy.data[i];
      const double y = normal(i) * scale.data[c] + shift.data[c], s = 1 / (1 + std::exp(-y));
      return dy.data[i] * s * (1 + y * (1 - s));
    };
    const auto count = static_cast<double>(group.pixels * group.width);
    double a = 0, b = 0;
    group.each([&](std::int64_t i, std::int64_t c) {
      const double d = gradient(i, c);
      if (dscale.data) dscale.data[c] += d * normal(i);
      if (dshift.data) dshift.data[c] += d;
      a += d * scale.data[c] / count;
      b += d * scale.data[c] * normal(i) / count;
    });
    // dx may be dy: an element's gradient is read before it is written.
    group.each([&](std::int64_t i, std::int64_t c) {
      dx.data[i] = group.inverse * (gradient(i, c) * scale.data[c] - a - normal(i) * b);
    });
  }
}

}  // namespace d3ad::ops
