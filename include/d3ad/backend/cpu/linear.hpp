#pragma once
// CPU variant of ops/linear.hpp: oneDNN's matrix product on tiles of the result, one thread each.
//
// The tiles depend on the shapes alone and none is split along the sum, so that any number of threads gives the same
// bits. Weights are read in their plain layout: nothing is packed and nothing is kept.

#include <algorithm>
#include <atomic>

#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/backend/cpu/onednn.hpp"
#include "d3ad/backend/cpu/packed_weights.hpp"
#include "d3ad/ops/linear.hpp"

namespace d3ad::ops {

namespace detail {

// A row-major matrix in memory, which may be read transposed.
struct Matrix {
  const float* data;
  std::int64_t step;  // between rows in memory
  bool transposed = false;

  const float* row(std::int64_t i) const { return data + (transposed ? i : i * step); }
  const float* column(std::int64_t i) const { return data + (transposed ? i * step : i); }
};

// c [m, n] = a [m, k] b [k, n] + (add ? c : bias in each row, or 0 if bias is null)
inline void product(Context<Cpu>& ctx, const char* op, float* c, std::int64_t m, std::int64_t n, std::int64_t k,
                    Matrix a, Matrix b, const float* bias, bool add) {
  // Halve the longer side until there is work for many threads, or a tile is too small to pay for its packing.
  constexpr std::int64_t kTiles = 32, kSmallest = 64;
  const auto parts = [](std::int64_t whole, std::int64_t part) { return (whole + part - 1) / part; };
  std::int64_t tile_m = m, tile_n = n;
  while (parts(m, tile_m) * parts(n, tile_n) < kTiles && std::max(tile_m, tile_n) > kSmallest) {
    std::int64_t& longer = tile_m >= tile_n ? tile_m : tile_n;
    longer = (longer / 2 + 15) / 16 * 16;
  }
  const std::int64_t across = parts(n, tile_n), tiles = parts(m, tile_m) * across;
  std::atomic<bool> failed = false;
#pragma omp parallel num_threads(ctx.threads())
  {
    const onednn::Threads one(1);
#pragma omp for schedule(dynamic)
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
      const std::int64_t i = tile / across * tile_m, j = tile % across * tile_n;
      const std::int64_t rows = std::min(tile_m, m - i), columns = std::min(tile_n, n - j);
      float* out = c + i * n + j;
      if (bias)
        for (std::int64_t r = 0; r < rows; ++r) std::copy_n(bias + j, columns, out + r * n);
      if (!onednn::gemm(a.transposed, b.transposed, rows, columns, k, 1.0f, a.row(i), a.step, b.column(j), b.step,
                        add || bias ? 1.0f : 0.0f, out, n))
        failed = true;
    }
  }
  D3AD_CHECK(!failed, op, ": the product [", m, ", ", k, "] x [", k, ", ", n,
             "] failed in oneDNN, probably for lack of memory; use a smaller batch or image");
}

// sums[c] += over all rows of x [rows, c]. Rows in blocks of fixed size, blocks added in order.
inline void add_column_sums(Context<Cpu>& ctx, View<float, Cpu> sums, In<float, Cpu> x) {
  constexpr std::int64_t kRows = 256;
  const std::int64_t rows = x.shape.rows(), channels = x.shape.c, blocks = (rows + kRows - 1) / kRows;
  const auto partial = make_value<float>(ctx, {.n = blocks, .c = channels});
  float* const part = partial.view().data;
#pragma omp parallel for num_threads(ctx.threads()) schedule(static)
  for (std::int64_t b = 0; b < blocks; ++b) {
    float* const out = part + b * channels;
    std::fill_n(out, channels, 0.0f);
    for (std::int64_t r = b * kRows; r < std::min(rows, (b + 1) * kRows); ++r) {
      const float* in = x.data + r * channels;
#pragma omp simd
      for (std::int64_t c = 0; c < channels; ++c) out[c] += in[c];
    }
  }
  for (std::int64_t c = 0; c < channels; ++c) {
    double sum = 0;
    for (std::int64_t b = 0; b < blocks; ++b) sum += part[b * channels + c];
    sums.data[c] += static_cast<float>(sum);
  }
}

}  // namespace detail

template <>
D3AD_INLINE void linear(Context<Cpu>& ctx, View<float, Cpu> out, In<float, Cpu> x, const Parameter<Cpu>& w,
                        In<float, Cpu> bias) {
  const Shape shape = w.shape();
  check_linear(out.shape, x.shape, shape, bias.shape, bias.data != nullptr);
  const HeldWeights weights = plain_weights(ctx, w);
  detail::product(ctx, "linear", out.data, x.shape.rows(), shape.n, shape.c, {x.data, shape.c},
                  {weights.data(), shape.c, true}, bias.data, false);
}

template <>
D3AD_INLINE void linear_backward_data(Context<Cpu>& ctx, View<float, Cpu> dx, In<float, Cpu> dy,
                                      const Parameter<Cpu>& w) {
  const Shape shape = w.shape();
  check_linear(dy.shape, dx.shape, shape, {}, false);
  const HeldWeights weights = plain_weights(ctx, w);
  detail::product(ctx, "linear_backward_data", dx.data, dx.shape.rows(), shape.c, shape.n, {dy.data, shape.n},
                  {weights.data(), shape.c}, nullptr, false);
}

template <>
D3AD_INLINE void linear_backward_weights(Context<Cpu>& ctx, View<float, Cpu> dw, View<float, Cpu> db, In<float, Cpu> x,
                                         In<float, Cpu> dy) {
  check_linear(dy.shape, x.shape, dw.shape, db.shape, db.data != nullptr);
  const std::int64_t out = dw.shape.n, in = dw.shape.c;
  detail::product(ctx, "linear_backward_weights", dw.data, out, in, x.shape.rows(), {dy.data, out, true}, {x.data, in},
                  nullptr, true);
  if (db.data) detail::add_column_sums(ctx, db, dy);
}

}  // namespace d3ad::ops
