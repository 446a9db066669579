#pragma once
// CUDA kernel of ops/bilinear.hpp: each thread makes kWidth neighbouring channels of an output pixel at a time.

#include "d3ad/core/shape.hpp"
#include "kernels/channels.cuh"
#include "kernels/launch.cuh"

namespace d3ad::kernels {

// The two neighbours of output position i and the weight of the second. Whole numbers, so the position is exact.
struct BilinearTap {
  std::int64_t first, second;
  float weight;

  __device__ BilinearTap(std::int64_t i, std::int64_t in, std::int64_t out) {
    const std::int64_t steps = out > 1 ? out - 1 : 1, at = i * (in - 1);
    first = at / steps;
    second = first + 1 < in ? first + 1 : in - 1;
    weight = static_cast<float>(at - first * steps) / static_cast<float>(steps);
  }
};

template <int kWidth>
__global__ void bilinear_kernel(float* out, const float* x, Shape to, Shape from) {
  using Some = Channels<float, kWidth>;
  const std::int64_t groups = to.c / kWidth, count = to.rows() * groups;
  for (std::int64_t i = grid_thread(); i < count; i += grid_threads()) {
    const std::int64_t c = i % groups * kWidth, pixel = i / groups, row = pixel / to.w;
    const BilinearTap v(row % to.h, from.h, to.h), u(pixel % to.w, from.w, to.w);
    const float* image = x + row / to.h * from.pixels() * from.c + c;
    const auto at = [&](std::int64_t y, std::int64_t q) {
      return *reinterpret_cast<const Some*>(image + (y * from.w + q) * from.c);
    };
    const Some a = at(v.first, u.first), b = at(v.first, u.second), d = at(v.second, u.first),
               e = at(v.second, u.second);
    Some y;
    for (int k = 0; k < kWidth; ++k) {
      const float above = a.element[k] + u.weight * (b.element[k] - a.element[k]);
      const float below = d.element[k] + u.weight * (e.element[k] - d.element[k]);
      y.element[k] = above + v.weight * (below - above);
    }
    *reinterpret_cast<Some*>(out + i * kWidth) = y;
  }
}

}  // namespace d3ad::kernels
