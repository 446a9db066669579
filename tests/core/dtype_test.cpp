// half and bfloat16: every bit pattern, and every boundary between two neighbours.

#include "d3ad/core/dtype.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

namespace dtype_test {

using namespace d3ad;

namespace {

// What the bits mean by definition: sign, exponent, mantissa of the given width.
double meaning(std::uint32_t bits, int mantissa, int exponents) {
  const std::uint32_t m = bits & ((1u << mantissa) - 1), e = (bits >> mantissa) & ((1u << exponents) - 1);
  const int bias = (1 << (exponents - 1)) - 1;
  const double sign = (bits >> (mantissa + exponents)) & 1u ? -1.0 : 1.0;
  if (e == (1u << exponents) - 1) {
    return m ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
  }
  if (e == 0) return sign * std::ldexp(m, 1 - bias - mantissa);
  return sign * std::ldexp(m + (1u << mantissa), static_cast<int>(e) - bias - mantissa);
}

template <class T>
T from_bits(std::uint32_t bits) {
  T value;
  value.bits = static_cast<std::uint16_t>(bits);
  return value;
}

template <class T>
int wrong_meanings(int mantissa, int exponents) {
  int wrong = 0;
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const double want = meaning(bits, mantissa, exponents);
    const float got = from_bits<T>(bits);
    if (std::isnan(want)) {
      wrong += !std::isnan(got) || !std::isnan(static_cast<float>(T(got)));
    } else {
      wrong += static_cast<double>(got) != want || std::signbit(got) != std::signbit(want) || T(got).bits != bits;
    }
  }
  return wrong;
}

// Between each two neighbours the middle goes to the even one, and the floats beside the middle to the nearer one.
template <class T>
int wrong_roundings(std::uint32_t infinity, int mantissa, int exponents) {
  int wrong = 0;
  constexpr float kUp = std::numeric_limits<float>::infinity();
  for (std::uint32_t bits = 0; bits < infinity; ++bits) {
    const double low = meaning(bits, mantissa, exponents);
    // The neighbour above the largest number, were there no infinity.
    const double high = bits + 1 == infinity ? 2 * low - meaning(bits - 1, mantissa, exponents)
                                             : meaning(bits + 1, mantissa, exponents);
    const auto middle = static_cast<float>((low + high) / 2);
    const std::uint32_t even = bits % 2 == 0 ? bits : bits + 1;
    for (const std::uint32_t sign : {0u, 0x8000u}) {
      const float s = sign ? -1.0f : 1.0f;
      wrong += T(s * middle).bits != (even | sign);
      wrong += T(s * std::nextafter(middle, kUp)).bits != ((bits + 1) | sign);
      wrong += T(s * std::nextafter(middle, 0.0f)).bits != (bits | sign);
    }
  }
  return wrong;
}

// A conversion that cuts off instead of rounding, to see that the comparison notices.
struct Cut {
  std::uint16_t bits = 0;
  Cut() = default;
  explicit Cut(float value) : bits(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16)) {}
  operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
};

}  // namespace

TEST_CASE("every half means what IEEE 754 says, and comes back") { CHECK(wrong_meanings<half>(10, 5) == 0); }

TEST_CASE("every bfloat16 means what its bits say, and comes back") { CHECK(wrong_meanings<bfloat16>(7, 8) == 0); }

TEST_CASE("half rounds to nearest, ties to even") { CHECK(wrong_roundings<half>(0x7c00, 10, 5) == 0); }

TEST_CASE("bfloat16 rounds to nearest, ties to even") {
  CHECK(wrong_roundings<bfloat16>(0x7f80, 7, 8) == 0);
  CHECK(wrong_roundings<Cut>(0x7f80, 7, 8) > 10000);
}

TEST_CASE("far and special floats") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  CHECK(half(65504.0f).bits == 0x7bff);
  CHECK(half(65519.996f).bits == 0x7bff);
  CHECK(half(65520.0f).bits == 0x7c00);
  CHECK(half(1e30f).bits == 0x7c00);
  CHECK(half(-1e30f).bits == 0xfc00);
  CHECK(half(kInfinity).bits == 0x7c00);
  CHECK(half(1e-30f).bits == 0);
  CHECK(half(-0.0f).bits == 0x8000);
  CHECK(bfloat16(std::numeric_limits<float>::max()).bits == 0x7f80);
  CHECK(bfloat16(-kInfinity).bits == 0xff80);
  CHECK(bfloat16(std::numeric_limits<float>::denorm_min()).bits == 0);
  CHECK(bfloat16(-0.0f).bits == 0x8000);
  CHECK(std::isnan(static_cast<float>(half(std::nanf("")))));
  // A NaN whose upper bits are all zero must not turn into infinity.
  CHECK(std::isnan(static_cast<float>(bfloat16(std::bit_cast<float>(0x7f800001u)))));
  CHECK(std::isnan(static_cast<float>(half(std::bit_cast<float>(0xff800001u)))));
}

TEST_CASE("types have safetensors' names and sizes") {
  CHECK(std::string(name(dtype_of<half>())) == "F16");
  CHECK(std::string(name(dtype_of<bfloat16>())) == "BF16");
  CHECK(size_of(DType::f64) == 8);
  CHECK(size_of(dtype_of<std::int32_t>()) == 4);
  CHECK(size_of(DType::boolean) == 1);
}

}  // namespace dtype_test
