#pragma once
// What the CPU's normalisations share: blocks of pixels that fit the first-level cache, and their statistics.
//
//   const NormBlocks blocks(x.shape);                             // of one image after the other
//   simd::run<BlockMoments>(mean, square, x, rows, channels);     // of one block, for each channel
//   Moments sum;
//   sum.join(rows, mean[c], square[c]);                           // joins blocks and channels, in double
//
// The sum of squared deviations of a block is taken from its own mean, in a second pass while it is in cache; joining
// follows Chan, Golub and LeVeque. So large means cost no precision. Blocks depend on the shape alone.

#include <algorithm>
#include <cstdint>

#include "d3ad/backend/cpu/simd.hpp"
#include "d3ad/core/shape.hpp"

namespace d3ad::ops::detail {

// Pixels of a block: about 32 KiB.
inline std::int64_t norm_block(std::int64_t channels) { return std::max<std::int64_t>(1, 8192 / channels); }

// mean[c], square[c] = mean and sum of (x - mean)^2 over the rows of x [rows, channels]
struct BlockMoments {
  D3AD_SIMD_INLINE static void run(float* mean, float* square, const float* x, std::int64_t rows,
                                   std::int64_t channels) {
    for (std::int64_t c = 0; c < channels; ++c) mean[c] = square[c] = 0;
    for (std::int64_t r = 0; r < rows; ++r) {
      const float* const in = x + r * channels;
#pragma omp simd
      for (std::int64_t c = 0; c < channels; ++c) mean[c] += in[c];
    }
    const float factor = 1.0f / static_cast<float>(rows);
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) mean[c] *= factor;
    for (std::int64_t r = 0; r < rows; ++r) {
      const float* const in = x + r * channels;
#pragma omp simd
      for (std::int64_t c = 0; c < channels; ++c) square[c] += (in[c] - mean[c]) * (in[c] - mean[c]);
    }
  }
};

// The blocks of pixels that an operation over [n, pixels, c] is split into, images one after the other.
struct NormBlocks {
  std::int64_t pixels, channels, block, per_image, count;

  explicit NormBlocks(Shape x)
      : pixels(x.pixels()),
        channels(x.c),
        block(std::min(norm_block(x.c), pixels)),
        per_image((pixels + block - 1) / block),
        count(x.n * per_image) {}

  std::int64_t image(std::int64_t i) const { return i / per_image; }
  std::int64_t rows(std::int64_t i) const { return std::min(block, pixels - i % per_image * block); }
  std::int64_t offset(std::int64_t i) const { return (image(i) * pixels + i % per_image * block) * channels; }
};

// Count, mean and sum of squared deviations of a set to which others are joined.
struct Moments {
  double count = 0, mean = 0, square = 0;

  void join(double other_count, double other_mean, double other_square) {
    const double delta = other_mean - mean, together = count + other_count;
    mean += delta * other_count / together;
    square += other_square + delta * delta * count * other_count / together;
    count = together;
  }
};

}  // namespace d3ad::ops::detail
