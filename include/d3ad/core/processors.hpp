#pragma once
// How many processors this process may run on, as OpenMP counts them: the default of a context's threads.

#include "d3ad/core/compiled.hpp"

namespace d3ad {

int processors();

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/core/processors-inl.hpp"
#endif
