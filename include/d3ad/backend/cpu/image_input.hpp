#pragma once
// CPU variant of ops/image_input.hpp.

#include <cstdint>

#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/ops/image_input.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void image_input(Context<Cpu>& ctx, View<float, Cpu> out, In<std::uint8_t, Cpu> pixels) {
  check_image_input(out.shape, pixels.shape);
  const Shape s = pixels.shape, o = out.shape;
  const std::int64_t length = o.w * o.c;  // of a row that is resized
  const std::uint8_t* rows = pixels.data;
  Value<std::uint8_t, Cpu> resized;
  if (s.w != o.w) {
    const ResizeWeights across = resize_weights(s.w, o.w);
    const ResizeTable table = across.table();
    resized = make_value<std::uint8_t>(ctx, {.h = s.h, .w = o.w, .c = o.c});
    std::uint8_t* const to = resized.view().data;
#pragma omp parallel for num_threads(ctx.threads())
    for (std::int64_t y = 0; y < s.h; ++y)
      for (std::int64_t x = 0; x < o.w; ++x)
        table.mean<3>(to + y * length + x * o.c, x, pixels.data + y * s.w * s.c, s.c);
    rows = to;
  }
  const ResizeWeights down = resize_weights(s.h, o.h);
  const ResizeTable table = down.table();
#pragma omp parallel for num_threads(ctx.threads())
  for (std::int64_t y = 0; y < o.h; ++y)
    for (std::int64_t i = 0; i < length; ++i)
      out.data[y * length + i] = input_number<float>(table.mean(y, rows + i, length));
}

}  // namespace d3ad::ops
