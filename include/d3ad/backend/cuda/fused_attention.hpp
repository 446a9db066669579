#pragma once
// The description of attention in one pass; backend/cuda/cudnn.hpp computes it if cuDNN has an engine.

#include <cstdint>

namespace d3ad::cuda {

// qkv [images, positions, heads, (q, k, v), width] to [images, positions, heads, width]:
// softmax(scale q k^T) v of every head, as ops/attention.hpp says.
struct FusedAttention {
  std::int64_t images, positions, heads, width;
  float scale;
};

}  // namespace d3ad::cuda
