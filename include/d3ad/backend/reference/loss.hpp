#pragma once
// Reference variant of ops/loss.hpp.

#include <algorithm>
#include <cmath>

#include "d3ad/backend/reference/context.hpp"
#include "d3ad/ops/loss.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void mse(Context<Reference>&, View<double, Reference> loss, In<double, Reference> x,
                     In<double, Reference> t) {
  check_loss("mse", loss.shape, x.shape, t.shape);
  double sum = 0;
  for (std::int64_t i = 0; i < x.size(); ++i) sum += (x.data[i] - t.data[i]) * (x.data[i] - t.data[i]);
  *loss.data = sum / static_cast<double>(x.size());
}

template <>
D3AD_INLINE void mse_backward(Context<Reference>&, View<double, Reference> dx, In<double, Reference> x,
                              In<double, Reference> t, In<double, Reference> d) {
  check_loss_gradient("mse", d.shape);
  check_loss("mse", {}, x.shape, t.shape);
  for (std::int64_t i = 0; i < x.size(); ++i)
    dx.data[i] = 2 * *d.data * (x.data[i] - t.data[i]) / static_cast<double>(x.size());
}

template <>
D3AD_INLINE void l1(Context<Reference>&, View<double, Reference> loss, In<double, Reference> x,
                    In<double, Reference> t) {
  check_loss("l1", loss.shape, x.shape, t.shape);
  double sum = 0;
  for (std::int64_t i = 0; i < x.size(); ++i) sum += std::abs(x.data[i] - t.data[i]);
  *loss.data = sum / static_cast<double>(x.size());
}

template <>
D3AD_INLINE void l1_backward(Context<Reference>&, View<double, Reference> dx, In<double, Reference> x,
                             In<double, Reference> t, In<double, Reference> d) {
  check_loss_gradient("l1", d.shape);
  check_loss("l1", {}, x.shape, t.shape);
  for (std::int64_t i = 0; i < x.size(); ++i) {
    const double e = x.data[i] - t.data[i];
    dx.data[i] = *d.data * (e > 0 ? 1.0 : e < 0 ? -1.0 : 0.0) / static_cast<double>(x.size());
  }
}

namespace detail {

struct CosineSums {
  double xx = 0, yy = 0, xy = 0, x_length = 0, y_length = 0;
};
inline CosineSums cosine_sums(const double* x, const double* y, std::int64_t count) {
  CosineSums s;
  for (std::int64_t i = 0; i < count; ++i) s.xx += x[i] * x[i], s.yy += y[i] * y[i], s.xy += x[i] * y[i];
  s.x_length = std::max(std::sqrt(s.xx), 1e-8);
  s.y_length = std::max(std::sqrt(s.yy), 1e-8);
  return s;
}

}  // namespace detail

template <>
D3AD_INLINE void cosine_loss(Context<Reference>&, View<double, Reference> loss, In<double, Reference> x,
                             In<double, Reference> y) {
  check_loss("cosine_loss", loss.shape, x.shape, y.shape);
  const std::int64_t count = x.size() / x.shape.n;
  double sum = 0;
  for (std::int64_t n = 0; n < x.shape.n; ++n) {
    const auto s = detail::cosine_sums(x.data + n * count, y.data + n * count, count);
    sum += 1 - s.xy / (s.x_length * s.y_length);
  }
  *loss.data = sum / static_cast<double>(x.shape.n);
}

template <>
D3AD_INLINE void cosine_loss_backward(Context<Reference>&, View<double, Reference> dx, View<double, Reference> dy,
                                      In<double, Reference> x, In<double, Reference> y, In<double, Reference> d) {
  check_loss_gradient("cosine_loss", d.shape);
  check_loss("cosine_loss", {}, x.shape, y.shape);
  const std::int64_t count = x.size() / x.shape.n;
  for (std::int64_t n = 0; n < x.shape.n; ++n) {
    const auto s = detail::cosine_sums(x.data + n * count, y.data + n * count, count);
    const double lengths = s.x_length * s.y_length, f = -*d.data / static_cast<double>(x.shape.n);
    for (std::int64_t i = n * count; i < (n + 1) * count; ++i) {
      if (dx.data) dx.data[i] = f * (y.data[i] / lengths - s.xy * x.data[i] / (s.x_length * s.x_length * lengths));
      if (dy.data) dy.data[i] = f * (x.data[i] / lengths - s.xy * y.data[i] / (s.y_length * s.y_length * lengths));
    }
  }
}

template <>
D3AD_INLINE void kl(Context<Reference>&, View<double, Reference> loss, In<double, Reference> mean,
                    In<double, Reference> logvar) {
  check_loss("kl", loss.shape, mean.shape, logvar.shape);
  double sum = 0;
  for (std::int64_t i = 0; i < mean.size(); ++i)
    sum += 0.5 * (mean.data[i] * mean.data[i] + std::exp(logvar.data[i]) - 1 - logvar.data[i]);
  *loss.data = sum / static_cast<double>(mean.shape.n);
}

template <>
D3AD_INLINE void kl_backward(Context<Reference>&, View<double, Reference> dmean, View<double, Reference> dlogvar,
                             In<double, Reference> mean, In<double, Reference> logvar, In<double, Reference> d) {
  check_loss_gradient("kl", d.shape);
  check_loss("kl", {}, mean.shape, logvar.shape);
  for (std::int64_t i = 0; i < mean.size(); ++i) {
    if (dmean.data) dmean.data[i] = *d.data * mean.data[i] / static_cast<double>(mean.shape.n);
    if (dlogvar.data)
      dlogvar.data[i] = *d.data * 0.5 * (std::exp(logvar.data[i]) - 1) / static_cast<double>(mean.shape.n);
  }
}

namespace detail {

// log sum exp of a row
inline double log_sum_exp(const double* x, std::int64_t count) {
  const double largest = *std::max_element(x, x + count);
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += std::exp(x[i] - largest);
  return largest + std::log(sum);
}

}  // namespace detail

template <>
D3AD_INLINE void cross_entropy(Context<Reference>&, View<double, Reference> loss, In<double, Reference> x,
                               In<std::int32_t, Reference> labels) {
  check_cross_entropy(loss.shape, x.shape, labels.shape);
  const std::int64_t rows = x.shape.rows(), classes = x.shape.c;
  double sum = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    check_label(labels.data[r], classes);
    sum += detail::log_sum_exp(x.data + r * classes, classes) - x.data[r * classes + labels.data[r]];
  }
  *loss.data = sum / static_cast<double>(rows);
}

template <>
D3AD_INLINE void cross_entropy_backward(Context<Reference>&, View<double, Reference> dx, In<double, Reference> x,
                                        In<std::int32_t, Reference> labels, In<double, Reference> d) {
  check_loss_gradient("cross_entropy", d.shape);
  check_cross_entropy({}, x.shape, labels.shape);
  const std::int64_t rows = x.shape.rows(), classes = x.shape.c;
  for (std::int64_t r = 0; r < rows; ++r) {
    const double log_sum = detail::log_sum_exp(x.data + r * classes, classes);
    for (std::int64_t c = 0; c < classes; ++c)
      dx.data[r * classes + c] = *d.data / static_cast<double>(rows) *
                                 (std::exp(x.data[r * classes + c] - log_sum) - (c == labels.data[r] ? 1.0 : 0.0));
  }
}

}  // namespace d3ad::ops
