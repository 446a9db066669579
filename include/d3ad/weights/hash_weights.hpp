#pragma once
// Hash weights (METHOD.md, section 10): a deterministic stand-in for trained weights, so that a network of any size can
// be checked and timed without a file. A value depends only on the tensor's full name and the element's place in the
// file's order.
//
//   hash_weights("unet.out.2.bias", {4}, out);
//
//   h = FNV-1a 64 of the name;  z = splitmix64's (i + 1)-th output from h;  u = (z >> 40) / 2^23 - 1    in [-1, 1)
//   *running_var: 1 + 0.5 |u|     *running_mean, *bias: 0.1 u     other 1-D: 1 + 0.1 u
//   others: u sqrt(3 / fan_in), fan_in the product of all axes except the first     *num_batches_tracked: 0

#include <cmath>
#include <cstdint>
#include <string_view>
#include <vector>

#include "d3ad/core/compiled.hpp"
#include "d3ad/core/rng.hpp"
#include "d3ad/weights/layout.hpp"

namespace d3ad {

void hash_weights(std::string_view name, const std::vector<std::int64_t>& dims, float* out);

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/weights/hash_weights-inl.hpp"
#endif
