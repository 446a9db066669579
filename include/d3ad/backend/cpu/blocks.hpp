#pragma once
// Long arrays in blocks that threads share. Blocks depend on the size alone, so that sums over them have the same bits
// for any number of threads.
//
//   for_each_block(ctx, n, [&](std::int64_t first, std::int64_t count) { std::fill_n(x + first, count, 1.0f); });
//   for_each_image_block(ctx, shape, [&](std::int64_t image, std::int64_t first, std::int64_t last) {
//     visit_pixels(image, first, last);
//   });
//   const double sum = sum_blocks(ctx, n, [&](std::int64_t first, std::int64_t count) {
//     return std::accumulate(x + first, x + first + count, 0.0);
//   });

#include <algorithm>
#include <cstdint>

#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/backend/cpu/simd.hpp"

namespace d3ad::ops::detail {

inline constexpr std::int64_t kBlock = 4096;  // elements

// For a few blocks, starting threads costs more than the work.
inline int threads_for(Context<Cpu>& ctx, std::int64_t blocks) { return blocks < 4 ? 1 : ctx.threads(); }

template <class Visit>
void for_each_block(Context<Cpu>& ctx, std::int64_t size, Visit visit) {
  const std::int64_t blocks = (size + kBlock - 1) / kBlock;
#pragma omp parallel for num_threads(threads_for(ctx, blocks)) schedule(static)
  for (std::int64_t i = 0; i < blocks; ++i) visit(i * kBlock, std::min(kBlock, size - i * kBlock));
}

// Blocks of which none extends over two images.
template <class Visit>
void for_each_image_block(Context<Cpu>& ctx, Shape s, Visit visit) {
  const std::int64_t elements = s.h * s.w * s.c, blocks = (elements + kBlock - 1) / kBlock;
#pragma omp parallel for num_threads(threads_for(ctx, s.n* blocks)) schedule(static)
  for (std::int64_t i = 0; i < s.n * blocks; ++i) {
    const std::int64_t image = i / blocks, begin = i % blocks * kBlock;
    visit(image, image * elements + begin, image * elements + std::min(begin + kBlock, elements));
  }
}

// Calls visit(first_row, rows) for blocks of a matrix's rows, of about kBlock elements each.
template <class Visit>
void for_each_row_block(Context<Cpu>& ctx, std::int64_t rows, std::int64_t columns, Visit visit) {
  const std::int64_t each = std::max<std::int64_t>(1, kBlock / std::max<std::int64_t>(columns, 1));
  const std::int64_t blocks = (rows + each - 1) / each;
#pragma omp parallel for num_threads(threads_for(ctx, blocks)) schedule(static)
  for (std::int64_t i = 0; i < blocks; ++i) visit(i * each, std::min(each, rows - i * each));
}

// The sum of what `part` returns for each block, added in order.
template <class Part>
double sum_blocks(Context<Cpu>& ctx, std::int64_t size, Part part) {
  const std::int64_t blocks = (size + kBlock - 1) / kBlock;
  const auto parts = make_value<double>(ctx, {.c = blocks});
  double* const to = parts.view().data;
#pragma omp parallel for num_threads(threads_for(ctx, blocks)) schedule(static)
  for (std::int64_t i = 0; i < blocks; ++i) to[i] = part(i * kBlock, std::min(kBlock, size - i * kBlock));
  double sum = 0;
  for (std::int64_t i = 0; i < blocks; ++i) sum += to[i];
  return sum;
}

// sum += term(a[i], b[i]) over n elements, in eight lanes of double; a kernel for simd::run.
template <class Term>
struct SumOfTerms {
  D3AD_SIMD_INLINE static void run(double* sum, const float* a, const float* b, std::int64_t n) {
    constexpr std::int64_t kLanes = 8;
    double lanes[kLanes]{};
    std::int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
#pragma omp simd
      for (std::int64_t j = 0; j < kLanes; ++j) lanes[j] += Term::of(a[i + j], b[i + j]);
    }
    for (; i < n; ++i) lanes[0] += Term::of(a[i], b[i]);
    for (const double lane : lanes) *sum += lane;
  }
};
template <class Term>
double sum_of_terms(Context<Cpu>& ctx, const float* a, const float* b, std::int64_t size) {
  return sum_blocks(ctx, size, [&](std::int64_t first, std::int64_t count) {
    double sum = 0;
    simd::run<SumOfTerms<Term>>(&sum, a + first, b + first, count);
    return sum;
  });
}

}  // namespace d3ad::ops::detail
