#pragma once
// Definitions of core/processors.hpp. Included by it unless they are compiled.

#include <omp.h>

#include "d3ad/core/processors.hpp"

namespace d3ad {

D3AD_INLINE int processors() { return omp_get_num_procs(); }

}  // namespace d3ad
