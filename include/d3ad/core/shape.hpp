#pragma once
// Shape: the four axes of a dense tensor, channels last.
//
// Element (n, h, w, c) lies at ((n * H + h) * W + w) * C + c. Unused axes are 1: a bias of 64 is {.c = 64}, a matrix
// of r rows and k columns is {.n = r, .c = k}. A convolution's weight is {.n = out, .h = kh, .w = kw, .c = in}.

#include <cstdint>
#include <ostream>

#include "d3ad/core/compiled.hpp"

namespace d3ad {

struct Shape {
  std::int64_t n = 1, h = 1, w = 1, c = 1;

  constexpr std::int64_t size() const { return n * h * w * c; }
  constexpr std::int64_t pixels() const { return h * w; }
  constexpr std::int64_t rows() const { return n * h * w; }  // of the matrix [rows, c] the tensor is
  bool operator==(const Shape&) const = default;
};

inline std::ostream& operator<<(std::ostream& out, const Shape& s) {
  return out << "[n " << s.n << ", h " << s.h << ", w " << s.w << ", c " << s.c << ']';
}

}  // namespace d3ad
