#pragma once
// How tests compare tensors, and the random tensors they compare on.
//
//   const auto got = test::compare(out.view(), want.view(), 1e-5);
//   CHECK_MESSAGE(got.close, got);       // max |got - want| <= 1e-5 * max |want|, nothing NaN, shapes equal
//
//   test::random(x.view(), 7);           // uniform in [-1, 1), the same numbers for the same seed
//   auto x = test::random({.n = 2, .c = 3}, 7);
//   auto y = test::copy(x);  test::zero(y.view());
//   auto exact = test::to_reference(x.view());     // the same numbers in double, for Context<Reference>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <ostream>

#include "d3ad/backend/reference/memory.hpp"
#include "d3ad/core/rng.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::test {

struct Comparison {
  bool close = false;
  double error = 0, largest = 0, tolerance = 0;  // max |got - want|, max |want|
  std::int64_t at = -1, bad = 0;                 // where the error is largest; how many elements are beyond it
  double got = 0, want = 0;                      // the elements there
  Shape got_shape, want_shape;

  double relative() const { return largest > 0 ? error / largest : error; }
};

inline std::ostream& operator<<(std::ostream& out, const Comparison& c) {
  if (c.got_shape != c.want_shape) return out << "shape " << c.got_shape << " for " << c.want_shape;
  return out << "error " << c.error << " = " << c.relative() << " of the largest value " << c.largest << " (tolerance "
             << c.tolerance << "), at element " << c.at << " of " << c.want_shape << ": " << c.got << " for " << c.want
             << "; " << c.bad << " elements are off";
}

// An error that is NaN counts as infinite. Where all of want is 0 the tolerance is absolute.
template <class A, class B>
Comparison compare_numbers(const A* got, Shape got_shape, const B* want, Shape want_shape, double tolerance) {
  Comparison c;
  c.tolerance = tolerance;
  c.got_shape = got_shape, c.want_shape = want_shape;
  if (got_shape != want_shape) return c;
  const std::int64_t size = want_shape.size();
  for (std::int64_t i = 0; i < size; ++i) c.largest = std::max(c.largest, std::abs(static_cast<double>(want[i])));
  const double limit = tolerance * (c.largest > 0 ? c.largest : 1.0);
  for (std::int64_t i = 0; i < size; ++i) {
    double error = std::abs(static_cast<double>(got[i]) - static_cast<double>(want[i]));
    if (std::isnan(error)) error = INFINITY;
    if (error > limit) ++c.bad;
    if (c.at < 0 || error > c.error)
      c.error = error, c.at = i, c.got = static_cast<double>(got[i]), c.want = static_cast<double>(want[i]);
  }
  c.close = c.bad == 0 && size > 0;
  return c;
}

inline Comparison compare(View<const float, Cpu> got, View<const float, Cpu> want, double tolerance) {
  return compare_numbers(got.data, got.shape, want.data, want.shape, tolerance);
}
inline Comparison compare(View<const float, Cpu> got, View<const double, Reference> want, double tolerance) {
  return compare_numbers(got.data, got.shape, want.data, want.shape, tolerance);
}
inline Comparison compare(View<const double, Reference> got, View<const float, Cpu> want, double tolerance) {
  return compare_numbers(got.data, got.shape, want.data, want.shape, tolerance);
}
inline Comparison compare(View<const double, Reference> got, View<const double, Reference> want, double tolerance) {
  return compare_numbers(got.data, got.shape, want.data, want.shape, tolerance);
}

// Fills with uniform numbers in [-1, 1).
inline void random(View<float, Cpu> out, std::uint64_t seed) {
  const Rng rng(seed, Rng::stream("test"));
  for (std::int64_t i = 0; i < out.size(); ++i) out.data[i] = 2.0f * rng.uniform(static_cast<std::uint64_t>(i)) - 1.0f;
}

inline Tensor<float, Cpu> random(Shape shape, std::uint64_t seed) {
  Tensor<float, Cpu> out(shape);
  random(out.view(), seed);
  return out;
}

// The same numbers for the reference device.
inline Tensor<double, Reference> to_reference(View<const float, Cpu> x) {
  Tensor<double, Reference> out(x.shape);
  std::copy_n(x.data, x.size(), out.data());
  return out;
}

inline void zero(View<float, Cpu> out) { std::fill_n(out.data, out.size(), 0.0f); }

inline Tensor<float, Cpu> copy(const Tensor<float, Cpu>& x) {
  Tensor<float, Cpu> out(x.shape());
  std::copy_n(x.data(), x.size(), out.data());
  return out;
}

}  // namespace d3ad::test
