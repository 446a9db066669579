#pragma once
// Definitions of weights/hash_weights.hpp. Included by it unless they are compiled.

#include "d3ad/weights/hash_weights.hpp"

namespace d3ad::detail {

// u for element i.
inline float hash_unit(std::uint64_t h, std::uint64_t i) {
  std::uint64_t z = h + (i + 1) * 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  z ^= z >> 31;
  return static_cast<float>(static_cast<std::int32_t>(z >> 40)) * 0x1p-23f - 1.0f;
}

template <class Map>
void hash_fill(float* out, std::int64_t count, std::uint64_t h, Map map) {
#pragma omp parallel for if (count > (1 << 16))
  for (std::int64_t i = 0; i < count; ++i) out[i] = map(hash_unit(h, static_cast<std::uint64_t>(i)));
}

}  // namespace d3ad::detail

namespace d3ad {

D3AD_INLINE void hash_weights(std::string_view name, const std::vector<std::int64_t>& dims, float* out) {
  const std::int64_t count = dims_size(dims);
  const std::uint64_t h = Rng::stream(name);
  if (name.ends_with("num_batches_tracked")) {
    detail::hash_fill(out, count, h, [](float) { return 0.0f; });
  } else if (name.ends_with("running_var")) {
    detail::hash_fill(out, count, h, [](float u) { return 1.0f + 0.5f * std::abs(u); });
  } else if (name.ends_with("running_mean") || name.ends_with("bias")) {
    detail::hash_fill(out, count, h, [](float u) { return 0.1f * u; });
  } else if (dims.size() <= 1) {
    detail::hash_fill(out, count, h, [](float u) { return 1.0f + 0.1f * u; });
  } else {
    const double fan_in = dims[0] > 0 ? static_cast<double>(count) / static_cast<double>(dims[0]) : 1.0;
    const auto bound = static_cast<float>(std::sqrt(3.0 / fan_in));
    detail::hash_fill(out, count, h, [bound](float u) { return bound * u; });
  }
}

}  // namespace d3ad
