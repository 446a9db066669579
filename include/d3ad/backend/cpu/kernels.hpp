#pragma once
// Our own kernels for the CPU, compiled for each vector width and chosen at run time.
//
//   const kernels::Table& k = kernels::table();          // those of simd::level()
//   k.product(a, a_step, b, depth, rows, c, wide, add);
//
// A kernel is written once, in kernels/*.inl, with vectors of kLanes floats (kernels/vectors.inl), and included for
// each target in its own namespace (kernels/each_target.inl). This is for loops in which registers have to be counted,
// which compilers do not do well enough; simpler loops use simd::run.
//
// Kernels pass activations to each other in blocks of kDepth channels: [block][row][kDepth], missing channels 0.

#include <algorithm>
#include <cstdint>

#include "d3ad/backend/cpu/simd.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/ops/conv_block.hpp"

namespace d3ad::kernels {

inline constexpr int kDepth = 16;

using ops::Resample;

// The input of a convolution: channels of one image, normalised, activated and resampled while they are read.
struct Source {
  const float* x = nullptr;             // pixel (0, 0), the first channel wanted
  std::int64_t h = 0, w = 0, step = 0;  // step: floats between pixels
  std::int64_t channels = 0;
  const float* factor = nullptr;  // x * factor[c] + offset[c]; null: x
  const float* offset = nullptr;
  bool silu = false;
  Resample resample = Resample::none;
};

// The output of a convolution: channels of one image.
struct Target {
  float* y = nullptr;  // pixel (0, 0), the first channel of the panel
  std::int64_t h = 0, w = 0, step = 0, channels = 0;
  const float* scale = nullptr;     // [channels], of the products; null: 1
  const float* bias = nullptr;      // [channels]
  const float* shift = nullptr;     // [channels], of this image
  const float* residual = nullptr;  // added; of y's shape before resampling
  std::int64_t residual_step = 0;
  Resample residual_resample = Resample::none;
  bool relu = false;
  float* mean = nullptr;  // [channels], with square: moments of what is written; null: not wanted
  float* square = nullptr;
};

// A rectangle of pixels (or of Winograd's tiles).
struct Rectangle {
  std::int64_t y = 0, x = 0, h = 0, w = 0;
  std::int64_t size() const { return h * w; }
};

// How a convolution moves over a region of gathered pixels.
struct Window {
  int kernel = 1, stride = 1;
};

// The kernels of a target; kernels/*.inl say what each one does.
struct Table {
  int lanes, rows, columns;  // floats in a vector; rows and columns of a product's tile
  void (*product)(const float* a, std::int64_t a_step, const float* b, std::int64_t depth, std::int64_t rows, float* c,
                  bool wide, bool add);
  void (*gather)(const Source&, const Rectangle& region, float* to, std::int64_t block_step);
  void (*columns_of)(const float* region, std::int64_t region_w, Window, std::int64_t out_h, std::int64_t out_w,
                     float* to, std::int64_t tap_step);
  void (*flat_columns_of)(const float* region, std::int64_t region_w, std::int64_t channels, Window, std::int64_t out_h,
                          std::int64_t out_w, float* to, std::int64_t block_step);
  void (*emit)(const Target&, const Rectangle& where, const float* rows, bool wide);
  void (*winograd4_input)(const float* region, std::int64_t region_w, std::int64_t tiles_h, std::int64_t tiles_w,
                          float* to, std::int64_t point_step);
  void (*winograd4_output)(const Target&, const Rectangle& where, const float* products, std::int64_t point_step,
                           bool wide);
  void (*winograd2_input)(const float* region, std::int64_t region_w, std::int64_t tiles_h, std::int64_t tiles_w,
                          float* to, std::int64_t point_step);
  void (*winograd2_output)(const Target&, const Rectangle& where, const float* products, std::int64_t point_step,
                           bool wide);
  void (*winograd4_weights)(const float* panel, std::int64_t tap_step, std::int64_t count, bool wide, float* to,
                            std::int64_t point_step);
  void (*winograd2_weights)(const float* panel, std::int64_t tap_step, std::int64_t count, bool wide, float* to,
                            std::int64_t point_step);
  void (*attention_queries)(const float* q, std::int64_t step, std::int64_t queries, std::int64_t d, float scale,
                            float* to, bool wide);
  void (*attention_values)(const float* v, std::int64_t step, std::int64_t keys, std::int64_t d, float* to);
  void (*attention_softmax)(float* scores, std::int64_t keys, float* state, float* sums, std::int64_t d, bool wide);
  void (*attention_output)(const float* sums, const float* state, std::int64_t queries, std::int64_t d, float* out,
                           std::int64_t step, bool wide);
};

}  // namespace d3ad::kernels

#if D3AD_DEFINITIONS
#define D3AD_TARGET_FILE "d3ad/backend/cpu/kernels/kernels.inl"
#include "d3ad/backend/cpu/kernels/each_target.inl"
#undef D3AD_TARGET_FILE
#endif

namespace d3ad::kernels {

// The tables of the targets. If d3ad is compiled, each has a file of its own: kernels/cpu/<target>.cpp.
#if D3AD_DEFINITIONS
inline const Table& baseline_table() { return baseline::kTable; }
#if D3AD_SIMD_X86
inline const Table& avx2_table() { return avx2::kTable; }
inline const Table& avx512_table() { return avx512::kTable; }
#endif
#else
const Table& baseline_table();
#if D3AD_SIMD_X86
const Table& avx2_table();
const Table& avx512_table();
#endif
#endif

// The kernels of the level in use.
inline const Table& table() {
#if D3AD_SIMD_X86
  switch (simd::level()) {
    case simd::Level::avx512:
      return avx512_table();
    case simd::Level::avx2:
      return avx2_table();
    case simd::Level::baseline:
      break;
  }
#endif
  return baseline_table();
}

}  // namespace d3ad::kernels
