#pragma once
// CPU variant of ops/resample.hpp.

#include <algorithm>

#include "d3ad/backend/cpu/pool.hpp"
#include "d3ad/ops/resample.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void upsample_nearest2(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> x) {
  check_upsample_nearest2(out.shape, x.shape);
  const Shape s = x.shape;
#pragma omp parallel for num_threads(detail::threads_for(ctx, out.size() / detail::kBlock)) schedule(static)
  for (std::int64_t r = 0; r < s.n * s.h; ++r) {
    float* const first = out.data + 4 * r * s.w * s.c;
    for (std::int64_t u = 0; u < s.w; ++u)
      for (int twice = 0; twice < 2; ++twice)
        std::copy_n(x.data + (r * s.w + u) * s.c, s.c, first + (2 * u + twice) * s.c);
    std::copy_n(first, 2 * s.w * s.c, first + 2 * s.w * s.c);
  }
}

template <>
D3AD_INLINE void upsample_nearest2_backward(Context<Cpu>& ctx, View<float, Cpu> dx, In<float, Cpu> dy) {
  check_upsample_nearest2(dy.shape, dx.shape);
  avg_pool2(ctx, dx, dy);
  scale(ctx, dx, dx, 4.0f, 0.0f);
}

}  // namespace d3ad::ops
