#pragma once
// The description of a matrix product on the GPU, which backend/cuda/cublas.hpp computes: sizes, layouts, checks.
//
//   const cuda::Product product{.rows = 10, .columns = 8, .depth = 4, .a_stride = 4, .b_stride = 8, .out_stride = 8};
//   cuda::multiply(ctx, product, out, a, b);

#include <cstdint>

#include "d3ad/core/check.hpp"

namespace d3ad::cuda {

// out = alpha A B + beta out + bias of each column; all row-major. A is [rows, depth], or stored as [depth, rows] if
// a_transposed; B is [depth, columns], or stored as [columns, depth] if b_transposed.
struct Product {
  std::int64_t rows, columns, depth;
  bool a_transposed = false, b_transposed = false;
  std::int64_t a_stride, b_stride, out_stride;                   // elements between stored rows
  std::int64_t batch = 1, a_step = 0, b_step = 0, out_step = 0;  // elements between the matrices of a batch
  float alpha = 1, beta = 0;
};

inline void check_product(const Product& p) {
  D3AD_CHECK(p.rows >= 1 && p.columns >= 1 && p.depth >= 1 && p.batch >= 1, "multiply: a product of ", p.batch,
             " times [", p.rows, ", ", p.depth, "] by [", p.depth, ", ", p.columns, "] has nothing to compute");
  const std::int64_t a = p.a_transposed ? p.rows : p.depth, b = p.b_transposed ? p.depth : p.columns;
  D3AD_CHECK(p.a_stride >= a && p.b_stride >= b && p.out_stride >= p.columns, "multiply: rows of ", a, ", ", b, " and ",
             p.columns, " elements do not fit strides of ", p.a_stride, ", ", p.b_stride, " and ", p.out_stride);
  // The results of a batch are below each other, or beside each other in the same rows.
  const bool below = p.out_step >= (p.rows - 1) * p.out_stride + p.columns;
  const bool beside = p.out_step >= p.columns && (p.batch - 1) * p.out_step + p.columns <= p.out_stride;
  D3AD_CHECK(p.batch == 1 || below || beside, "multiply: the results of a batch overlap, with ", p.out_step,
             " elements from one to the next");
}

}  // namespace d3ad::cuda
