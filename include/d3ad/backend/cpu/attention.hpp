#pragma once
// CPU variant of ops/attention.hpp.
//
// The forward pass uses our own kernels (kernels/attention.inl), with a running softmax over tiles of keys, so that a
// block of queries needs memory for one tile of scores only. It is parallel over images, heads and blocks of queries.
// The backward pass uses oneDNN's products on blocks of rows of scores. It is parallel over images and heads: one
// thread adds all blocks to a head's dk and dv, in order. Each thread needs scratch for two blocks [rows, positions].

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cmath>

#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/backend/cpu/kernels.hpp"
#include "d3ad/backend/cpu/onednn.hpp"
#include "d3ad/backend/cpu/softmax.hpp"
#include "d3ad/ops/attention.hpp"

namespace d3ad::ops {

namespace detail {

// The place of one head of one image in qkv: d channels of each position, `step` floats apart.
struct Head {
  std::int64_t positions, d, step;
  float scale;
  std::int64_t q, k, v;  // offsets in qkv
  std::int64_t out;      // offset in the output, whose positions are step / 3 apart

  Head(Shape qkv, int heads, std::int64_t index)
      : positions(qkv.pixels()), d(qkv.c / 3 / heads), step(qkv.c), scale(1.0f / std::sqrt(static_cast<float>(d))) {
    const std::int64_t image = index / heads, head = index % heads;
    q = image * positions * step + head * 3 * d;
    k = q + d;
    v = k + d;
    out = image * positions * (step / 3) + head * d;
  }
};

inline constexpr std::int64_t kKeys = 128;        // keys in a tile, forward pass
inline constexpr std::int64_t kPositions = 1024;  // positions that are packed at a time
inline constexpr std::int64_t kScoreRows = 64;    // rows in a block, backward pass

// p [rows, positions] = softmax of the scores of positions first ... first + rows - 1
inline bool probabilities(const Head& head, const float* qkv, std::int64_t first, std::int64_t rows, float* p) {
  if (!onednn::gemm(false, true, rows, head.positions, head.d, head.scale, qkv + head.q + first * head.step, head.step,
                    qkv + head.k, head.step, 0.0f, p, head.positions))
    return false;
  for (std::int64_t r = 0; r < rows; ++r) softmax_row(p + r * head.positions, head.positions);
  return true;
}

}  // namespace detail

template <>
D3AD_INLINE void attention(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> qkv, Attention config) {
  check_attention(out.shape, qkv.shape, config);
  using kernels::kDepth;
  const auto& table = kernels::table();
  const int heads = config.heads, threads = ctx.threads();
  const detail::Head shape(qkv.shape, heads, 0);
  const std::int64_t positions = shape.positions, d = shape.d, step = shape.step, queries = table.columns;
  const std::int64_t tiles = (positions + detail::kKeys - 1) / detail::kKeys;
  const std::int64_t query_blocks = (positions + queries - 1) / queries;
  const std::int64_t depth = (d + kDepth - 1) / kDepth * kDepth, key_blocks = (positions + kDepth - 1) / kDepth;
  // Keys and values are packed for as many images at a time as all threads need to be busy.
  const std::int64_t images = std::clamp<std::int64_t>(detail::kPositions / positions, 1, qkv.shape.n);
  const std::int64_t packed = positions * depth + key_blocks * kDepth * d;
  const auto keys_and_values = make_value<float>(ctx, {.n = images * heads, .c = packed});
  const auto scratch = make_value<float>(ctx, {.n = threads, .c = (2 * d + detail::kKeys + 3) * queries});
#pragma omp parallel num_threads(threads)
  {
    float* const query = scratch.view().data + omp_get_thread_num() * scratch.shape().c;
    float* const sums = query + d * queries;
    float* const scores = sums + d * queries;
    float* const state = scores + detail::kKeys * queries;
    for (std::int64_t image = 0; image < qkv.shape.n; image += images) {
      const std::int64_t count = std::min(images, qkv.shape.n - image) * heads, first_head = image * heads;
#pragma omp for schedule(static)
      for (std::int64_t job = 0; job < count * tiles; ++job) {
        const detail::Head head(qkv.shape, heads, first_head + job / tiles);
        const std::int64_t first = job % tiles * detail::kKeys, n = std::min(detail::kKeys, positions - first);
        float* const keys = keys_and_values.view().data + job / tiles * packed;
        table.gather({.x = qkv.data + head.k, .h = 1, .w = positions, .step = step, .channels = d},
                     {.y = 0, .x = first, .h = 1, .w = n}, keys + first * depth, n * kDepth);
        table.attention_values(qkv.data + head.v + first * step, step, n, d, keys + positions * depth + first * d);
      }
#pragma omp for schedule(dynamic)
      for (std::int64_t job = 0; job < count * query_blocks; ++job) {
        const detail::Head head(qkv.shape, heads, first_head + job / query_blocks);
        const std::int64_t q = job % query_blocks * queries, mine = std::min(queries, positions - q);
        const bool wide = mine > table.lanes;
        const float* const keys = keys_and_values.view().data + job / query_blocks * packed;
        const std::int64_t columns = wide ? table.columns : table.lanes;
        table.attention_queries(qkv.data + head.q + q * step, step, mine, d, head.scale, query, wide);
        std::fill_n(state, columns, -INFINITY);
        std::fill_n(state + columns, columns, 0.0f);
        std::fill_n(sums, d * columns, 0.0f);
        for (std::int64_t first = 0; first < positions; first += detail::kKeys) {
          const std::int64_t n = std::min(detail::kKeys, positions - first);
          table.product(keys + first * depth, n * kDepth, query, d, n, scores, wide, false);
          table.attention_softmax(scores, n, state, sums, d, wide);
          table.product(keys + positions * depth + first * d, d * kDepth, scores, n, d, sums, wide, true);
        }
        table.attention_output(sums, state, mine, d, out.data + head.out + q * (step / 3), step / 3, wide);
      }
    }
  }
}

template <>
D3AD_INLINE void attention_backward(Context<Cpu>& ctx, View<float, Cpu> dqkv, In<float, Cpu> dout, In<float, Cpu> qkv,
                                    Attention config) {
  check_attention(dout.shape, qkv.shape, config);
  D3AD_CHECK(dqkv.shape == qkv.shape, "attention: gradient ", dqkv.shape, " for qkv ", qkv.shape);
  const int heads = config.heads;
  const std::int64_t positions = qkv.shape.pixels(), block = std::min(detail::kScoreRows, positions);
  const std::int64_t jobs = qkv.shape.n * heads;
  const auto scratch = make_value<float>(ctx, {.n = ctx.threads(), .h = 2 * block, .c = positions});
  std::atomic<bool> failed = false;
#pragma omp parallel num_threads(ctx.threads())
  {
    const onednn::Threads one(1);
    float* const p = scratch.view().data + omp_get_thread_num() * 2 * block * positions;
    float* const dp = p + block * positions;
#pragma omp for schedule(dynamic)
    for (std::int64_t job = 0; job < jobs; ++job) {
      const detail::Head head(qkv.shape, heads, job);
      const std::int64_t d = head.d, step = head.step, out_step = step / 3;
      bool good = true;
      for (std::int64_t first = 0; first < positions && good; first += block) {
        const std::int64_t rows = std::min(block, positions - first);
        const float* const dy = dout.data + head.out + first * out_step;
        const float* const q = qkv.data + head.q + first * step;
        const float so_far = first == 0 ? 0.0f : 1.0f;
        good = detail::probabilities(head, qkv.data, first, rows, p) &&
               // dv += p^T dy, dp = dy v^T
               onednn::gemm(true, false, positions, d, rows, 1.0f, p, positions, dy, out_step, so_far,
                            dqkv.data + head.v, step) &&
               onednn::gemm(false, true, rows, positions, d, 1.0f, dy, out_step, qkv.data + head.v, step, 0.0f, dp,
                            positions);
        if (!good) break;
        for (std::int64_t r = 0; r < rows; ++r)
          detail::softmax_row_backward(dp + r * positions, p + r * positions, positions, head.scale);
        // dq = ds k, dk += ds^T q
        good = onednn::gemm(false, false, rows, d, positions, 1.0f, dp, positions, qkv.data + head.k, step, 0.0f,
                            dqkv.data + head.q + first * step, step) &&
               onednn::gemm(true, false, positions, d, rows, 1.0f, dp, positions, q, step, so_far, dqkv.data + head.k,
                            step);
      }
      if (!good) failed = true;
    }
  }
  D3AD_CHECK(!failed, "attention_backward: oneDNN's matrix product failed for qkv ", qkv.shape,
             ", probably for lack of memory; use a smaller batch or image");
}

}  // namespace d3ad::ops
