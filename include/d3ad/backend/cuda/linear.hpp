#pragma once
// CUDA variant of ops/linear.hpp: cuBLASLt's products (backend/cuda/cublas.hpp), the bias in their epilogue. Gradients
// of weights are added up in float whatever the activations are.

#include "d3ad/backend/cuda/column_sums.hpp"
#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/backend/cuda/cublas.hpp"
#include "d3ad/backend/cuda/packed_weights.hpp"
#include "d3ad/ops/linear.hpp"

namespace d3ad::ops {

template <class T>
void linear(Context<CudaOf<T>>& ctx, View<T, CudaOf<T>> out, In<T, CudaOf<T>> x, const Parameter<CudaOf<T>>& w,
            In<float, CudaOf<T>> bias) {
  const Shape shape = w.shape();
  check_linear(out.shape, x.shape, shape, bias.shape, bias.data != nullptr);
  const auto weights = weights_of(ctx, w);
  cuda::multiply(ctx,
                 {.rows = x.shape.rows(),
                  .columns = shape.n,
                  .depth = shape.c,
                  .b_transposed = true,
                  .a_stride = shape.c,
                  .b_stride = shape.c,
                  .out_stride = shape.n},
                 out.data, x.data, static_cast<const T*>(weights.view().data), bias.data);
}

template <class T>
void linear_backward_data(Context<CudaOf<T>>& ctx, View<T, CudaOf<T>> dx, In<T, CudaOf<T>> dy,
                          const Parameter<CudaOf<T>>& w) {
  const Shape shape = w.shape();
  check_linear(dy.shape, dx.shape, shape, {}, false);
  const auto weights = weights_of(ctx, w);
  cuda::multiply(ctx,
                 {.rows = dx.shape.rows(),
                  .columns = shape.c,
                  .depth = shape.n,
                  .a_stride = shape.n,
                  .b_stride = shape.c,
                  .out_stride = shape.c},
                 dx.data, dy.data, static_cast<const T*>(weights.view().data));
}

template <class T>
void linear_backward_weights(Context<CudaOf<T>>& ctx, View<float, CudaOf<T>> dw, View<float, CudaOf<T>> db,
                             In<T, CudaOf<T>> x, In<T, CudaOf<T>> dy) {
  check_linear(dy.shape, x.shape, dw.shape, db.shape, db.data != nullptr);
  const std::int64_t out = dw.shape.n, in = dw.shape.c;
  cuda::multiply(ctx,
                 {.rows = out,
                  .columns = in,
                  .depth = x.shape.rows(),
                  .a_transposed = true,
                  .a_stride = out,
                  .b_stride = in,
                  .out_stride = in,
                  .beta = 1},
                 dw.data, dy.data, x.data);
  if (db.data) cuda::add_column_sums(ctx, db, dy);
}

}  // namespace d3ad::ops
