// libFuzzer: any bytes as a safetensors file. Only Error may come out.
//
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -Iinclude -Itests tests/fuzz/safetensors_fuzz.cpp
//   ./a.out -max_len=4096 -max_total_time=60 corpus tests/golden
//
// tests/weights/safetensors_fuzz_test.cpp is its small, repeatable sister in the test suite.

#include <cstddef>
#include <cstdint>

#include "support/safetensors_bytes.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  try {
    d3ad::test::read_everything({bytes, bytes + size});
  } catch (const d3ad::Error&) {
  }
  return 0;
}
