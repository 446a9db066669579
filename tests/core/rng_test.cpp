// Random numbers: Philox's published test vectors, the moments of what is made of it, independence of order.

#include "d3ad/core/rng.hpp"

#include <doctest/doctest.h>

#include <cmath>

namespace rng_test {

using namespace d3ad;

TEST_CASE("Philox4x32-10 gives the published numbers") {
  // From Random123's kat_vectors: counter, key -> four words.
  const auto zeros = Philox::block(0, 0, 0);
  CHECK(zeros.v[0] == 0x6627e8d5u);
  CHECK(zeros.v[1] == 0xe169c58du);
  CHECK(zeros.v[2] == 0xbc57ac4cu);
  CHECK(zeros.v[3] == 0x9b00dbd8u);
  const auto ones = Philox::block(~0ull, ~0ull, ~0ull);
  CHECK(ones.v[0] == 0x408f276du);
  CHECK(ones.v[1] == 0x41c83b0eu);
  CHECK(ones.v[2] == 0xa20bc7c6u);
  CHECK(ones.v[3] == 0x6d5451fdu);
  const auto pi = Philox::block(0x299f31d0a4093822ull, 0x0370734413198a2eull, 0x85a308d3243f6a88ull);
  CHECK(pi.v[0] == 0xd16cfe09u);
  CHECK(pi.v[1] == 0x94fdccebu);
  CHECK(pi.v[2] == 0x5001e420u);
  CHECK(pi.v[3] == 0x24126ea1u);
}

TEST_CASE("uniform numbers are flat, normal ones have the moments of a bell") {
  const Rng rng(7, Rng::stream("test"));
  constexpr int kCount = 200'000;
  double sum = 0, squares = 0, cubes = 0, fourths = 0, flat = 0, within = 0;
  for (int i = 0; i < kCount; ++i) {
    const auto number = static_cast<std::uint64_t>(i);
    const double u = double{rng.uniform(number)}, x = double{rng.normal(number)};
    CHECK_UNARY(u >= 0 && u < 1);
    flat += u;
    sum += x, squares += x * x, cubes += x * x * x, fourths += x * x * x * x;
    within += std::abs(x) < 1;
  }
  CHECK(flat / kCount == doctest::Approx(0.5).epsilon(0.005));
  CHECK(std::abs(sum / kCount) < 0.01);
  CHECK(squares / kCount == doctest::Approx(1.0).epsilon(0.01));
  CHECK(std::abs(cubes / kCount) < 0.05);
  CHECK(fourths / kCount == doctest::Approx(3.0).epsilon(0.03));
  CHECK(within / kCount == doctest::Approx(0.6827).epsilon(0.01));
}

TEST_CASE("normal numbers are Box and Muller's of the drawn words") {
  const Rng rng(3, 4);
  for (std::uint64_t b = 0; b < 1000; ++b) {
    const auto words = Philox::block(3, 4, b);
    const auto four = rng.normal4(b);
    for (int pair = 0; pair < 2; ++pair) {
      const double u = (words.v[2 * pair] + 1.0) / 4294967296.0, v = words.v[2 * pair + 1] / 4294967296.0;
      const double radius = std::sqrt(-2 * std::log(u)), angle = 2 * 3.14159265358979323846 * v;
      CHECK(four[static_cast<std::size_t>(2 * pair)] == static_cast<float>(radius * std::cos(angle)));
      CHECK(double{four[static_cast<std::size_t>(2 * pair + 1)]} ==
            doctest::Approx(radius * std::sin(angle)).epsilon(1e-6));
    }
  }
}

TEST_CASE("streams, seeds and places are different numbers; below stays below") {
  const Rng a(1, Rng::stream("a")), b(1, Rng::stream("b")), c(2, Rng::stream("a"));
  int same = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    same += (a.bits(i) == b.bits(i)) + (a.bits(i) == c.bits(i)) + (a.bits(i) == a.bits(i + 1));
    CHECK(a.below(i, 7) < 7);
  }
  CHECK(same == 0);
  CHECK(a.normal(5) == a.normal4(1)[1]);
}

}  // namespace rng_test
