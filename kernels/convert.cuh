#pragma once
// CUDA kernel of ops/convert.hpp.

#include "kernels/channels.cuh"

namespace d3ad::kernels {

// A pack of the narrower type at a time if `packs`; the last elements, which do not fill one, one by one.
template <class To, class From>
__global__ void convert_kernel(To* out, const From* x, std::int64_t count, bool packs) {
  constexpr int N = kPack < To >> kPack<From> ? kPack<To> : kPack<From>;
  const std::int64_t first = grid_thread(), threads = grid_threads();
  const std::int64_t whole = packs ? count / N : 0;
  for (std::int64_t i = first; i < whole; i += threads) {
    const Channels<From, N> v = channels_at<N>(x + i * N);
    Channels<To, N> y;
    for (int k = 0; k < N; ++k) y.set(k, v[k]);
    put(out + i * N, y);
  }
  for (std::int64_t i = whole * N + first; i < count; i += threads) out[i] = narrow<To>(widen(x[i]));
}

}  // namespace d3ad::kernels
