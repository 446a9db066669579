#pragma once
// Random patterns in the plane, as functions of a point and a seed: the material of textures.hpp and scene.hpp.
//
//   float v = value_noise(x, y, seed);      // smooth, about one bump a unit, 0 to 1
//   float v = fractal(x, y, 4, seed);       // sum of octaves, 0 to 1
//   Cell c = cells(x, y, 1.0f, seed);       // distances to the nearest and second nearest of scattered points
//
// Dice is a sequence of random numbers. All of it is the same for a seed on any machine, to the C library's rounding.

#include <cmath>
#include <cstdint>
#include <d3ad/core/rng.hpp>

namespace pretrain {

constexpr float kPi = 3.14159265f;

class Dice {
 public:
  Dice(std::uint64_t seed, std::string_view stream, std::uint64_t number)
      : rng_(seed, d3ad::Rng::stream(stream)), next_(number << 20) {}
  float between(float lo, float hi) { return lo + (hi - lo) * rng_.uniform(next_++); }
  // Equal chances for equal ratios.
  float ratio(float lo, float hi) { return lo * std::pow(hi / lo, between(0, 1)); }
  bool chance(float p) { return between(0, 1) < p; }
  int below(int n) { return static_cast<int>(rng_.below(next_++, static_cast<std::uint64_t>(n))); }
  std::uint32_t seed() { return static_cast<std::uint32_t>(rng_.below(next_++, 0xffffffffu)); }

 private:
  d3ad::Rng rng_;
  std::uint64_t next_;
};

inline std::uint32_t mix(std::uint32_t h) {
  h ^= h >> 16, h *= 0x7feb352du;
  h ^= h >> 15, h *= 0x846ca68bu;
  return h ^ h >> 16;
}
// In [0, 1), of a lattice point.
inline float lattice(int x, int y, std::uint32_t seed) {
  const auto h = mix(mix(static_cast<std::uint32_t>(x) * 0x9e3779b9u + seed) + static_cast<std::uint32_t>(y));
  return static_cast<float>(h >> 8) * 0x1p-24f;
}

inline float smooth(float t) { return t * t * (3 - 2 * t); }
inline float blend(float a, float b, float t) { return a + (b - a) * t; }
// 0 below `edge` - width / 2, 1 above `edge` + width / 2
inline float step_at(float edge, float value, float width) {
  const float t = (value - edge) / width + 0.5f;
  return t <= 0 ? 0.0f : t >= 1 ? 1.0f : smooth(t);
}
inline float part(float v) { return v - std::floor(v); }

inline float value_noise(float x, float y, std::uint32_t seed) {
  const float fx = std::floor(x), fy = std::floor(y);
  const int ix = static_cast<int>(fx), iy = static_cast<int>(fy);
  const float u = smooth(x - fx), v = smooth(y - fy);
  return blend(blend(lattice(ix, iy, seed), lattice(ix + 1, iy, seed), u),
               blend(lattice(ix, iy + 1, seed), lattice(ix + 1, iy + 1, seed), u), v);
}

inline float fractal(float x, float y, int octaves, std::uint32_t seed) {
  float sum = 0, weight = 0.5f, total = 0;
  for (int i = 0; i < octaves; ++i) {
    sum += weight * value_noise(x, y, seed + static_cast<std::uint32_t>(i) * 7919u);
    total += weight, weight *= 0.5f, x = x * 2 + 17.3f, y = y * 2 - 9.1f;
  }
  return sum / total;
}

struct Cell {
  float nearest, second;  // distances
  float id;               // of the nearest point, 0 to 1
};

// jitter 0: points on a lattice, 1: anywhere in their squares.
inline Cell cells(float x, float y, float jitter, std::uint32_t seed) {
  const int ix = static_cast<int>(std::floor(x)), iy = static_cast<int>(std::floor(y));
  Cell c{9, 9, 0};
  for (int j = iy - 1; j <= iy + 1; ++j)
    for (int i = ix - 1; i <= ix + 1; ++i) {
      const float px = static_cast<float>(i) + 0.5f + jitter * (lattice(i, j, seed) - 0.5f);
      const float py = static_cast<float>(j) + 0.5f + jitter * (lattice(i, j, seed + 1) - 0.5f);
      const float d = (px - x) * (px - x) + (py - y) * (py - y);
      if (d < c.nearest) {
        c.second = c.nearest, c.nearest = d, c.id = lattice(i, j, seed + 2);
      } else if (d < c.second) {
        c.second = d;
      }
    }
  return {std::sqrt(c.nearest), std::sqrt(c.second), c.id};
}

}  // namespace pretrain
