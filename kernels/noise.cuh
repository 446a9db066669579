#pragma once
// CUDA kernels of ops/noise.hpp. For noise.cu alone.

#include "d3ad/core/rng.hpp"
#include "kernels/element.cuh"
#include "kernels/launch.cuh"

namespace d3ad::kernels {

// Numbers first ... first + count - 1 of the stream; a thread makes the four of one draw. packs: first is a multiple of
// four and `out` lies aligned.
__global__ void normal_kernel(float* out, std::int64_t count, Rng rng, std::uint64_t first, bool packs) {
  const auto before = static_cast<std::int64_t>(first % 4);  // numbers of the first draw that are not wanted
  const std::uint64_t draw = first - first % 4;
  const std::int64_t draws = (before + count + 3) / 4;
  for (std::int64_t i = grid_thread(); i < draws; i += grid_threads()) {
    const auto four = rng.normal4((draw + 4 * static_cast<std::uint64_t>(i)) / 4);
    const std::int64_t begin = 4 * i - before;
    if (packs && begin + 4 <= count) {
      Pack<float> y;
      for (int k = 0; k < 4; ++k) y.element[k] = four[static_cast<std::size_t>(k)];
      store(out + begin, y);
    } else {
      for (int k = 0; k < 4; ++k)
        if (begin + k >= 0 && begin + k < count) out[begin + k] = four[static_cast<std::size_t>(k)];
    }
  }
}

// out = a[n] * z + b[n] * e; image: elements of one, with packs a multiple of four
template <class U>
__global__ void add_noise_kernel(U* out, const U* z, const U* e, const float* a, const float* b, std::int64_t count,
                                 std::int64_t image, bool packs) {
  const std::int64_t each = packs ? kPack<U> : 1;
  for (std::int64_t i = grid_thread() * each; i < count; i += grid_threads() * each) {
    const float p = a[i / image], q = b[i / image];
    if (packs) {
      const Pack<U> from = load(z + i), noise = load(e + i);
      Pack<U> y;
      for (int k = 0; k < kPack<U>; ++k) y.set(k, p * from[k] + q * noise[k]);
      store(out + i, y);
    } else {
      out[i] = narrow<U>(p * widen(z[i]) + q * widen(e[i]));
    }
  }
}

}  // namespace d3ad::kernels
