#pragma once
// How far a result may be from the reference's, relative to the largest wanted value: what `d3ad verify`, the tests and
// the benchmarks allow.
//
//   const Tolerances allowed = tolerances("half");     float, tf32, half, bfloat16
//   error <= allowed.network
//
// METHOD.md, section 11, states those of float. The others follow from u, half a unit in the last place of what is
// multiplied, which is 2^-11 in tf32 and half and 2^-8 in bfloat16. A layer's roundings are independent, so that a
// hundred layers leave 10 u, and the largest of an output's many thousand errors is four times the typical one: 40 u.
// If steps follow each other (ten of the UNet, or forward, backward and update), the network's errors add up in the
// values that are float: some 100 u in tf32 and half. bfloat16's errors are so large that the norms of the next call
// damp them.

#include <string>
#include <type_traits>

#include "d3ad/core/check.hpp"
#include "d3ad/core/dtype.hpp"

namespace d3ad {

struct Tolerances {
  double network = 1e-4;         // a network's output, a loss
  double reconstruction = 1e-4;  // the latent after guided steps
  double steps = 1e-3;           // gradients, weights after training, a whole detection
  double no_layers = 1e-5;       // schedule, distances, maps, metrics: no network in between
};

inline Tolerances tolerances(const std::string& precision) {
  if (precision == "float") return {};
  if (precision == "tf32") return {.network = 2e-2, .reconstruction = 5e-2, .steps = 5e-2};
  // Maps are float; what they are made of is rounded once, to the activations' type.
  if (precision == "half")
    return {.network = 2e-2, .reconstruction = 5e-2, .steps = 5e-2, .no_layers = 1e-5 + 4 * 0x1p-11};
  if (precision == "bfloat16")
    return {.network = 1.5e-1, .reconstruction = 2e-1, .steps = 2e-1, .no_layers = 1e-5 + 4 * 0x1p-8};
  fail("a precision of '", precision, "' is not known; known are float, tf32, half and bfloat16");
}

template <class T>
Tolerances tolerances_of() {
  return tolerances(std::is_same_v<T, half> ? "half" : std::is_same_v<T, bfloat16> ? "bfloat16" : "float");
}

}  // namespace d3ad
