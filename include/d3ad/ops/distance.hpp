#pragma once
// Distances between features.
//
//   channel_l1       out [n, h, w, 1] = mean over c of |a - b|                     a, b [n, h, w, c]
//   channel_cosine   out [n, h, w, 1] = 1 - <a, b> / (max(|a|, 1e-8) max(|b|, 1e-8)), over c (as PyTorch does)
//   pairwise_l1      out {n = a.n, c = b.n}, out[i, j] = sum over all elements of |a_i - b_j|
//
// a and b may be the same memory; pairwise_l1 then computes each pair once. Sums run in double (in pairwise_l1 in
// float over short runs, these in double), in an order that depends on the shapes alone.

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::ops {

inline constexpr double kCosineEps = 1e-8;

template <class Device>
void channel_l1(Context<Device>&, View<Weight<Device>, Device> out, In<Weight<Device>, Device> a,
                In<Weight<Device>, Device> b);
template <class Device>
void channel_cosine(Context<Device>&, View<Weight<Device>, Device> out, In<Real<Device>, Device> a,
                    In<Real<Device>, Device> b);
template <class Device>
void pairwise_l1(Context<Device>&, View<Weight<Device>, Device> out, In<Weight<Device>, Device> a,
                 In<Weight<Device>, Device> b);

inline void check_channel_distance(const char* op, Shape out, Shape a, Shape b) {
  D3AD_CHECK(a == b, op, ": a ", a, " and b ", b, " are not of one shape");
  D3AD_CHECK(a.c > 0, op, ": a ", a, " has no channels");
  D3AD_CHECK((out == Shape{a.n, a.h, a.w, 1}), op, ": out ", out, " for a ", a,
             ", expected its shape with one channel");
}

inline void check_pairwise_l1(Shape out, Shape a, Shape b) {
  D3AD_CHECK(a.h == b.h && a.w == b.w && a.c == b.c, "pairwise_l1: images of a ", a, " and of b ", b,
             " are not of one shape");
  D3AD_CHECK((out == Shape{.n = a.n, .c = b.n}), "pairwise_l1: out ", out, " for ", a.n, " by ", b.n, " images");
}

}  // namespace d3ad::ops
