#pragma once
// Families of textures: a brightness in 0 ... 1 for every point of the plane, about one period a unit.
//
//   for (const TextureFamily& f : kTextures) f.value(x, y, knobs)
//
// A class is a family with a setting of its knobs (scene.hpp). Families marked `held_out` are never trained on: they
// measure how well the networks do on what they have not seen.

#include <algorithm>

#include "noise.hpp"

namespace pretrain {

struct Knobs {
  float a, b, c;       // 0 ... 1: of the class
  std::uint32_t seed;  // of the image
};

struct TextureFamily {
  const char* name;
  float (*value)(float x, float y, const Knobs& k);
  bool held_out = false;
};

namespace texture {

inline float wave(float t) { return 0.5f + 0.5f * std::sin(2 * kPi * t); }
// A wave between a sine and a square wave.
inline float edged(float t, float sharpness) {
  const float s = std::sin(2 * kPi * t) * (1 + 8 * sharpness * sharpness);
  return 0.5f + 0.5f * std::clamp(s, -1.0f, 1.0f);
}

inline float stripes(float x, float y, const Knobs& k) {
  return edged(x + 0.4f * k.b * (value_noise(x * 0.4f, y * 0.4f, k.seed) - 0.5f), k.a);
}
inline float checks(float x, float y, const Knobs& k) {
  const float u = edged(x * 0.5f, 0.5f + 0.5f * k.a), v = edged(y * (0.35f + 0.3f * k.b), 0.5f + 0.5f * k.a);
  return u * v + (1 - u) * (1 - v);
}
inline float dots(float x, float y, const Knobs& k) {
  const float row = std::floor(y), u = part(x + (k.a > 0.5f ? 0.5f * row : 0)) - 0.5f, v = part(y) - 0.5f;
  return step_at(0.2f + 0.2f * k.b, std::hypot(u, v), 0.1f + 0.2f * k.c);
}
inline float honeycomb(float x, float y, const Knobs& k) {
  const float h = 0.8660254f;
  const float ax = part(x) - 0.5f, ay = (part(y / (2 * h)) - 0.5f) * 2 * h;
  const float bx = part(x + 0.5f) - 0.5f, by = (part(y / (2 * h) + 0.5f) - 0.5f) * 2 * h;
  const bool first = ax * ax + ay * ay < bx * bx + by * by;
  const float u = std::abs(first ? ax : bx), v = std::abs(first ? ay : by);
  return step_at(0.5f - 0.06f - 0.12f * k.a, std::max(u, u * 0.5f + v * h), 0.04f + 0.12f * k.b);
}
inline float bricks(float x, float y, const Knobs& k) {
  const float length = 1.5f + 1.5f * k.a, row = std::floor(y);
  const float at = x / length + 0.5f * row, gap = 0.06f + 0.1f * k.b;
  const float u = std::min(part(at), 1 - part(at)) * length, v = std::min(part(y), 1 - part(y));
  const float tone = lattice(static_cast<int>(std::floor(at)), static_cast<int>(row), k.seed);
  return step_at(gap, std::min(u, v), 0.08f) * (0.55f + 0.45f * blend(1, tone, k.c));
}
inline float clouds(float x, float y, const Knobs& k) {
  return fractal(x * 0.5f, y * 0.5f, 2 + static_cast<int>(3.9f * k.a), k.seed);
}
inline float marble(float x, float y, const Knobs& k) {
  return edged(0.5f * x + (0.6f + 1.5f * k.a) * fractal(x * 0.4f, y * 0.4f, 4, k.seed), 0.4f * k.b);
}
inline float wood(float x, float y, const Knobs& k) {
  const float r = std::hypot(x * (0.15f + 0.2f * k.a), y + 3) + 0.5f * value_noise(x * 0.15f, y * 0.5f, k.seed);
  return 0.8f * std::pow(part(r), 0.4f + 2 * k.b) + 0.2f * value_noise(x * 0.6f, y * 8, k.seed + 5);
}
inline float cobbles(float x, float y, const Knobs& k) {
  const Cell c = cells(x, y, 0.3f + 0.7f * k.a, k.seed);
  return step_at(0.08f + 0.1f * k.b, c.second - c.nearest, 0.1f) * (0.6f + 0.4f * blend(1, c.id, k.c));
}
inline float cracks(float x, float y, const Knobs& k) {
  const float wx = x + 0.5f * fractal(x, y, 3, k.seed + 3), wy = y + 0.5f * fractal(x, y, 3, k.seed + 4);
  const Cell c = cells(wx * 0.6f, wy * 0.6f, 1, k.seed);
  return step_at(0.03f + 0.05f * k.a, c.second - c.nearest, 0.05f) * (0.8f + 0.2f * fractal(x * 3, y * 3, 2, k.seed));
}
inline float speckle(float x, float y, const Knobs& k) {
  const Cell c = cells(x, y, 1, k.seed);
  return step_at((0.15f + 0.3f * k.a) * (0.5f + c.id), c.nearest, 0.1f + 0.2f * k.b);
}
inline float brushed(float x, float y, const Knobs& k) {
  return 0.7f * value_noise(x * (0.05f + 0.1f * k.a), y * 4, k.seed) +
         0.3f * value_noise(x * 0.02f, y * (9 + 8 * k.b), k.seed + 1);
}
inline float grain(float x, float y, const Knobs& k) {
  const float fine = value_noise(x * 5, y * 5, k.seed), coarse = value_noise(x * 2.2f, y * 2.2f, k.seed + 1);
  return std::pow(blend(fine, coarse, k.a), 0.6f + 1.5f * k.b);
}
inline float spots(float x, float y, const Knobs& k) {
  return step_at(0.4f + 0.2f * k.a, value_noise(x, y, k.seed), 0.06f + 0.2f * k.b);
}
inline float scales(float x, float y, const Knobs& k) {
  float best = 0;
  for (int i = 1; i >= 0; --i) {
    const float row = std::floor(y * 2) + static_cast<float>(i);
    const float u = part(x + 0.5f * row) - 0.5f, v = y * 2 - row + 0.5f;
    const float r = std::hypot(u, v * (0.4f + 0.2f * k.a));
    if (r < 0.55f) best = 0.2f + 0.8f * std::pow(r / 0.55f, 0.5f + 2 * k.b);
  }
  return best;
}
inline float zigzag(float x, float y, const Knobs& k) {
  const float fold = std::abs(part(x * 0.5f) - 0.5f) * (1 + 3 * k.a);
  return edged(y + fold, k.b);
}
inline float mesh(float x, float y, const Knobs& k) {
  const float u = std::abs(part(x) - 0.5f), v = std::abs(part(y * (0.6f + 0.6f * k.a)) - 0.5f);
  return step_at(0.06f + 0.14f * k.b, std::min(u, v), 0.06f + 0.1f * k.c);
}
inline float leather(float x, float y, const Knobs& k) {
  float ridge = 0, weight = 0.6f;
  for (int i = 0; i < 3; ++i) {
    const float n = value_noise(x, y, k.seed + static_cast<std::uint32_t>(i));
    ridge += weight * (1 - std::abs(2 * n - 1));
    weight *= 0.4f + 0.2f * k.a, x *= 2.1f, y *= 2.1f;
  }
  return std::clamp(ridge - 0.2f + 0.3f * k.b, 0.0f, 1.0f);
}
inline float terrazzo(float x, float y, const Knobs& k) {
  const Cell c = cells(x, y, 1, k.seed);
  return c.id < 0.3f + 0.4f * k.a ? step_at(0.06f, c.second - c.nearest, 0.06f) * (0.4f + 0.6f * c.id) : 0.0f;
}
inline float ripples(float x, float y, const Knobs& k) {
  float sum = 0;
  const int waves = 2 + static_cast<int>(2.9f * k.a);
  for (int i = 0; i < waves; ++i) {
    const float angle = kPi * (static_cast<float>(i) + 0.3f * k.b) / static_cast<float>(waves);
    sum += std::sin(2 * kPi * (x * std::cos(angle) + y * std::sin(angle)) + 5 * lattice(i, 0, k.seed));
  }
  return 0.5f + 0.5f * sum / static_cast<float>(waves);
}

// ---- held out ----

inline float herringbone(float x, float y, const Knobs& k) {
  const bool left = part(x * 0.25f) < 0.5f;
  const float u = left ? x + y : x - y, v = left ? x - y : x + y;
  const float a = part(u), b = part(v * (0.25f + 0.15f * k.a));
  return step_at(0.08f + 0.1f * k.b, std::min(std::min(a, 1 - a), 3 * std::min(b, 1 - b)), 0.08f);
}
inline float contours(float x, float y, const Knobs& k) {
  return edged((2 + 3 * k.a) * fractal(x * 0.35f, y * 0.35f, 2, k.seed), 0.3f + 0.6f * k.b);
}
inline float triangles(float x, float y, const Knobs& k) {
  const float u = part(x + y * 0.5773503f), v = part(y * 1.1547005f);
  const float edge = std::min({u, v, std::abs(u + v - 1), 1 - u, 1 - v});
  return step_at(0.04f + 0.08f * k.a, edge, 0.06f) * (u + v < 1 ? 1.0f : 0.4f + 0.5f * k.b);
}
inline float bubbles(float x, float y, const Knobs& k) {
  const Cell c = cells(x, y, 0.8f, k.seed);
  const float r = 0.2f + 0.2f * c.id;
  return std::exp(-std::pow((c.nearest - r) / (0.05f + 0.06f * k.a), 2.0f)) * 0.8f + 0.2f * k.b * wave(c.nearest);
}
inline float curls(float x, float y, const Knobs& k) {
  const float angle = 2 * kPi * fractal(x * 0.3f, y * 0.3f, 2, k.seed) * (1 + k.a);
  const float u = x * std::cos(angle) + y * std::sin(angle);
  return value_noise(u * 0.5f, (y * std::cos(angle) - x * std::sin(angle)) * (2 + 2 * k.b), k.seed + 1);
}

}  // namespace texture

inline constexpr TextureFamily kTextures[] = {
    {"stripes", texture::stripes},
    {"checks", texture::checks},
    {"dots", texture::dots},
    {"honeycomb", texture::honeycomb},
    {"bricks", texture::bricks},
    {"clouds", texture::clouds},
    {"marble", texture::marble},
    {"wood", texture::wood},
    {"cobbles", texture::cobbles},
    {"cracks", texture::cracks},
    {"speckle", texture::speckle},
    {"brushed", texture::brushed},
    {"grain", texture::grain},
    {"spots", texture::spots},
    {"scales", texture::scales},
    {"zigzag", texture::zigzag},
    {"mesh", texture::mesh},
    {"leather", texture::leather},
    {"terrazzo", texture::terrazzo},
    {"ripples", texture::ripples},
    {"herringbone", texture::herringbone, true},
    {"contours", texture::contours, true},
    {"triangles", texture::triangles, true},
    {"bubbles", texture::bubbles, true},
    {"curls", texture::curls, true},
};

}  // namespace pretrain
