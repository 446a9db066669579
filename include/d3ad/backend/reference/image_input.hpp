#pragma once
// Reference variant of ops/image_input.hpp.

#include <cstdint>
#include <vector>

#include "d3ad/backend/reference/pool.hpp"
#include "d3ad/ops/image_input.hpp"

namespace d3ad::ops {

// Each output by itself: the rows that it needs are resized at its place, and then their column.
template <>
D3AD_INLINE void image_input(Context<Reference>&, View<double, Reference> out, In<std::uint8_t, Reference> pixels) {
  check_image_input(out.shape, pixels.shape);
  const Shape s = pixels.shape;
  const ResizeWeights across = resize_weights(s.w, out.shape.w), down = resize_weights(s.h, out.shape.h);
  std::vector<std::uint8_t> column(static_cast<std::size_t>(s.h));
  detail::for_each_element(out.shape,
                           [&](std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t c, std::int64_t i) {
                             const std::int64_t first = down.table().first[y], count = down.table().count[y];
                             for (std::int64_t row = first; row < first + count; ++row)
                               column[static_cast<std::size_t>(row)] =
                                   across.table().mean(x, pixels.data + detail::pixel_offset(s, n, row, 0) + c, s.c);
                             out.data[i] = input_number<double>(down.table().mean(y, column.data(), 1));
                           });
}

}  // namespace d3ad::ops
