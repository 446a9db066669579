#pragma once
// Matrix products on the emulated device: the interface of include/d3ad/backend/cuda/cublas.hpp, which this header
// stands in for, by plain loops in double. As there, the bias of a half or bfloat16 result is rounded to its type.

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/backend/cuda/product.hpp"
#include "d3ad/ops/convert.hpp"

namespace d3ad::cuda {

namespace detail {

template <class Out, class T>
void multiply_loops(const Product& p, Out* out, const T* a, const T* b, const Out* bias) {
  std::vector<double> wide(static_cast<std::size_t>(p.depth * p.columns));
  for (std::int64_t k = 0; k < p.depth; ++k)
    for (std::int64_t j = 0; j < p.columns; ++j)
      wide[static_cast<std::size_t>(k * p.columns + j)] =
          static_cast<float>(p.b_transposed ? b[j * p.b_stride + k] : b[k * p.b_stride + j]);
#pragma omp parallel
  {
    std::vector<double> sums(static_cast<std::size_t>(p.columns));
#pragma omp for schedule(static)
    for (std::int64_t i = 0; i < p.rows; ++i) {
      std::fill(sums.begin(), sums.end(), 0.0);
      for (std::int64_t k = 0; k < p.depth; ++k) {
        const double factor = static_cast<float>(p.a_transposed ? a[k * p.a_stride + i] : a[i * p.a_stride + k]);
        const double* const row = wide.data() + k * p.columns;
        for (std::int64_t j = 0; j < p.columns; ++j) sums[static_cast<std::size_t>(j)] += factor * row[j];
      }
      for (std::int64_t j = 0; j < p.columns; ++j) {
        double sum = double{p.alpha} * sums[static_cast<std::size_t>(j)];
        if (p.beta != 0) sum += double{p.beta} * static_cast<float>(out[i * p.out_stride + j]);
        if (bias) sum += static_cast<float>(bias[j]);
        out[i * p.out_stride + j] = static_cast<Out>(static_cast<float>(sum));
      }
    }
  }
}

}  // namespace detail

template <class Out, class T>
void multiply(Context<CudaOf<T>>& ctx, const Product& p, Out* out, const T* a, const T* b,
              const float* bias = nullptr) {
  static_assert(std::is_same_v<Out, T> || std::is_same_v<Out, float>, "a product of T is T or float");
  check_product(p);
  Value<Out, CudaOf<T>> rounded;
  const Out* values = nullptr;
  if constexpr (std::is_same_v<Out, float>) {
    values = bias;
  } else if (bias) {
    const Shape shape{.c = p.columns};
    rounded = make_value<Out>(ctx, shape);
    ops::convert(ctx, rounded.view(), View<const float, CudaOf<T>>(bias, shape));
    values = rounded.view().data;
  }
  emulation::enqueue(ctx.stream(), [=] {
    for (std::int64_t n = 0; n < p.batch; ++n)
      detail::multiply_loops(p, out + n * p.out_step, a + n * p.a_step, b + n * p.b_step, values);
  });
}

}  // namespace d3ad::cuda
