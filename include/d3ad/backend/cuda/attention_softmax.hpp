#pragma once
// What backend/cuda/attention.hpp computes between its products: kernels of our own (kernels/attention.cu).
//
//   cuda::softmax_rows(ctx, p, scores, {.rows = r, .columns = n, .stride = n, .scale = 0.125f});

#include <cstdint>

#include "d3ad/backend/cuda/context.hpp"

namespace d3ad::cuda {

// Rows of scores, `stride` elements apart, which is a multiple of 4. Elements behind the columns are ignored.
struct ScoreRows {
  std::int64_t rows = 0, columns = 0, stride = 0;
  float scale = 1;
};

// p = softmax(scale * scores) of each row; p may be the scores.
template <class T>
void softmax_rows(Context<CudaOf<T>>&, T* p, const float* scores, ScoreRows);

// p likewise, and ds = p * (dp - sum over the row of p * dp); p may be the scores, ds may be dp.
template <class T>
void softmax_rows_gradient(Context<CudaOf<T>>&, T* p, T* ds, const float* scores, const float* dp, ScoreRows);

// out = x [batch, rows, columns]; out's rows are `stride` elements apart, its matrices `step`.
template <class T>
void store_matrices(Context<CudaOf<T>>&, T* out, const float* x, std::int64_t batch, std::int64_t rows,
                    std::int64_t columns, std::int64_t stride, std::int64_t step);

}  // namespace d3ad::cuda
