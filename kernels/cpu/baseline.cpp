// The CPU's own kernels (backend/cpu/kernels.hpp) for the vectors that every processor of the architecture has. The
// target is set by pragmas around the kernels alone (kernels/each_target.inl): with the compiler's options for the
// whole file, inline functions of the standard library would be compiled for it too, and the linker might take those
// for every processor.

#include "d3ad/backend/cpu/kernels.hpp"

#define D3AD_ONE_TARGET 1
#define D3AD_TARGET_FILE "d3ad/backend/cpu/kernels/kernels.inl"
#include "d3ad/backend/cpu/kernels/each_target.inl"

namespace d3ad::kernels {

const Table& baseline_table() { return baseline::kTable; }

}  // namespace d3ad::kernels
