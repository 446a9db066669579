// Writes the results of a product to the output, with scale, bias, shift of the image, residual and ReLU; and measures
// the moments of what was written, for the normalisation that follows.

// One panel of a product, kColumns wide or less. Channels c ... c + kLanes - 1 of it go through one Emitter.
struct Emitter {
  const Target& t;
  std::int64_t c, count;  // count: channels there are, at most kLanes
  Vector scale, offset;   // offset: bias + shift
  Vector pivot{}, sum{}, square{};
  bool first = true;

  D3AD_SIMD_INLINE Emitter(const Target& target, std::int64_t channel)
      : t(target), c(channel), count(target.channels - channel < kLanes ? target.channels - channel : kLanes) {
    scale = t.scale ? some(t.scale + c) : broadcast(1.0f);
    offset = t.bias ? some(t.bias + c) : Vector{};
    if (t.shift) offset += some(t.shift + c);
  }

  D3AD_SIMD_INLINE Vector some(const float* p) const { return count == kLanes ? load(p) : load_some(p, count); }

  D3AD_SIMD_INLINE Vector residual(std::int64_t y, std::int64_t x) const {
    if (t.residual_resample == Resample::none) return some(t.residual + (y * t.w + x) * t.residual_step + c);
    if (t.residual_resample == Resample::up)
      return some(t.residual + (y / 2 * (t.w / 2) + x / 2) * t.residual_step + c);
    const float* const corner = t.residual + (2 * y * 2 * t.w + 2 * x) * t.residual_step + c;
    return (some(corner) + some(corner + t.residual_step) + some(corner + 2 * t.w * t.residual_step) +
            some(corner + (2 * t.w + 1) * t.residual_step)) *
           0.25f;
  }

  D3AD_SIMD_INLINE void write(std::int64_t y, std::int64_t x, Vector v) {
    v = v * scale + offset;
    if (t.residual) v += residual(y, x);
    if (t.relu) v = relu(v);
    float* const to = t.y + (y * t.w + x) * t.step + c;
    count == kLanes ? store(to, v) : store_some(to, v, count);
    if (t.mean) {
      if (first) pivot = v, first = false;
      const Vector d = v - pivot;
      sum += d;
      square += d * d;
    }
  }

  // Mean and sum of squared deviations of the `n` pixels written, by the distance from the first of them.
  D3AD_SIMD_INLINE void finish(std::int64_t n) const {
    if (!t.mean) return;
    const Vector mean = sum / static_cast<float>(n);
    store_some(t.mean + c, pivot + mean, count);
    store_some(t.square + c, square - sum * mean, count);
  }
};

// rows: [where.h * where.w][wide ? kColumns : kLanes]
inline void emit_rows(const Target& t, const Rectangle& where, const float* rows, bool wide) {
  const std::int64_t step = wide ? kColumns : kLanes;
  for (std::int64_t c = 0; c < step && c < t.channels; c += kLanes) {
    Emitter out(t, c);
    const float* in = rows + c;
    for (std::int64_t y = where.y; y < where.y + where.h; ++y)
      for (std::int64_t x = where.x; x < where.x + where.w; ++x, in += step) out.write(y, x, load(in));
    out.finish(where.size());
  }
}
