// The CPU's own kernels (backend/cpu/kernels.hpp) for AVX2 and FMA. The target is set by pragmas around the
// kernels alone (kernels/each_target.inl): with the compiler's options for the whole file, inline functions of the
// standard library would be compiled for it too, and the linker might take those for every processor.

#include "d3ad/backend/cpu/kernels.hpp"

#if D3AD_SIMD_X86

#define D3AD_ONE_TARGET 2
#define D3AD_TARGET_FILE "d3ad/backend/cpu/kernels/kernels.inl"
#include "d3ad/backend/cpu/kernels/each_target.inl"

namespace d3ad::kernels {

const Table& avx2_table() { return avx2::kTable; }

}  // namespace d3ad::kernels

#endif
