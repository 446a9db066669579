#pragma once
// CPU variant of ops/attention.hpp: oneDNN's matrix products on blocks of score rows.
//
// The forward pass is parallel over (image, head, block of rows). The gradient is parallel over (image, head): one
// thread adds all blocks to a head's dk and dv, in order. Scratch is one or two blocks [rows, positions] per thread.

#include <algorithm>
#include <atomic>
#include <cmath>

#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/backend/cpu/onednn.hpp"
#include "d3ad/backend/cpu/softmax.hpp"
#include "d3ad/ops/attention.hpp"

namespace d3ad::ops {

namespace detail {

// Where one head of one image lies in qkv; d channels of each position, `step` floats apart.
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

inline constexpr std::int64_t kScoreRows = 64;

// p [rows, positions] = softmax of the scores of positions first ... first + rows - 1
inline bool probabilities(const Head& head, const float* qkv, std::int64_t first, std::int64_t rows, float* p) {
  if (!onednn::gemm(false, true, rows, head.positions, head.d, head.scale, qkv + head.q + first * head.step, head.step,
                    qkv + head.k, head.step, 0.0f, p, head.positions))
    return false;
  for (std::int64_t r = 0; r < rows; ++r) softmax_row(p + r * head.positions, head.positions);
  return true;
}

}  // namespace detail

inline void attention(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> qkv, Attention config) {
  check_attention(out.shape, qkv.shape, config);
  const int heads = config.heads;
  const std::int64_t positions = qkv.shape.pixels(), block = std::min(detail::kScoreRows, positions);
  const std::int64_t blocks = (positions + block - 1) / block, jobs = qkv.shape.n * heads * blocks;
  const auto scratch = ctx.arena.make<float>({.n = ctx.threads(), .h = block, .c = positions});
  std::atomic<bool> failed = false;
#pragma omp parallel num_threads(ctx.threads())
  {
    const onednn::Threads one(1);
    float* const p = scratch.view().data + omp_get_thread_num() * block * positions;
#pragma omp for schedule(dynamic)
    for (std::int64_t job = 0; job < jobs; ++job) {
      const detail::Head head(qkv.shape, heads, job / blocks);
      const std::int64_t first = job % blocks * block, rows = std::min(block, positions - first);
      const std::int64_t step = head.step / 3;
      if (!detail::probabilities(head, qkv.data, first, rows, p) ||
          !onednn::gemm(false, false, rows, head.d, positions, 1.0f, p, positions, qkv.data + head.v, head.step, 0.0f,
                        out.data + head.out + first * step, step))
        failed = true;
    }
  }
  D3AD_CHECK(!failed, "attention: oneDNN's matrix product failed for qkv ", qkv.shape,
             ", probably for lack of memory; use a smaller batch or image");
}

inline void attention_backward(Context<Cpu>& ctx, View<float, Cpu> dqkv, In<float, Cpu> dout, In<float, Cpu> qkv,
                               Attention config) {
  check_attention(dout.shape, qkv.shape, config);
  D3AD_CHECK(dqkv.shape == qkv.shape, "attention: gradient ", dqkv.shape, " for qkv ", qkv.shape);
  const int heads = config.heads;
  const std::int64_t positions = qkv.shape.pixels(), block = std::min(detail::kScoreRows, positions);
  const std::int64_t jobs = qkv.shape.n * heads;
  const auto scratch = ctx.arena.make<float>({.n = ctx.threads(), .h = 2 * block, .c = positions});
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
