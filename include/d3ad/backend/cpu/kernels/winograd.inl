// Winograd's convolution F(M x M, 3 x 3), M = 2 or 4: Y = A^T [ (G g G^T) * (B^T d B) ] A, with the points 0, 1, -1
// (and 2, -2) and infinity. Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016.
//
// A tile of N x N = (M + 2) x (M + 2) inputs becomes N * N numbers a channel, one for each of as many matrix products.

template <int M>
D3AD_SIMD_INLINE void input_transform(Vector* d, std::int64_t step) {  // N vectors, in place
  if constexpr (M == 4) {
    const Vector d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
    d[0] = (4.0f * d0 + d4) - 5.0f * d2;
    const Vector even = d4 - 4.0f * d2, odd = d3 - 4.0f * d1;
    d[step] = even + odd;
    d[2 * step] = even - odd;
    const Vector even2 = d4 - d2, odd2 = 2.0f * (d3 - d1);
    d[3 * step] = even2 + odd2;
    d[4 * step] = even2 - odd2;
    d[5 * step] = (4.0f * d1 + d5) - 5.0f * d3;
  } else {
    const Vector d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
    d[0] = d0 - d2;
    d[step] = d1 + d2;
    d[2 * step] = d2 - d1;
    d[3 * step] = d3 - d1;
  }
}
template <int M>
D3AD_SIMD_INLINE void output_transform(Vector* m, std::int64_t step) {  // N vectors, the first M are the result
  if constexpr (M == 4) {
    const Vector m0 = m[0], m1 = m[step], m2 = m[2 * step], m3 = m[3 * step], m4 = m[4 * step], m5 = m[5 * step];
    const Vector a = m1 + m2, b = m1 - m2, c = m3 + m4, d = m3 - m4;
    m[0] = m0 + a + c;
    m[step] = 2.0f * d + b;
    m[2 * step] = 4.0f * c + a;
    m[3 * step] = 8.0f * d + b + m5;
  } else {
    const Vector m0 = m[0], m1 = m[step], m2 = m[2 * step], m3 = m[3 * step];
    m[0] = m0 + m1 + m2;
    m[step] = m1 - m2 + m3;
  }
}

// One block of channels of tiles.h x tiles.w tiles, whose region [.., region_w][kDepth] begins at the first tile's
// first input: tile t, point p to `to + p * point_step + t * kDepth`.
template <int M>
inline void winograd_input(const float* region, std::int64_t region_w, std::int64_t tiles_h, std::int64_t tiles_w,
                           float* to, std::int64_t point_step) {
  constexpr int N = M + 2;
  for (int part = 0; part < kParts; ++part)
    for (std::int64_t i = 0; i < tiles_h; ++i) {
      const float* const in = region + i * M * region_w * kDepth + part * kLanes;
      // Columns are transformed once, although neighbouring tiles share two of them.
      Vector columns[N][N];
      const auto column = [&](int j, std::int64_t x) __attribute__((always_inline)) {
        Vector* const d = columns[j];
#pragma GCC unroll 8
        for (int k = 0; k < N; ++k) d[k] = load(in + (k * region_w + x) * kDepth);
        input_transform<M>(d, 1);
      };
      column(0, 0);
      column(1, 1);
      float* out = to + i * tiles_w * kDepth + part * kLanes;
      for (std::int64_t j = 0; j < tiles_w; ++j, out += kDepth) {
#pragma GCC unroll 8
        for (int k = 2; k < N; ++k) column(k, j * M + k);
#pragma GCC unroll 8
        for (int k = 0; k < N; ++k) {
          Vector row[N];
#pragma GCC unroll 8
          for (int l = 0; l < N; ++l) row[l] = columns[l][k];
          input_transform<M>(row, 1);
#pragma GCC unroll 8
          for (int l = 0; l < N; ++l) store(out + (k * N + l) * point_step, row[l]);
        }
#pragma GCC unroll 8
        for (int k = 0; k < N; ++k) columns[0][k] = columns[M][k], columns[1][k] = columns[M + 1][k];
      }
    }
}

// products: point p, tile t at p * point_step + t * (wide ? kColumns : kLanes). Tiles where.h x where.w, the first of
// which begins at pixel (where.y, where.x); what reaches beyond the target is not written.
template <int M>
inline void winograd_output(const Target& target, const Rectangle& where, const float* products,
                            std::int64_t point_step, bool wide) {
  constexpr int N = M + 2;
  const std::int64_t step = wide ? kColumns : kLanes;
  for (std::int64_t c = 0; c < step && c < target.channels; c += kLanes) {
    Emitter out(target, c);
    for (std::int64_t i = 0; i < where.h; ++i)
      for (std::int64_t j = 0; j < where.w; ++j) {
        const float* const in = products + (i * where.w + j) * step + c;
        Vector m[N * N];
#pragma GCC unroll 8
        for (int l = 0; l < N; ++l) {
#pragma GCC unroll 8
          for (int k = 0; k < N; ++k) m[k * N + l] = load(in + (k * N + l) * point_step);
          output_transform<M>(m + l, N);
        }
        const std::int64_t y = where.y + i * M, x = where.x + j * M;
        const std::int64_t h = target.h - y < M ? target.h - y : M, w = target.w - x < M ? target.w - x : M;
#pragma GCC unroll 4
        for (int k = 0; k < M; ++k) {
          output_transform<M>(m + k * N, 1);
          if (k >= h) break;
#pragma GCC unroll 4
          for (int l = 0; l < M; ++l)
            if (l < w) out.write(y + k, x + l, m[k * N + l]);
        }
      }
    const std::int64_t height = std::min(where.h * M, target.h - where.y),
                       width = std::min(where.w * M, target.w - where.x);
    out.finish(height * width);
  }
}

template <int M>
D3AD_SIMD_INLINE void weight_transform(Vector* u, Vector g0, Vector g1, Vector g2) {  // to N vectors
  if constexpr (M == 4) {
    const Vector even = (g0 + g2) * (-1.0f / 6), odd = g1 * (1.0f / 6);
    const Vector even2 = g0 * (1.0f / 24) + g2 * (1.0f / 6), odd2 = g1 * (1.0f / 12);
    u[0] = g0 * 0.25f;
    u[1] = even - odd;
    u[2] = even + odd;
    u[3] = even2 + odd2;
    u[4] = even2 - odd2;
    u[5] = g2;
  } else {
    const Vector even = (g0 + g2) * 0.5f, odd = g1 * 0.5f;
    u[0] = g0;
    u[1] = even + odd;
    u[2] = even - odd;
    u[3] = g2;
  }
}

// G g G^T of `count` rows of a panel of weights [9][.., columns], tap t at t * tap_step: to [N * N][count, columns],
// points point_step apart.
template <int M>
inline void winograd_weights(const float* panel, std::int64_t tap_step, std::int64_t count, bool wide, float* to,
                             std::int64_t point_step) {
  constexpr int N = M + 2;
  const std::int64_t size = count * (wide ? kColumns : kLanes);
  for (std::int64_t at = 0; at < size; at += kLanes) {
    Vector half[3][N];  // of each column of taps
#pragma GCC unroll 4
    for (int j = 0; j < 3; ++j)
      weight_transform<M>(half[j], load(panel + j * tap_step + at), load(panel + (3 + j) * tap_step + at),
                          load(panel + (6 + j) * tap_step + at));
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) {
      Vector row[N];
      weight_transform<M>(row, half[0][i], half[1][i], half[2][i]);
#pragma GCC unroll 8
      for (int j = 0; j < N; ++j) store(to + (i * N + j) * point_step + at, row[j]);
    }
  }
}
