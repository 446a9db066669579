#pragma once
// CUDA variant of ops/attention.hpp. The forward pass is one kernel if cuDNN has an engine for it: for half and
// bfloat16, heads of a multiple of 16 bytes, and GPUs since Ampere. Otherwise, and in every backward pass, attention is
// products (backend/cuda/cublas.hpp) with a softmax of our own between them.
//
// Scores, and in the backward pass their gradients, are float. Probabilities have the activations' type, which the
// products that read them require. They are computed for as many heads or rows at a time as keep the scores within
// kScoreBytes.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "d3ad/backend/cuda/attention_softmax.hpp"
#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/backend/cuda/cublas.hpp"
#include "d3ad/backend/cuda/cudnn.hpp"
#include "d3ad/ops/attention.hpp"

namespace d3ad::ops {

namespace detail {

inline constexpr std::int64_t kScoreBytes = 32 << 20;

// How heads are batched. A batched product is over the heads of one image or over the images of one head, whichever are
// more; it takes `batch` of them at a time, and `rows` queries of each.
struct HeadBatches {
  std::int64_t positions, d, step;      // d: channels of a head; step: elements of qkv between positions
  std::int64_t outer, inner;            // number of products; heads or images of each
  std::int64_t outer_step, inner_step;  // elements of qkv between them; in the output a third of it
  std::int64_t batch, rows, stride;     // stride: elements between rows of scores
  float scale;

  HeadBatches(Shape qkv, int heads, std::int64_t score_bytes)
      : positions(qkv.pixels()),
        d(qkv.c / 3 / heads),
        step(qkv.c),
        stride((positions + 7) / 8 * 8),  // 16 bytes of every type, for the products and the softmax
        scale(1.0f / std::sqrt(static_cast<float>(d))) {
    const bool over_heads = heads >= qkv.n;
    inner = over_heads ? heads : qkv.n, outer = over_heads ? qkv.n : heads;
    inner_step = over_heads ? 3 * d : positions * step, outer_step = over_heads ? positions * step : 3 * d;
    const std::int64_t most =
        std::max<std::int64_t>(score_bytes / static_cast<std::int64_t>(sizeof(float)) / stride, 1);
    batch = std::clamp<std::int64_t>(most / positions, 1, inner);
    rows = std::min(most, positions);
    if (rows < positions && rows > 64) rows = rows / 64 * 64;  // whole tiles of the products
  }
  std::int64_t score_elements() const { return batch * rows * stride; }

  // Calls part(offset of the first head in qkv, number of heads) until all heads are done.
  template <class F>
  void for_each(F part) const {
    for (std::int64_t o = 0; o < outer; ++o)
      for (std::int64_t i = 0; i < inner; i += batch) part(o * outer_step + i * inner_step, std::min(batch, inner - i));
  }

  // The products of `count` heads with `r` queries each. First: a matrix of qkv (or of its gradient) times another one.
  cuda::Product scores(std::int64_t count, std::int64_t r, std::int64_t a_stride, std::int64_t a_step) const {
    return {.rows = r,
            .columns = positions,
            .depth = d,
            .b_transposed = true,
            .a_stride = a_stride,
            .b_stride = step,
            .out_stride = stride,
            .batch = count,
            .a_step = a_step,
            .b_step = inner_step,
            .out_step = r * stride};
  }
  // Second: scores times such a matrix.
  cuda::Product by_scores(std::int64_t count, std::int64_t r, std::int64_t out_stride, std::int64_t out_step,
                          float alpha) const {
    return {.rows = r,
            .columns = d,
            .depth = positions,
            .a_stride = stride,
            .b_stride = step,
            .out_stride = out_stride,
            .batch = count,
            .a_step = r * stride,
            .b_step = inner_step,
            .out_step = out_step,
            .alpha = alpha};
  }
  // Third: transposed scores times such a matrix, added to the output if beta is 1.
  cuda::Product by_scores_transposed(std::int64_t count, std::int64_t r, std::int64_t b_stride, std::int64_t b_step,
                                     std::int64_t out_stride, std::int64_t out_step, float alpha, float beta) const {
    return {.rows = positions,
            .columns = d,
            .depth = r,
            .a_transposed = true,
            .a_stride = stride,
            .b_stride = b_stride,
            .out_stride = out_stride,
            .batch = count,
            .a_step = r * stride,
            .b_step = b_step,
            .out_step = out_step,
            .alpha = alpha,
            .beta = beta};
  }
};

// Memory for scores in float, and for the same in T; if T is float, it is the same memory.
template <class T>
class ScoreMemory {
 public:
  ScoreMemory(Context<CudaOf<T>>& ctx, std::int64_t elements) : scores_(make_value<float>(ctx, {.c = elements})) {
    if constexpr (!std::is_same_v<T, float>) narrow_ = make_value<T>(ctx, {.c = elements});
  }
  float* scores() const { return scores_.view().data; }
  T* narrow() const {
    if constexpr (std::is_same_v<T, float>)
      return scores();
    else
      return narrow_.view().data;
  }

 private:
  Value<float, CudaOf<T>> scores_;
  Value<T, CudaOf<T>> narrow_;
};

template <class Device>
void attention(Context<Device>& ctx, View<Real<Device>, Device> out, In<Real<Device>, Device> qkv, Attention config,
               std::int64_t score_bytes) {
  using T = Real<Device>;
  check_attention(out.shape, qkv.shape, config);
  const HeadBatches heads(qkv.shape, config.heads, score_bytes);
  const std::int64_t d = heads.d, step = heads.step;
  const ScoreMemory<T> memory(ctx, heads.score_elements());
  const T* const p = memory.narrow();
  heads.for_each([&](std::int64_t offset, std::int64_t count) {
    const T* const q = qkv.data + offset;
    // The offset of a head's outputs is a third of that of its queries, because queries of heads are 3 d apart.
    T* const y = out.data + offset / 3;
    for (std::int64_t first = 0; first < heads.positions; first += heads.rows) {
      const std::int64_t r = std::min(heads.rows, heads.positions - first);
      cuda::multiply(ctx, heads.scores(count, r, step, heads.inner_step), memory.scores(), q + first * step, q + d);
      cuda::softmax_rows(ctx, memory.narrow(), memory.scores(),
                         {.rows = count * r, .columns = heads.positions, .stride = heads.stride, .scale = heads.scale});
      cuda::multiply(ctx, heads.by_scores(count, r, step / 3, heads.inner_step / 3, 1.0f), y + first * (step / 3), p,
                     q + 2 * d);
    }
  });
}

template <class Device>
void attention_backward(Context<Device>& ctx, View<Real<Device>, Device> dqkv, In<Real<Device>, Device> dout,
                        In<Real<Device>, Device> qkv, Attention config, std::int64_t score_bytes) {
  using T = Real<Device>;
  check_attention(dout.shape, qkv.shape, config);
  D3AD_CHECK(dqkv.shape == qkv.shape, "attention: gradient ", dqkv.shape, " for qkv ", qkv.shape);
  const HeadBatches heads(qkv.shape, config.heads, score_bytes);
  const std::int64_t d = heads.d, step = heads.step, inner = heads.inner_step, positions = heads.positions;
  const ScoreMemory<T> probabilities(ctx, heads.score_elements()), gradients(ctx, heads.score_elements());
  const T *const p = probabilities.narrow(), *const ds = gradients.narrow();
  // The gradients of keys and values are summed over the blocks of rows, in float.
  const bool summed = !std::is_same_v<T, float> && heads.rows < positions;
  Value<float, Device> sums;
  if (summed) sums = make_value<float>(ctx, {.n = heads.batch, .h = positions, .c = 2 * d});

  heads.for_each([&](std::int64_t offset, std::int64_t count) {
    const T *const q = qkv.data + offset, *const k = q + d, *const v = k + d, *const dy = dout.data + offset / 3;
    T* const dq = dqkv.data + offset;
    for (std::int64_t first = 0; first < positions; first += heads.rows) {
      const std::int64_t r = std::min(heads.rows, positions - first);
      const T *const query = q + first * step, *const gradient = dy + first * (step / 3);
      cuda::multiply(ctx, heads.scores(count, r, step, inner), probabilities.scores(), query, k);
      cuda::multiply(ctx, heads.scores(count, r, step / 3, inner / 3), gradients.scores(), gradient, v);
      cuda::softmax_rows_gradient(
          ctx, probabilities.narrow(), gradients.narrow(), probabilities.scores(), gradients.scores(),
          {.rows = count * r, .columns = positions, .stride = heads.stride, .scale = heads.scale});
      cuda::multiply(ctx, heads.by_scores(count, r, step, inner, heads.scale), dq + first * step, ds, k);
      const auto keys_and_values = [&](auto* dk, std::int64_t out_stride, std::int64_t out_step) {
        const float beta = first == 0 ? 0.0f : 1.0f;
        cuda::multiply(ctx, heads.by_scores_transposed(count, r, step, inner, out_stride, out_step, heads.scale, beta),
                       dk, ds, query);
        cuda::multiply(ctx, heads.by_scores_transposed(count, r, step / 3, inner / 3, out_stride, out_step, 1.0f, beta),
                       dk + d, p, gradient);
      };
      if (summed)
        keys_and_values(sums.view().data, 2 * d, positions * 2 * d);
      else
        keys_and_values(dq + d, step, inner);
    }
    if (summed)
      cuda::store_matrices(ctx, dq + d, static_cast<const float*>(sums.view().data), count, positions, 2 * d, step,
                           inner);
  });
}

}  // namespace detail

}  // namespace d3ad::ops
