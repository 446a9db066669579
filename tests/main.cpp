// The test program's main: doctest's own. `unit --help` lists its options, `unit -tc="UNet*"` runs some cases.
// Built with the CUDA device it says at the end how many checks were skipped for want of a GPU.

#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#if defined(D3AD_CUDA)
#include <cstdio>

#include "support/cuda.hpp"
#endif

int main(int argc, char** argv) {
  const int result = doctest::Context(argc, argv).run();
#if defined(D3AD_CUDA)
  if (const auto count = d3ad::test::cuda_skipped())
    std::printf("CUDA: no GPU, %lld comparisons skipped\n", static_cast<long long>(count));
#endif
  return result;
}
