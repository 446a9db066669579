// The test program's main: doctest's own. `test_ops --help` lists its options, `test_ops -tc="UNet*"` runs some cases.
// It fails too if a block's border was found broken after the last request for memory (core/border.hpp), and with the
// CUDA device it says at the end how many checks were skipped for want of a GPU.

#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>

#include "d3ad/core/border.hpp"
#if defined(D3AD_CUDA)
#include "support/cuda.hpp"
#endif

int main(int argc, char** argv) {
  int result = doctest::Context(argc, argv).run();
  if (const auto bytes = d3ad::border::take_broken(); bytes >= 0) {
    std::printf("memory was written past the end of a block of %lld bytes\n", static_cast<long long>(bytes));
    result = 1;
  }
#if defined(D3AD_CUDA)
  if (const auto count = d3ad::test::cuda_skipped())
    std::printf("CUDA: no GPU, %lld comparisons skipped\n", static_cast<long long>(count));
#endif
  return result;
}
