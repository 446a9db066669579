// The matrix product of one target, in which most of the time is spent.
//
//   C [rows, kColumns or kLanes] (+)= A [rows, depth] B [depth, columns]
//
// A is stored in blocks of kDepth columns: block d at a + d * a_step, row r of it at + r * kDepth, so that a row's next
// value is at a constant distance from that of the row before. B is packed, [depth][columns]. Sums over depth are made
// in order for any division into blocks, so that bits depend on the operands alone.

template <int R, int W>
D3AD_SIMD_INLINE void product_tile(const float* __restrict a, std::int64_t a_step, const float* __restrict b,
                                   std::int64_t depth, float* __restrict c, std::int64_t c_step, bool add) {
  Vector sum[R][W];
  if (add) {
#pragma GCC unroll 32
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int w = 0; w < W; ++w) sum[r][w] = load(c + r * c_step + w * kLanes);
  } else {
#pragma GCC unroll 32
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int w = 0; w < W; ++w) sum[r][w] = Vector{};
  }
  const auto step = [&](const float* column) __attribute__((always_inline)) {
    Vector x[W];
#pragma GCC unroll 2
    for (int w = 0; w < W; ++w) x[w] = load(b + w * kLanes);
    b += W * kLanes;
#pragma GCC unroll 32
    for (int r = 0; r < R; ++r) {
      const Vector y = broadcast(column[r * kDepth]);
#pragma GCC unroll 2
      for (int w = 0; w < W; ++w) sum[r][w] += y * x[w];
    }
  };
  for (; depth >= kDepth; depth -= kDepth, a += a_step) {
    if (depth > kDepth) {
#pragma GCC unroll 32
      for (int r = 0; r < R; ++r) __builtin_prefetch(a + a_step + r * kDepth);
    }
#pragma GCC unroll 4
    for (int k = 0; k < kDepth; ++k) step(a + k);
  }
  for (std::int64_t k = 0; k < depth; ++k) step(a + k);
#pragma GCC unroll 32
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int w = 0; w < W; ++w) store(c + r * c_step + w * kLanes, sum[r][w]);
}

template <int W, int R = kRows>
D3AD_SIMD_INLINE void product_rows(int rows, const float* a, std::int64_t a_step, const float* b, std::int64_t depth,
                                   float* c, std::int64_t c_step, bool add) {
  if constexpr (R > 0) {
    if (rows == R) return product_tile<R, W>(a, a_step, b, depth, c, c_step, add);
    product_rows<W, R - 1>(rows, a, a_step, b, depth, c, c_step, add);
  }
}

// wide: kColumns columns, else kLanes.
template <int W>
inline void product_of(const float* a, std::int64_t a_step, const float* b, std::int64_t depth, std::int64_t rows,
                       float* c, bool add) {
  constexpr std::int64_t kChunk = 24 * kDepth;  // at a time: a panel of B then fits the first-level cache
  const std::int64_t passes = (rows + kRows - 1) / kRows;
  for (std::int64_t first = 0; first < depth; first += kChunk) {
    const std::int64_t count = depth - first < kChunk ? depth - first : kChunk;
    std::int64_t row = 0;
    for (std::int64_t p = 0; p < passes; ++p) {
      const std::int64_t end = rows * (p + 1) / passes;
      product_rows<W>(static_cast<int>(end - row), a + first / kDepth * a_step + row * kDepth, a_step,
                      b + first * W * kLanes, count, c + row * W * kLanes, W * kLanes, add || first > 0);
      row = end;
    }
  }
}
inline void product(const float* a, std::int64_t a_step, const float* b, std::int64_t depth, std::int64_t rows,
                    float* c, bool wide, bool add) {
  wide ? product_of<2>(a, a_step, b, depth, rows, c, add) : product_of<1>(a, a_step, b, depth, rows, c, add);
}
