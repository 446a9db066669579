// What backend/cuda/attention.hpp computes between its products.

#include <algorithm>

#include "d3ad/backend/cuda/attention_softmax.hpp"
#include "kernels/attention.cuh"

namespace d3ad::cuda {

namespace {

constexpr int kAttentionThreads = 256;

unsigned warps_for(std::int64_t rows) { return kernels::blocks_for(rows * 32, kAttentionThreads); }
unsigned row_blocks_for(std::int64_t rows) { return static_cast<unsigned>(std::min(rows, kernels::kMostBlocks)); }

}  // namespace

template <class T>
void softmax_rows(Context<CudaOf<T>>& ctx, T* p, const float* scores, ScoreRows s) {
  using namespace kernels;
  const char* const name = "attention";
  if (s.columns > kShortRow)
    return launch(name, ctx.stream(), softmax_long_kernel<T>, row_blocks_for(s.rows), kAttentionThreads, 0, p, scores,
                  s.rows, s.columns, s.stride, s.scale);
  const auto kernel = s.columns <= 128   ? softmax_short_kernel<1, T>
                      : s.columns <= 256 ? softmax_short_kernel<2, T>
                      : s.columns <= 512 ? softmax_short_kernel<4, T>
                                         : softmax_short_kernel<8, T>;
  launch(name, ctx.stream(), kernel, warps_for(s.rows), kAttentionThreads, 0, p, scores, s.rows, s.columns, s.stride,
         s.scale);
}

template <class T>
void softmax_rows_gradient(Context<CudaOf<T>>& ctx, T* p, T* ds, const float* scores, const float* dp, ScoreRows s) {
  using namespace kernels;
  const char* const name = "attention_backward";
  if (s.columns > kShortRow)
    return launch(name, ctx.stream(), softmax_gradient_long_kernel<T>, row_blocks_for(s.rows), kAttentionThreads, 0, p,
                  ds, scores, dp, s.rows, s.columns, s.stride, s.scale);
  const auto kernel = s.columns <= 128   ? softmax_gradient_short_kernel<1, T>
                      : s.columns <= 256 ? softmax_gradient_short_kernel<2, T>
                      : s.columns <= 512 ? softmax_gradient_short_kernel<4, T>
                                         : softmax_gradient_short_kernel<8, T>;
  launch(name, ctx.stream(), kernel, warps_for(s.rows), kAttentionThreads, 0, p, ds, scores, dp, s.rows, s.columns,
         s.stride, s.scale);
}

template <class T>
void store_matrices(Context<CudaOf<T>>& ctx, T* out, const float* x, std::int64_t batch, std::int64_t rows,
                    std::int64_t columns, std::int64_t stride, std::int64_t step) {
  kernels::launch("attention_backward", ctx.stream(), kernels::store_matrices_kernel<T>,
                  kernels::blocks_for(batch * rows * columns, kAttentionThreads), kAttentionThreads, 0, out, x, batch,
                  rows, columns, stride, step);
}

#define INSTANTIATE(T)                                                                                          \
  template void softmax_rows(Context<CudaOf<T>>&, T*, const float*, ScoreRows);                                 \
  template void softmax_rows_gradient(Context<CudaOf<T>>&, T*, T*, const float*, const float*, ScoreRows);      \
  template void store_matrices(Context<CudaOf<T>>&, T*, const float*, std::int64_t, std::int64_t, std::int64_t, \
                               std::int64_t, std::int64_t);
D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::cuda
