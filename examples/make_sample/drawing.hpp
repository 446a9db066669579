#pragma once
// What the three products are drawn with: a rough plane, soft edges, and the defects that any of them can have.
//
//   Draw draw(seed, "cloth", 17);                       // random numbers of one image
//   const Roughness rough(draw.seed());  rough(x, y)    // gradient noise, about -1 ... 1, one bump a unit
//   Scratch::random(draw, x, y).at(px, py)              // how much of the scratch is at a pixel, 0 ... 1
//
// Lengths are pixels of a 256 x 256 picture. A product is drawn twice, with its defect and without it; the mask is
// where the two differ (render.hpp).

#include <array>
#include <cmath>
#include <cstdint>
#include <d3ad/core/rng.hpp>
#include <string_view>
#include <utility>

namespace sample {

constexpr float kTurn = 6.28318531f;

enum class Fault { none, scratch, stain, part, deformation };

struct Colour {
  float r = 0, g = 0, b = 0;
  friend Colour operator*(Colour c, float f) { return {c.r * f, c.g * f, c.b * f}; }
  friend Colour operator+(Colour c, Colour other) { return {c.r + other.r, c.g + other.g, c.b + other.b}; }
};
inline Colour over(Colour below, Colour above, float alpha) { return below * (1 - alpha) + above * alpha; }

class Draw {
 public:
  Draw(std::uint64_t seed, std::string_view product, std::uint64_t number)
      : rng_(seed, d3ad::Rng::stream(product)), next_(number * 4096) {}
  float in(float lo, float hi) { return lo + (hi - lo) * rng_.uniform(next_++); }
  // One of the two ranges [lo, hi] and [-hi, -lo].
  float either(float lo, float hi) { return in(0, 1) < 0.5f ? in(lo, hi) : -in(lo, hi); }
  int one_of(int n) { return static_cast<int>(rng_.below(next_++, static_cast<std::uint64_t>(n))); }
  std::uint64_t seed() { return rng_.below(next_++, std::uint64_t{1} << 40); }

 private:
  d3ad::Rng rng_;
  std::uint64_t next_;
};

// Gradient noise from a shuffled table.
class Roughness {
 public:
  explicit Roughness(std::uint64_t seed) {
    const auto order = d3ad::shuffled(d3ad::Rng(seed, d3ad::Rng::stream("sample.roughness")), order_.size());
    for (std::size_t i = 0; i < order.size(); ++i) order_[i] = static_cast<std::uint8_t>(order[i]);
  }
  float operator()(float x, float y) const {
    const float fx = std::floor(x), fy = std::floor(y), u = x - fx, v = y - fy;
    const int ix = static_cast<int>(fx), iy = static_cast<int>(fy);
    const auto fade = [](float t) { return t * t * t * (t * (t * 6 - 15) + 10); };
    const auto corner = [&](int i, int j) {
      const auto h = order_[(order_[static_cast<std::size_t>(ix + i) & 255] + static_cast<std::size_t>(iy + j)) & 255];
      const float a = kTurn * static_cast<float>(h) / 256;
      return std::cos(a) * (u - static_cast<float>(i)) + std::sin(a) * (v - static_cast<float>(j));
    };
    const float s = fade(u), t = fade(v);
    const float top = corner(0, 0) + s * (corner(1, 0) - corner(0, 0));
    const float low = corner(0, 1) + s * (corner(1, 1) - corner(0, 1));
    return 1.5f * (top + t * (low - top));
  }
  // About -1 ... 1, of a whole number: a thread's tone, say.
  float of(int i, int row) const {
    const auto a = order_[static_cast<std::size_t>(i) & 255];
    return static_cast<float>(order_[(a + static_cast<std::size_t>(row)) & 255]) / 127.5f - 1;
  }

 private:
  std::array<std::uint8_t, 256> order_{};
};

// 1 inside (d < 0), 0 outside, over about a pixel and a half.
inline float cover(float d) {
  const float t = 0.5f - d / 1.5f;
  return t <= 0 ? 0 : t >= 1 ? 1 : t;
}
// 0 at t <= 0, 1 at t >= 1
inline float ease(float t) { return t <= 0 ? 0 : t >= 1 ? 1 : t * t * (3 - 2 * t); }

// An arc of a groove: `depth` is what it takes from or gives to the brightness.
struct Scratch {
  float x = 0, y = 0, cosine = 1, sine = 0, length = 0, bend = 0, width = 0, depth = 0;

  static Scratch random(Draw& draw, float x, float y, float longest = 60) {
    Scratch s;
    const float angle = draw.in(0, kTurn);
    s.x = x, s.y = y, s.cosine = std::cos(angle), s.sine = std::sin(angle);
    s.length = draw.in(0.4f * longest, longest) / 2, s.bend = draw.in(-4, 4);
    s.width = draw.in(1.2f, 2.8f), s.depth = draw.either(0.18f, 0.36f);
    return s;
  }
  float at(float px, float py) const {
    const float dx = px - x, dy = py - y;
    const float along = (dx * cosine + dy * sine) / length;
    if (along < -1.2f || along > 1.2f) return 0;
    const float across = dy * cosine - dx * sine - bend * (1 - along * along);
    const float taper = width * (1 - 0.6f * std::abs(along));
    return ease((1.1f - std::abs(along)) / 0.2f) * ease((taper + 0.7f - std::abs(across)) / 1.2f);
  }
  // `gain`: how strongly a material shows it.
  Colour on(Colour c, float px, float py, float gain = 1.5f) const { return c * (1 + gain * depth * at(px, py)); }
};

// A blot with an uneven rim that tints what is under it.
struct Stain {
  float x = 0, y = 0, radius = 0, strength = 0;
  Colour tint;
  Roughness rim{0};

  static Stain random(Draw& draw, float x, float y, float largest = 20) {
    Stain s;
    s.x = x, s.y = y, s.radius = draw.in(0.4f * largest, largest), s.strength = draw.in(0.5f, 1.0f);
    const float dark = draw.in(0.5f, 0.75f);
    s.tint = {dark * draw.in(0.95f, 1.1f), dark * draw.in(0.9f, 1.05f), dark * draw.in(0.8f, 1)};
    s.rim = Roughness(draw.seed());
    return s;
  }
  float at(float px, float py) const {
    const float dx = px - x, dy = py - y, r = std::hypot(dx, dy);
    const float edge = radius * (1 + 0.35f * rim(dx / radius + 9, dy / radius + 9));
    return strength * ease((edge - r) / (0.35f * radius) + 0.5f);
  }
  Colour on(Colour c, float px, float py) const {
    return over(c, {c.r * tint.r, c.g * tint.g, c.b * tint.b}, at(px, py));
  }
};

// Pulls the picture aside around a point: what is seen at (px, py) lies at `source`.
struct Pull {
  float x = 0, y = 0, radius = 1, dx = 0, dy = 0, twist = 0;

  static Pull random(Draw& draw, float x, float y, float least, float most) {
    Pull p;
    p.x = x, p.y = y, p.radius = draw.in(14, 26);
    const float angle = draw.in(0, kTurn), far = draw.in(least, most);
    p.dx = far * std::cos(angle), p.dy = far * std::sin(angle), p.twist = draw.either(0.1f, 0.5f);
    return p;
  }
  std::pair<float, float> source(float px, float py) const {
    const float u = px - x, v = py - y, weight = std::exp(-(u * u + v * v) / (radius * radius));
    if (weight < 0.002f) return {px, py};
    const float a = twist * weight, c = std::cos(a), s = std::sin(a);
    return {x + u * c - v * s - dx * weight, y + u * s + v * c - dy * weight};
  }
};

// Light that changes from picture to picture.
struct Light {
  float level = 1, slope_x = 0, slope_y = 0;
  static Light random(Draw& draw) { return {draw.in(0.9f, 1.08f), draw.in(-0.1f, 0.1f), draw.in(-0.1f, 0.1f)}; }
  float at(float px, float py) const { return level + slope_x * (px / 128 - 1) + slope_y * (py / 128 - 1); }
};

}  // namespace sample
