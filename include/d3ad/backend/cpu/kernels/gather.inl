// Gathers pixels: a region of one image, normalised, activated, resampled and padded with zeros, in blocks of
// channels [block][pixel][kDepth]; and a convolution's columns from such a region.

// One pixel of a block of channels, which has all kDepth of them.
D3AD_SIMD_INLINE void gather_pixel(Vector* v, const Source& s, const float* x, std::int64_t c) {
  for (int p = 0; p < kParts; ++p) {
    v[p] = load(x + c + p * kLanes);
    if (s.factor) v[p] = v[p] * load(s.factor + c + p * kLanes) + load(s.offset + c + p * kLanes);
    if (s.silu) v[p] = silu(v[p]);
  }
}
// The last block, of fewer channels.
D3AD_SIMD_INLINE void gather_some(Vector* v, const Source& s, const float* x, std::int64_t c) {
  for (int p = 0; p < kParts; ++p) {
    const std::int64_t at = c + p * kLanes, count = s.channels - at;
    v[p] = load_some(x + at, count);
    if (s.factor) v[p] = v[p] * load_some(s.factor + at, count) + load_some(s.offset + at, count);
    if (s.silu) v[p] = silu(v[p]);
  }
}
D3AD_SIMD_INLINE void gather_block(Vector* v, const Source& s, const float* x, std::int64_t c) {
  c + kDepth <= s.channels ? gather_pixel(v, s, x, c) : gather_some(v, s, x, c);
}

// `pixels` neighbouring pixels of an image, with all their blocks, not resampled.
template <bool kScaled, bool kSilu>
inline void gather_run(const Source& s, const float* x, std::int64_t pixels, float* to, std::int64_t block_step) {
  constexpr std::int64_t kAhead = 12;  // pixels: reading from memory takes some hundred cycles
  const std::int64_t whole = s.channels / kDepth;
  for (std::int64_t j = 0; j < pixels; ++j, x += s.step, to += kDepth) {
    for (std::int64_t b = 0; b < whole; ++b) {
      const float* const in = x + b * kDepth;
      __builtin_prefetch(in + kAhead * s.step);
#pragma GCC unroll 4
      for (int p = 0; p < kParts; ++p) {
        Vector v = load(in + p * kLanes);
        if constexpr (kScaled)
          v = v * load(s.factor + b * kDepth + p * kLanes) + load(s.offset + b * kDepth + p * kLanes);
        if constexpr (kSilu) v = silu(v);
        store(to + b * block_step + p * kLanes, v);
      }
    }
    if (whole * kDepth < s.channels) {
      Vector v[kParts];
      gather_some(v, s, x, whole * kDepth);
      for (int p = 0; p < kParts; ++p) store(to + whole * block_step + p * kLanes, v[p]);
    }
  }
}
inline void gather_pixels(const Source& s, const float* x, std::int64_t pixels, float* to, std::int64_t block_step) {
  if (s.factor)
    s.silu ? gather_run<true, true>(s, x, pixels, to, block_step)
           : gather_run<true, false>(s, x, pixels, to, block_step);
  else
    s.silu ? gather_run<false, true>(s, x, pixels, to, block_step)
           : gather_run<false, false>(s, x, pixels, to, block_step);
}

// One pixel of a resampled image; before: the pixel to its left was made already.
inline void gather_resampled(const Source& s, std::int64_t y, std::int64_t x, std::int64_t blocks, float* to,
                             std::int64_t block_step, bool before) {
  for (std::int64_t b = 0; b < blocks; ++b) {
    float* const at = to + b * block_step;
    Vector v[kParts];
    if (s.resample == Resample::up && before && x % 2 == 1) {
      for (int p = 0; p < kParts; ++p) v[p] = load(at - kDepth + p * kLanes);
    } else if (s.resample == Resample::up) {
      gather_block(v, s, s.x + (y / 2 * s.w + x / 2) * s.step, b * kDepth);
    } else {
      const float* const corner = s.x + (2 * y * s.w + 2 * x) * s.step;
      Vector a[kParts];
      gather_block(v, s, corner, b * kDepth);
      for (const std::int64_t next : {s.step, s.w * s.step, (s.w + 1) * s.step}) {
        gather_block(a, s, corner + next, b * kDepth);
        for (int p = 0; p < kParts; ++p) v[p] += a[p];
      }
      for (int p = 0; p < kParts; ++p) v[p] *= 0.25f;
    }
    for (int p = 0; p < kParts; ++p) store(at + p * kLanes, v[p]);
  }
}

// to [blocks][region.h * region.w][kDepth], block b at to + b * block_step. The region is of the resampled image and
// may reach beyond it on all sides: zeros.
inline void gather(const Source& s, const Rectangle& region, float* to, std::int64_t block_step) {
  const std::int64_t blocks = (s.channels + kDepth - 1) / kDepth;
  const std::int64_t h = s.resample == Resample::up ? 2 * s.h : s.resample == Resample::down ? s.h / 2 : s.h;
  const std::int64_t w = s.resample == Resample::up ? 2 * s.w : s.resample == Resample::down ? s.w / 2 : s.w;
  const std::int64_t left = std::clamp<std::int64_t>(-region.x, 0, region.w);
  const std::int64_t inside = std::clamp<std::int64_t>(w - region.x, left, region.w) - left;
  const auto zeros = [&](float* at, std::int64_t pixels) {
    for (std::int64_t b = 0; b < blocks; ++b)
      for (std::int64_t k = 0; k < pixels * kDepth; k += kLanes) store(at + b * block_step + k, Vector{});
  };
  for (std::int64_t i = 0; i < region.h; ++i) {
    const std::int64_t y = region.y + i, x = region.x + left;
    float* const row = to + i * region.w * kDepth;
    float* const first = row + left * kDepth;
    if (y < 0 || y >= h || inside == 0) {
      zeros(row, region.w);
      continue;
    }
    zeros(row, left);
    zeros(first + inside * kDepth, region.w - left - inside);
    if (s.resample == Resample::none) {
      gather_pixels(s, s.x + (y * s.w + x) * s.step, inside, first, block_step);
    } else if (s.resample == Resample::up && i > 0 && y % 2 == 1) {  // as the row above
      for (std::int64_t b = 0; b < blocks; ++b)
        for (std::int64_t k = 0; k < inside * kDepth; k += kLanes)
          store(first + b * block_step + k, load(first + b * block_step + k - region.w * kDepth));
    } else {
      for (std::int64_t j = 0; j < inside; ++j)
        gather_resampled(s, y, x + j, blocks, first + j * kDepth, block_step, j > 0);
    }
  }
}

// The columns of a convolution (im2col) of out.h x out.w outputs whose region begins at the first one's first tap:
// to + (tap * tap_step) + pixel * kDepth, for one block of channels.
inline void columns_of(const float* region, std::int64_t region_w, Window window, std::int64_t out_h,
                       std::int64_t out_w, float* to, std::int64_t tap_step) {
  for (int i = 0; i < window.kernel; ++i)
    for (int j = 0; j < window.kernel; ++j) {
      float* out = to + (i * window.kernel + j) * tap_step;
      for (std::int64_t y = 0; y < out_h; ++y) {
        const float* in = region + ((y * window.stride + i) * region_w + j) * kDepth;
        for (std::int64_t x = 0; x < out_w; ++x, in += window.stride * kDepth, out += kDepth)
          for (int p = 0; p < kParts; ++p) store(out + p * kLanes, load(in + p * kLanes));
      }
    }
}

// The same for few channels: a pixel's columns are kernel * kernel * channels numbers in a row, [block][pixel][kDepth],
// padded with zeros. region: [region_h][region_w * channels], as in an image.
inline void flat_columns_of(const float* region, std::int64_t region_w, std::int64_t channels, Window window,
                            std::int64_t out_h, std::int64_t out_w, float* to, std::int64_t block_step) {
  const std::int64_t run = window.kernel * channels;
  for (std::int64_t y = 0; y < out_h; ++y)
    for (std::int64_t x = 0; x < out_w; ++x, to += kDepth) {
      float* block = to;
      std::int64_t room = kDepth;  // in the block
      for (int i = 0; i < window.kernel; ++i) {
        const float* in = region + ((y * window.stride + i) * region_w + x * window.stride) * channels;
        for (std::int64_t left = run; left > 0;) {
          const std::int64_t count = left < room ? left : room;
          float* const at = block + (kDepth - room);
          for (std::int64_t k = 0; k < count; ++k) at[k] = in[k];
          in += count, left -= count, room -= count;
          if (room == 0) block += block_step, room = kDepth;
        }
      }
      if (room < kDepth)
        for (std::int64_t k = kDepth - room; k < kDepth; ++k) block[k] = 0.0f;
    }
}
