#pragma once
// CPU variant of ops/loss.hpp: sums in double over blocks.

#include <algorithm>
#include <cmath>

#include "d3ad/backend/cpu/blocks.hpp"
#include "d3ad/ops/loss.hpp"

namespace d3ad::ops {

namespace detail {

struct SquaredDifference {
  D3AD_SIMD_INLINE static double of(float a, float b) {
    const double d = double{a} - double{b};
    return d * d;
  }
};
struct AbsoluteDifference {
  D3AD_SIMD_INLINE static double of(float a, float b) { return std::abs(double{a} - double{b}); }
};
struct Product {
  D3AD_SIMD_INLINE static double of(float a, float b) { return double{a} * double{b}; }
};

// out = f * (x - y)
struct ScaledDifference {
  D3AD_SIMD_INLINE static void run(float* out, const float* x, const float* y, float f, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) out[i] = f * (x[i] - y[i]);
  }
};
// out = p * x + q * y, from the unit vectors' gradient
struct CosineGradient {
  D3AD_SIMD_INLINE static void run(float* out, const float* x, const float* y, float p, float q, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) out[i] = p * x[i] + q * y[i];
  }
};

struct Cosine {
  double xx, yy, xy, x_length, y_length;

  Cosine(Context<Cpu>& ctx, const float* x, const float* y, std::int64_t count)
      : xx(sum_of_terms<Product>(ctx, x, x, count)),
        yy(sum_of_terms<Product>(ctx, y, y, count)),
        xy(sum_of_terms<Product>(ctx, x, y, count)),
        x_length(std::max(std::sqrt(xx), 1e-8)),
        y_length(std::max(std::sqrt(yy), 1e-8)) {}
  double loss() const { return 1 - xy / (x_length * y_length); }
};

inline double log_sum_exp(const float* x, std::int64_t count) {
  const double largest = double{*std::max_element(x, x + count)};
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += std::exp(double{x[i]} - largest);
  return largest + std::log(sum);
}

}  // namespace detail

template <>
D3AD_INLINE void mse(Context<Cpu>& ctx, View<float, Cpu> loss, In<float, Cpu> x, In<float, Cpu> t) {
  check_loss("mse", loss.shape, x.shape, t.shape);
  const double sum = detail::sum_of_terms<detail::SquaredDifference>(ctx, x.data, t.data, x.size());
  *loss.data = static_cast<float>(sum / static_cast<double>(x.size()));
}

template <>
D3AD_INLINE void mse_backward(Context<Cpu>& ctx, View<float, Cpu> dx, In<float, Cpu> x, In<float, Cpu> t,
                              In<float, Cpu> d) {
  check_loss_gradient("mse", d.shape);
  check_loss("mse", {}, x.shape, t.shape);
  check_loss("mse", {}, dx.shape, x.shape);
  const auto f = static_cast<float>(2.0 * double{*d.data} / static_cast<double>(x.size()));
  detail::for_each_block(ctx, x.size(), [&](std::int64_t first, std::int64_t count) {
    simd::run<detail::ScaledDifference>(dx.data + first, x.data + first, t.data + first, f, count);
  });
}

template <>
D3AD_INLINE void l1(Context<Cpu>& ctx, View<float, Cpu> loss, In<float, Cpu> x, In<float, Cpu> t) {
  check_loss("l1", loss.shape, x.shape, t.shape);
  const double sum = detail::sum_of_terms<detail::AbsoluteDifference>(ctx, x.data, t.data, x.size());
  *loss.data = static_cast<float>(sum / static_cast<double>(x.size()));
}

template <>
D3AD_INLINE void l1_backward(Context<Cpu>& ctx, View<float, Cpu> dx, In<float, Cpu> x, In<float, Cpu> t,
                             In<float, Cpu> d) {
  check_loss_gradient("l1", d.shape);
  check_loss("l1", {}, x.shape, t.shape);
  check_loss("l1", {}, dx.shape, x.shape);
  const auto f = static_cast<float>(double{*d.data} / static_cast<double>(x.size()));
  detail::for_each_block(ctx, x.size(), [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t i = first; i < first + count; ++i)
      dx.data[i] = x.data[i] > t.data[i] ? f : x.data[i] < t.data[i] ? -f : 0.0f;
  });
}

template <>
D3AD_INLINE void cosine_loss(Context<Cpu>& ctx, View<float, Cpu> loss, In<float, Cpu> x, In<float, Cpu> y) {
  check_loss("cosine_loss", loss.shape, x.shape, y.shape);
  const std::int64_t count = x.size() / x.shape.n;
  double sum = 0;
  for (std::int64_t n = 0; n < x.shape.n; ++n)
    sum += detail::Cosine(ctx, x.data + n * count, y.data + n * count, count).loss();
  *loss.data = static_cast<float>(sum / static_cast<double>(x.shape.n));
}

template <>
D3AD_INLINE void cosine_loss_backward(Context<Cpu>& ctx, View<float, Cpu> dx, View<float, Cpu> dy, In<float, Cpu> x,
                                      In<float, Cpu> y, In<float, Cpu> d) {
  check_loss_gradient("cosine_loss", d.shape);
  check_loss("cosine_loss", {}, x.shape, y.shape);
  const std::int64_t images = x.shape.n, size = x.size() / images;
  for (std::int64_t n = 0; n < images; ++n) {
    const float *const p = x.data + n * size, *const q = y.data + n * size;
    const detail::Cosine s(ctx, p, q, size);
    const double lengths = s.x_length * s.y_length, f = -double{*d.data} / static_cast<double>(images);
    const auto across = static_cast<float>(f / lengths);
    const auto along = [&](double length) { return static_cast<float>(-f * s.xy / (length * length * lengths)); };
    detail::for_each_block(ctx, size, [&](std::int64_t first, std::int64_t count) {
      if (dx.data)
        simd::run<detail::CosineGradient>(dx.data + n * size + first, q + first, p + first, across, along(s.x_length),
                                          count);
      if (dy.data)
        simd::run<detail::CosineGradient>(dy.data + n * size + first, p + first, q + first, across, along(s.y_length),
                                          count);
    });
  }
}

template <>
D3AD_INLINE void kl(Context<Cpu>& ctx, View<float, Cpu> loss, In<float, Cpu> mean, In<float, Cpu> logvar) {
  check_loss("kl", loss.shape, mean.shape, logvar.shape);
  const double sum = detail::sum_blocks(ctx, mean.size(), [&](std::int64_t first, std::int64_t count) {
    double part = 0;
    for (std::int64_t i = first; i < first + count; ++i) {
      const double m = double{mean.data[i]}, v = double{logvar.data[i]};
      part += 0.5 * (m * m + std::exp(v) - 1 - v);
    }
    return part;
  });
  *loss.data = static_cast<float>(sum / static_cast<double>(mean.shape.n));
}

template <>
D3AD_INLINE void kl_backward(Context<Cpu>& ctx, View<float, Cpu> dmean, View<float, Cpu> dlogvar, In<float, Cpu> mean,
                             In<float, Cpu> logvar, In<float, Cpu> d) {
  check_loss_gradient("kl", d.shape);
  check_loss("kl", {}, mean.shape, logvar.shape);
  const float f = *d.data / static_cast<float>(mean.shape.n);
  detail::for_each_block(ctx, mean.size(), [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t i = first; i < first + count; ++i) {
      if (dmean.data) dmean.data[i] = f * mean.data[i];
      if (dlogvar.data) dlogvar.data[i] = f * 0.5f * std::expm1(logvar.data[i]);
    }
  });
}

template <>
D3AD_INLINE void cross_entropy(Context<Cpu>&, View<float, Cpu> loss, In<float, Cpu> x, In<std::int32_t, Cpu> labels) {
  check_cross_entropy(loss.shape, x.shape, labels.shape);
  const std::int64_t rows = x.shape.rows(), classes = x.shape.c;
  double sum = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    check_label(labels.data[r], classes);
    const float* const row = x.data + r * classes;
    sum += detail::log_sum_exp(row, classes) - double{row[labels.data[r]]};
  }
  *loss.data = static_cast<float>(sum / static_cast<double>(rows));
}

template <>
D3AD_INLINE void cross_entropy_backward(Context<Cpu>&, View<float, Cpu> dx, In<float, Cpu> x,
                                        In<std::int32_t, Cpu> labels, In<float, Cpu> d) {
  check_loss_gradient("cross_entropy", d.shape);
  check_cross_entropy({}, x.shape, labels.shape);
  check_loss("cross_entropy", {}, dx.shape, x.shape);
  const std::int64_t rows = x.shape.rows(), classes = x.shape.c;
  const double f = double{*d.data} / static_cast<double>(rows);
  for (std::int64_t r = 0; r < rows; ++r) {
    check_label(labels.data[r], classes);
    const double log_sum = detail::log_sum_exp(x.data + r * classes, classes);
    for (std::int64_t c = 0; c < classes; ++c) {
      const double p = std::exp(double{x.data[r * classes + c]} - log_sum);
      dx.data[r * classes + c] = static_cast<float>(f * (p - (c == labels.data[r] ? 1.0 : 0.0)));
    }
  }
}

}  // namespace d3ad::ops
