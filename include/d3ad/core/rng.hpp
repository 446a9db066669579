#pragma once
// Counter-based random numbers: the i-th number of a stream depends on (seed, stream, i) alone, so that any thread, any
// device and any order of work sees the same ones. Philox4x32-10 (Salmon et al., SC 2011).
//
//   Rng rng(seed, Rng::stream("noise"));
//   shuffled(rng, count, round)     0 ... count-1 in an order that depends on the round too
//   rng.uniform(i)  in [0, 1), 24 bits      rng.below(i, n)  in 0 ... n-1      rng.normal(i)  standard normal
//
// Normal numbers come in pairs from Box-Muller, computed in double by basic arithmetic alone (no libm), because the C
// library's and the GPU's logarithms differ in the last bit.

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

#if defined(__CUDACC__)
#define D3AD_HOST_DEVICE __host__ __device__
#else
#define D3AD_HOST_DEVICE
#endif

namespace d3ad {

struct Philox {
  std::uint32_t v[4];

  D3AD_HOST_DEVICE static constexpr Philox block(std::uint64_t key, std::uint64_t high, std::uint64_t low) {
    std::uint32_t c0 = static_cast<std::uint32_t>(low), c1 = static_cast<std::uint32_t>(low >> 32);
    std::uint32_t c2 = static_cast<std::uint32_t>(high), c3 = static_cast<std::uint32_t>(high >> 32);
    std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0, p1 = std::uint64_t{0xCD9E8D57u} * c2;
      const std::uint32_t n0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0, n1 = static_cast<std::uint32_t>(p1);
      const std::uint32_t n2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1, n3 = static_cast<std::uint32_t>(p0);
      c0 = n0, c1 = n1, c2 = n2, c3 = n3;
      k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    return {{c0, c1, c2, c3}};
  }
};

namespace detail {

// Natural logarithm of x in (0, 1], to about 1e-15: x = m 2^e with m in [sqrt(1/2), sqrt(2)), then atanh's series.
D3AD_HOST_DEVICE inline double log_unit(double x) {
  const auto bits = std::bit_cast<std::uint64_t>(x);
  int e = static_cast<int>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0x000fffffffffffffULL) | 0x3ff0000000000000ULL);
  if (m > 1.4142135623730951) m *= 0.5, ++e;
  const double s = (m - 1.0) / (m + 1.0), s2 = s * s;
  double p = 1.0 / 21.0;
  for (int k = 19; k >= 1; k -= 2) p = p * s2 + 1.0 / k;
  return 2.0 * s * p + e * 0.69314718055994531;
}

// (cos, sin) of 2 pi u for u in [0, 1): the nearest quarter turn, then Taylor's series on [-pi/4, pi/4].
D3AD_HOST_DEVICE inline void turn(double u, double& cosine, double& sine) {
  const double quarters = u * 4.0;
  const int q = static_cast<int>(quarters + 0.5);
  const double a = (quarters - q) * 1.5707963267948966, a2 = a * a;
  double c = 1.0, s = 1.0;
  for (int k = 14; k >= 2; k -= 2) {
    c = 1.0 - c * a2 / (k * (k - 1));
    s = 1.0 - s * a2 / (k * (k + 1));
  }
  s *= a;
  switch (q & 3) {
    case 0:
      cosine = c, sine = s;
      break;
    case 1:
      cosine = -s, sine = c;
      break;
    case 2:
      cosine = -c, sine = -s;
      break;
    default:
      cosine = s, sine = -c;
  }
}

}  // namespace detail

class Rng {
 public:
  D3AD_HOST_DEVICE constexpr Rng(std::uint64_t seed, std::uint64_t stream) : seed_(seed), stream_(stream) {}

  // A stream's number from its name (FNV-1a 64).
  static constexpr std::uint64_t stream(std::string_view name) {
    std::uint64_t h = 0xcbf29ce484222325ULL;
    for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    return h;
  }

  D3AD_HOST_DEVICE std::uint32_t bits(std::uint64_t i) const { return Philox::block(seed_, stream_, i / 4).v[i % 4]; }
  // [0, 1) in steps of 2^-24.
  D3AD_HOST_DEVICE float uniform(std::uint64_t i) const { return static_cast<float>(bits(i) >> 8) * 0x1p-24f; }
  // 0 ... n-1, n <= 2^32; the bias of at most n / 2^32 is of no account here.
  D3AD_HOST_DEVICE std::uint32_t below(std::uint64_t i, std::uint64_t n) const {
    return static_cast<std::uint32_t>((static_cast<std::uint64_t>(bits(i)) * n) >> 32);
  }
  // Numbers 4 b ... 4 b + 3 of the standard normal stream.
  D3AD_HOST_DEVICE std::array<float, 4> normal4(std::uint64_t b) const {
    const Philox r = Philox::block(seed_, stream_, b);
    std::array<float, 4> out{};
    for (int pair = 0; pair < 2; ++pair) {
      const double u = (static_cast<double>(r.v[2 * pair]) + 1.0) * 0x1p-32;  // (0, 1]
      const double radius = std::sqrt(-2.0 * detail::log_unit(u));
      double cosine = 0, sine = 0;
      detail::turn(static_cast<double>(r.v[2 * pair + 1]) * 0x1p-32, cosine, sine);
      out[static_cast<std::size_t>(2 * pair)] = static_cast<float>(radius * cosine);
      out[static_cast<std::size_t>(2 * pair + 1)] = static_cast<float>(radius * sine);
    }
    return out;
  }
  D3AD_HOST_DEVICE float normal(std::uint64_t i) const { return normal4(i / 4)[i % 4]; }

 private:
  std::uint64_t seed_, stream_;
};

// 0 ... count-1 in random order, another one in each round (Fisher and Yates, with numbers round count + i of the
// stream).
inline std::vector<std::size_t> shuffled(const Rng& rng, std::size_t count, std::uint64_t round = 0) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t i = count; i-- > 1;) std::swap(order[i], order[rng.below(round * count + i, i + 1)]);
  return order;
}

}  // namespace d3ad
