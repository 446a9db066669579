#pragma once
// Definitions of weights/layout.hpp. Included by it unless they are compiled.

#include "d3ad/weights/layout.hpp"

namespace d3ad {

D3AD_INLINE std::string dims_text(const std::vector<std::int64_t>& dims) {
  std::string text = "[";
  for (std::size_t i = 0; i < dims.size(); ++i) text += (i ? ", " : "") + std::to_string(dims[i]);
  return text + "]";
}

D3AD_INLINE std::int64_t dims_size(const std::vector<std::int64_t>& dims) {
  std::int64_t size = 1;
  bool empty = false;
  for (const std::int64_t d : dims) {
    D3AD_CHECK(d >= 0, "dimensions ", dims_text(dims), ": ", d, " is negative");
    if (d == 0) empty = true;
    D3AD_CHECK(d == 0 || size <= (std::int64_t{1} << 60) / d, "dimensions ", dims_text(dims), ": too many elements");
    if (d > 0) size *= d;
  }
  return empty ? 0 : size;
}

D3AD_INLINE Shape channels_last(const std::vector<std::int64_t>& dims) {
  dims_size(dims);
  switch (dims.size()) {
    case 0:
      return {};
    case 1:
      return {.c = dims[0]};
    case 2:
      return {.n = dims[0], .c = dims[1]};
    case 3:
      D3AD_CHECK(dims[2] == 1, "dimensions ", dims_text(dims), ": of three axes the last must be 1");
      return {.n = dims[0], .c = dims[1]};
    case 4:
      return {.n = dims[0], .h = dims[2], .w = dims[3], .c = dims[1]};
    default:
      fail("dimensions ", dims_text(dims), ": at most four axes are expected");
  }
}

}  // namespace d3ad

namespace d3ad::detail {

// Transposes `count` matrices [rows, columns], one after the other.
inline void transpose(float* out, const float* in, std::int64_t count, std::int64_t rows, std::int64_t columns) {
  if (rows == 1 || columns == 1) {
    std::copy_n(in, count * rows * columns, out);
    return;
  }
  constexpr std::int64_t kTile = 32;
#pragma omp parallel for if (count > 1 && count * rows * columns > (1 << 16))
  for (std::int64_t i = 0; i < count; ++i) {
    const float* src = in + i * rows * columns;
    float* dst = out + i * rows * columns;
    for (std::int64_t r0 = 0; r0 < rows; r0 += kTile)
      for (std::int64_t c0 = 0; c0 < columns; c0 += kTile)
        for (std::int64_t c = c0; c < std::min(c0 + kTile, columns); ++c)
          for (std::int64_t r = r0; r < std::min(r0 + kTile, rows); ++r) dst[c * rows + r] = src[r * columns + c];
  }
}

}  // namespace d3ad::detail

namespace d3ad {

D3AD_INLINE void to_channels_last(float* out, const float* in, const std::vector<std::int64_t>& dims) {
  const Shape s = channels_last(dims);
  detail::transpose(out, in, s.n, s.c, s.pixels());
}

D3AD_INLINE void to_file_order(float* out, const float* in, const std::vector<std::int64_t>& dims) {
  const Shape s = channels_last(dims);
  detail::transpose(out, in, s.n, s.pixels(), s.c);
}

D3AD_INLINE std::vector<float> to_channels_last(const std::vector<float>& in, const std::vector<std::int64_t>& dims) {
  D3AD_CHECK(static_cast<std::int64_t>(in.size()) == dims_size(dims), "to_channels_last: ", in.size(), " values for ",
             dims_text(dims));
  std::vector<float> out(in.size());
  to_channels_last(out.data(), in.data(), dims);
  return out;
}

D3AD_INLINE std::vector<float> to_file_order(const std::vector<float>& in, const std::vector<std::int64_t>& dims) {
  D3AD_CHECK(static_cast<std::int64_t>(in.size()) == dims_size(dims), "to_file_order: ", in.size(), " values for ",
             dims_text(dims));
  std::vector<float> out(in.size());
  to_file_order(out.data(), in.data(), dims);
  return out;
}

}  // namespace d3ad
