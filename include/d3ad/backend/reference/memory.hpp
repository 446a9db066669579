#pragma once
// Memory of the reference device: the CPU's.

#include "d3ad/backend/cpu/memory.hpp"

namespace d3ad {

template <>
struct Memory<Reference> : Memory<Cpu> {};

}  // namespace d3ad
