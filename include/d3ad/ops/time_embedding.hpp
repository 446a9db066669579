#pragma once
// time_embedding: sines, then cosines, of a step at geometrically falling frequencies.
//
//   f_i = exp(-ln(10000) i / h),  h = c / 2,  i = 0 ... h-1
//   out [n, c] = sin(t f_0), ..., sin(t f_{h-1}), cos(t f_0), ..., cos(t f_{h-1})            t {n}, c even
//
// The frequency and its product with t are rounded to float, as the reference does: t f_i is up to 1000, and the
// rounding changes its sine. All devices have the same angles to the bit: the exponential is computed in double and
// then rounded.

#include <cmath>
#include <cstdint>

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/rng.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::ops {

inline void check_time_embedding(Shape out, Shape t) {
  D3AD_CHECK((out == Shape{.n = t.size(), .c = out.c}) && out.c >= 2 && out.c % 2 == 0, "time_embedding: out ", out,
             " for ", t.size(), " steps, expected a row of an even number of channels for each");
}

// t f_i, rounded as above.
D3AD_HOST_DEVICE inline float time_embedding_angle(std::int32_t t, std::int64_t i, std::int64_t half) {
  constexpr float kLog10000 = 9.2103404f;
  const float log_frequency = -kLog10000 * static_cast<float>(i) / static_cast<float>(half);
  return static_cast<float>(std::exp(static_cast<double>(log_frequency))) * static_cast<float>(t);
}

template <class Device>
void time_embedding(Context<Device>&, View<Real<Device>, Device> out, In<std::int32_t, Device> t);

}  // namespace d3ad::ops
