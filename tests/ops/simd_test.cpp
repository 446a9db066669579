// The arithmetic of simd.hpp at every vector width this machine has, and its choice of one.

#include "d3ad/backend/cpu/simd.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support/simd_levels.hpp"

namespace ops_simd_test {

using namespace d3ad;

namespace {

struct Exp {
  D3AD_SIMD_INLINE static void run(float* out, const float* x, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) out[i] = simd::exp(x[i]);
  }
};
struct Sigmoid {
  D3AD_SIMD_INLINE static void run(float* out, const float* x, std::int64_t n) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) out[i] = simd::sigmoid(x[i]);
  }
};

template <class Kernel>
std::vector<float> apply(const std::vector<float>& x) {
  std::vector<float> out(x.size());
  simd::run<Kernel>(out.data(), x.data(), static_cast<std::int64_t>(x.size()));
  return out;
}

}  // namespace

TEST_CASE("simd::exp is exact to 2e-7") {
  std::vector<float> x;
  for (float v = -86.9f; v < 86.9f; v += 0.00731f) x.push_back(v);
  for (const auto level : test::simd_levels()) {
    const test::AtLevel at(level);
    const auto got = apply<Exp>(x);
    double worst = 0;
    for (std::size_t i = 0; i < x.size(); ++i)
      worst = std::max(worst, std::abs(double{got[i]} / std::exp(double{x[i]}) - 1));
    CAPTURE(simd::name(level));
    CHECK(worst < 2e-7);
    CHECK(worst > 1e-9);  // it is measured, and it is float
  }
}

TEST_CASE("simd::exp and sigmoid at the edges") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x{0.0f, -0.0f, 1e30f, -1e30f, kInfinity, -kInfinity, NAN, -NAN};
  for (const auto level : test::simd_levels()) {
    const test::AtLevel at(level);
    const auto e = apply<Exp>(x), s = apply<Sigmoid>(x);
    CHECK(e[0] == 1.0f);
    CHECK(e[1] == 1.0f);
    for (const int i : {2, 4}) CHECK((e[i] > 6e37f && std::isfinite(e[i]) && s[i] == 1.0f));
    for (const int i : {3, 5}) CHECK((e[i] > 0.0f && e[i] < 2e-38f && s[i] < 2e-38f));
    for (const int i : {6, 7}) CHECK((std::isnan(e[i]) && std::isnan(s[i])));
    CHECK(s[0] == 0.5f);
  }
}

TEST_CASE("a vector width this machine lacks is refused") {
  if (simd::best() == simd::Level::avx512) return;
  CHECK_THROWS_WITH_AS(simd::use(simd::Level::avx512), doctest::Contains("AVX-512 was asked for, this machine has"),
                       Error);
  CHECK(simd::level() == simd::best());
}

}  // namespace ops_simd_test
