#pragma once
// Standard normal numbers, and the forward process that mixes them into a latent.
//
//   normal      out = numbers first, first + 1, ... of the stream (core/rng.hpp): the same on any device, for any
//               number of threads
//   add_noise   out = a[n] * z + b[n] * e            z, e, out [n, h, w, c], a, b {n}; out may be z or e

#include <cstdint>

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/rng.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::ops {

inline void check_add_noise(Shape out, Shape z, Shape e, Shape a, Shape b) {
  D3AD_CHECK(out == z && e == z, "add_noise: out ", out, " and noise ", e, " for z ", z, ", expected one shape");
  D3AD_CHECK(a.size() == z.n && b.size() == z.n, "add_noise: factors ", a, " and ", b, " for z ", z,
             ", expected one an image");
}

template <class Device>
void normal(Context<Device>&, View<Weight<Device>, Device> out, Rng rng, std::uint64_t first);
template <class Device>
void add_noise(Context<Device>&, View<Weight<Device>, Device> out, In<Weight<Device>, Device> z,
               In<Weight<Device>, Device> e, In<Weight<Device>, Device> a, In<Weight<Device>, Device> b);

}  // namespace d3ad::ops
