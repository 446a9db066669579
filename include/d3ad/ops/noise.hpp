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

void normal(Context<Cpu>&, View<float, Cpu> out, Rng rng, std::uint64_t first);
void add_noise(Context<Cpu>&, View<float, Cpu> out, In<float, Cpu> z, In<float, Cpu> e, In<float, Cpu> a,
               In<float, Cpu> b);

template <class T>
void normal(Context<CudaOf<T>>&, View<float, CudaOf<T>> out, Rng rng, std::uint64_t first);
template <class T>
void add_noise(Context<CudaOf<T>>&, View<float, CudaOf<T>> out, In<float, CudaOf<T>> z, In<float, CudaOf<T>> e,
               In<float, CudaOf<T>> a, In<float, CudaOf<T>> b);

}  // namespace d3ad::ops
