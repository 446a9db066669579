#pragma once
// Runs a test at each vector width this machine has.
//
//   for (const auto level : test::simd_levels()) {
//     const test::AtLevel at(level);
//     ...
//   }

#include <vector>

#include "d3ad/backend/cpu/simd.hpp"

namespace d3ad::test {

inline std::vector<simd::Level> simd_levels() {
  std::vector<simd::Level> levels{simd::Level::baseline};
  for (const auto level : {simd::Level::avx2, simd::Level::avx512})
    if (level <= simd::best()) levels.push_back(level);
  return levels;
}

struct AtLevel {
  explicit AtLevel(simd::Level level) { simd::use(level); }
  AtLevel(const AtLevel&) = delete;
  AtLevel& operator=(const AtLevel&) = delete;
  ~AtLevel() { simd::use(simd::best()); }
};

}  // namespace d3ad::test
