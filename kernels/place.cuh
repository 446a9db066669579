#pragma once
// CUDA kernel of backend/cuda/place.hpp. Each element is written once; those from inside are read once.

#include "d3ad/core/shape.hpp"
#include "kernels/element.cuh"
#include "kernels/launch.cuh"

namespace d3ad::kernels {

// W elements at a time: channels of both are multiples of it.
template <int W, class U>
__global__ void place_kernel(U* out, Shape to, const U* in, Shape from, std::int64_t top, std::int64_t left) {
  const std::int64_t groups = to.c / W, count = to.n * to.h * to.w * groups;
  for (std::int64_t i = grid_thread(); i < count; i += grid_threads()) {
    const std::int64_t c = i % groups * W, pixel = i / groups;
    const std::int64_t x = pixel % to.w - left, row = pixel / to.w;
    const std::int64_t y = row % to.h - top, n = row / to.h;
    const bool inside = n < from.n && y >= 0 && y < from.h && x >= 0 && x < from.w && c < from.c;
    const std::int64_t source = ((n * from.h + y) * from.w + x) * from.c + c;
    if constexpr (W == 1) {
      out[i] = narrow<U>(inside ? widen(in[source]) : 0.0f);
    } else {
      Pack<U> values;
      if (inside) {
        values = load(in + source);
      } else {
        for (int k = 0; k < W; ++k) values.set(k, 0.0f);
      }
      store(out + pixel * to.c + c, values);
    }
  }
}

}  // namespace d3ad::kernels
