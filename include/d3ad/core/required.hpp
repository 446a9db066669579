#pragma once
// Required<T>: a field of a configuration without a sensible default. Leaving it out does not compile:
//
//   struct GroupNorm { Required<int> groups; Required<float> eps; };
//   GroupNorm{.groups = 32}            // error: no default constructor for Required<float>
//   GroupNorm{.groups = 32, .eps = 1e-5f}

#include "d3ad/core/compiled.hpp"

namespace d3ad {

template <class T>
struct Required {
  T value;

  constexpr Required(T given) : value(given) {}  // NOLINT: implicit on purpose, it stands for a T
  constexpr operator T() const { return value; }
};

}  // namespace d3ad
