// The vectors of one target: kLanes floats and what kernels do with them. Included by kernels.inl in the target's
// namespace; see kernels.hpp.
//
// They are the compilers' vector extensions: + - * / work on whole vectors, and a * b + c becomes one instruction if
// the target has it.

inline constexpr int kLanes = D3AD_LANES;
inline constexpr int kRows = D3AD_ROWS;         // of a product's tile, at most
inline constexpr int kColumns = 2 * kLanes;     // of a product's tile
inline constexpr int kParts = kDepth / kLanes;  // vectors in a block of channels

typedef float Vector __attribute__((vector_size(kLanes * 4)));
typedef std::int32_t Integers __attribute__((vector_size(kLanes * 4)));
typedef float Loose __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));

D3AD_SIMD_INLINE Vector load(const float* p) { return *reinterpret_cast<const Loose*>(p); }
D3AD_SIMD_INLINE void store(float* p, Vector v) { *reinterpret_cast<Loose*>(p) = v; }
D3AD_SIMD_INLINE Vector broadcast(float x) { return x - Vector{}; }

// Of fewer than kLanes floats; the others are 0.
D3AD_SIMD_INLINE Vector load_some(const float* p, std::int64_t count) {
  alignas(64) float lanes[kLanes]{};
  for (std::int64_t i = 0; i < count && i < kLanes; ++i) lanes[i] = p[i];
  return load(lanes);
}
D3AD_SIMD_INLINE void store_some(float* p, Vector v, std::int64_t count) {
  alignas(64) float lanes[kLanes];
  store(lanes, v);
  for (std::int64_t i = 0; i < count && i < kLanes; ++i) p[i] = lanes[i];
}

// The larger of two; b if one is NaN, as the instructions define it.
D3AD_SIMD_INLINE Vector larger(Vector a, Vector b) { return a > b ? a : b; }
D3AD_SIMD_INLINE Vector smaller(Vector a, Vector b) { return a < b ? a : b; }

// As simd::exp: relative error below 2e-7, |x| beyond 87 counts as 87, NaN stays NaN.
D3AD_SIMD_INLINE Vector exp(Vector x) {
  x = smaller(broadcast(87.0f), larger(broadcast(-87.0f), x));
  const Vector magic = broadcast(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer, left in the low bits
  const Vector shifted = x * 1.44269504089f + magic;
  const Vector n = shifted - magic;
  const Vector r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts: the first product is exact
  Vector p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + (r + 1.0f);
  const Integers exponent = (reinterpret_cast<Integers>(shifted) + 127) << 23;  // shifts the bits of `magic` out
  return p * reinterpret_cast<Vector>(exponent);
}
D3AD_SIMD_INLINE Vector silu(Vector x) { return x / (1.0f + exp(-x)); }
D3AD_SIMD_INLINE Vector relu(Vector x) { return larger(Vector{}, x); }  // NaN stays NaN
