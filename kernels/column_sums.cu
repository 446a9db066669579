// Host side of backend/cuda/column_sums.hpp: the sums that gradients of biases are.

#include <algorithm>

#include "d3ad/backend/cuda/column_sums.hpp"
#include "kernels/column_sums.cuh"

namespace d3ad::cuda {

namespace {

kernels::ColumnBlocks column_blocks(std::int64_t rows, std::int64_t channels, int width) {
  constexpr std::int64_t kBlocks = 1024, kMostDown = 256, kRowsOfThread = 8;
  const std::int64_t columns = (channels + width - 1) / width;
  int lanes = 1;
  while (lanes < 32 && lanes < columns) lanes *= 2;
  kernels::ColumnBlocks m{rows, channels, lanes, (columns + lanes - 1) / lanes, 1, rows};
  const std::int64_t smallest = kernels::kColumnThreads / lanes * kRowsOfThread;
  m.down = std::clamp((rows + smallest - 1) / smallest, std::int64_t{1},
                      std::clamp(kBlocks / m.across, std::int64_t{1}, kMostDown));
  m.rows_each = (rows + m.down - 1) / m.down;
  return m;
}

}  // namespace

template <class T>
void add_column_sums(Context<CudaOf<T>>& ctx, View<float, CudaOf<T>> sums, In<T, CudaOf<T>> x) {
  const std::int64_t rows = x.shape.rows(), channels = x.shape.c;
  D3AD_CHECK(sums.size() == channels, "column sums: ", sums.shape, " for ", x.shape);
  if (x.size() == 0) return;
  constexpr int kWidth = kernels::kPack<T>;
  const bool packs = kernels::packed<T>({x.data}, channels);
  const auto m = column_blocks(rows, channels, packs ? kWidth : 1);
  const auto partial = make_value<float>(ctx, {.n = m.down, .c = channels});
  kernels::launch("column sums", ctx.stream(), packs ? kernels::sum_columns<kWidth, T> : kernels::sum_columns<1, T>,
                  static_cast<unsigned>(m.across * m.down), kernels::kColumnThreads, 0, partial.view().data, x.data, m);
  kernels::launch("column sums", ctx.stream(), kernels::add_partial_columns,
                  static_cast<unsigned>((channels + 31) / 32), dim3(32, 8), 0, sums.data, partial.view().data, m.down,
                  channels);
}

#define INSTANTIATE(T) template void add_column_sums(Context<CudaOf<T>>&, View<float, CudaOf<T>>, In<T, CudaOf<T>>);
D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::cuda
