#pragma once
// Families of flat shapes as signed distances: negative inside, in a frame where the shape fills about [-1, 1]^2.
//
//   for (const ShapeFamily& f : kShapes) f.distance(x, y, knobs)
//
// As with textures, a class is a family with a setting of its knobs, and families marked `held_out` are not trained on.

#include "textures.hpp"

namespace pretrain {

struct ShapeFamily {
  const char* name;
  float (*distance)(float x, float y, const Knobs& k);
  bool held_out = false;
};

namespace shape {

inline float box(float x, float y, float w, float h) {
  const float dx = std::abs(x) - w, dy = std::abs(y) - h;
  return std::hypot(std::max(dx, 0.0f), std::max(dy, 0.0f)) + std::min(std::max(dx, dy), 0.0f);
}
inline float segment(float x, float y, float ax, float ay, float bx, float by) {
  const float dx = bx - ax, dy = by - ay;
  const float t = std::clamp(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy), 0.0f, 1.0f);
  return std::hypot(x - ax - t * dx, y - ay - t * dy);
}
// Folds the plane into one of n sectors, centred on the x axis.
inline void fold(float& x, float& y, int n) {
  const float r = std::hypot(x, y), sector = 2 * kPi / static_cast<float>(n);
  float angle = std::atan2(y, x);
  angle -= sector * std::round(angle / sector);
  x = r * std::cos(angle), y = r * std::sin(angle);
}
inline float polygon(float x, float y, int n, float apothem) {
  fold(x, y, n);
  return x - apothem;
}

inline float disc(float x, float y, const Knobs& k) { return std::hypot(x, y * (1 + 0.8f * k.a)) - 0.8f; }
inline float ring(float x, float y, const Knobs& k) { return std::abs(std::hypot(x, y) - 0.65f) - (0.1f + 0.2f * k.a); }
inline float square(float x, float y, const Knobs& k) {
  return box(x, y, 0.75f - 0.25f * k.a, 0.75f - 0.25f * k.a) - 0.25f * k.a;
}
inline float slab(float x, float y, const Knobs& k) { return box(x, y, 0.9f, 0.2f + 0.3f * k.a); }
inline float many_sided(float x, float y, const Knobs& k) {
  return polygon(x, y, 3 + static_cast<int>(4.9f * k.a), 0.55f + 0.05f * k.b);
}
inline float star(float x, float y, const Knobs& k) {
  const int n = 4 + static_cast<int>(4.9f * k.a);
  fold(x, y, n);
  return (std::abs(y) * (1.0f + k.b) + x * 0.6f - 0.55f) * 0.8f;
}
inline float cross(float x, float y, const Knobs& k) {
  const float w = 0.15f + 0.2f * k.a;
  return std::min(box(x, y, 0.85f, w), box(x, y, w, 0.85f));
}
inline float corner(float x, float y, const Knobs& k) {
  const float w = 0.15f + 0.12f * k.a;
  return std::min(box(x, y - 0.7f + w, 0.75f, w), box(x - 0.75f + w, y, w, 0.75f));
}
inline float tee(float x, float y, const Knobs& k) {
  const float w = 0.14f + 0.14f * k.a;
  return std::min(box(x, y - 0.65f, 0.8f, w), box(x, y, w, 0.8f));
}
inline float arrow(float x, float y, const Knobs& k) {
  const float head = std::max(x - 0.2f + std::abs(y) * 0.9f - 0.65f, 0.2f - x);
  return std::min(head, box(x + 0.35f, y, 0.6f, 0.12f + 0.15f * k.a));
}
inline float crescent(float x, float y, const Knobs& k) {
  return std::max(std::hypot(x, y) - 0.8f, 0.6f - std::hypot(x - 0.35f - 0.2f * k.a, y));
}
inline float cog(float x, float y, const Knobs& k) {
  const float r = std::hypot(x, y), angle = std::atan2(y, x) * static_cast<float>(7 + static_cast<int>(6.9f * k.a));
  const float rim = 0.7f + 0.1f * std::clamp(2.5f * std::sin(angle), -1.0f, 1.0f);
  return std::max(r - rim, 0.18f + 0.2f * k.b - r) * 0.8f;
}
inline float capsule(float x, float y, const Knobs& k) {
  return segment(x, y, -0.6f, 0, 0.6f, 0) - (0.15f + 0.2f * k.a);
}
inline float wedge(float x, float y, const Knobs& k) {
  return std::max(std::abs(y) - 0.6f, std::abs(x) - 0.6f + 0.35f * y * (0.3f + 0.7f * k.a)) * 0.9f;
}
inline float bow(float x, float y, const Knobs& k) {
  return std::max(std::abs(std::hypot(x, y) - 0.65f) - (0.1f + 0.12f * k.a), x - 0.3f);
}
inline float channel(float x, float y, const Knobs& k) {
  const float w = 0.13f + 0.1f * k.a;
  return std::min({box(x, y + 0.65f, 0.75f, w), box(x - 0.62f, y, w, 0.75f), box(x + 0.62f, y, w, 0.75f)});
}
inline float plate_with_holes(float x, float y, const Knobs& k) {
  const float hole = std::hypot(std::abs(x) - 0.45f, k.b > 0.5f ? std::abs(y) - 0.4f : y) - (0.12f + 0.12f * k.a);
  return std::max(box(x, y, 0.75f, 0.6f) - 0.08f, -hole);
}
inline float slotted(float x, float y, const Knobs& k) {
  return std::max(std::hypot(x, y) - 0.8f, -box(x, y, 1.0f, 0.08f + 0.12f * k.a));
}

// ---- held out ----

inline float keyhole(float x, float y, const Knobs& k) {
  const float hole = std::min(std::hypot(x, y - 0.2f) - 0.22f, box(x, y + 0.2f, 0.08f + 0.08f * k.a, 0.35f));
  return std::max(std::hypot(x, y) - 0.85f, -hole);
}
inline float ladder(float x, float y, const Knobs& k) {
  const float w = 0.14f + 0.08f * k.a;
  return std::min({box(x - 0.55f, y, w, 0.8f), box(x + 0.55f, y, w, 0.8f), box(x, y, 0.6f, w)});
}
inline float petals(float x, float y, const Knobs& k) {
  fold(x, y, 3 + static_cast<int>(3.9f * k.a));
  return std::hypot(x - 0.5f, y * 1.3f) - 0.33f;
}
inline float rhombus(float x, float y, const Knobs& k) {
  return std::max((std::abs(x) + std::abs(y) * (1.2f + 0.8f * k.a) - 0.8f) * 0.6f, 0.18f - std::hypot(x, y));
}
inline float fork(float x, float y, const Knobs& k) {
  const float w = 0.1f + 0.05f * k.a;
  return std::min({segment(x, y, 0, -0.8f, 0, 0), segment(x, y, 0, 0, 0.6f, 0.7f), segment(x, y, 0, 0, -0.6f, 0.7f)}) -
         w;
}

}  // namespace shape

inline constexpr ShapeFamily kShapes[] = {
    {"disc", shape::disc},
    {"ring", shape::ring},
    {"square", shape::square},
    {"slab", shape::slab},
    {"polygon", shape::many_sided},
    {"star", shape::star},
    {"cross", shape::cross},
    {"corner", shape::corner},
    {"tee", shape::tee},
    {"arrow", shape::arrow},
    {"crescent", shape::crescent},
    {"cog", shape::cog},
    {"capsule", shape::capsule},
    {"wedge", shape::wedge},
    {"bow", shape::bow},
    {"channel", shape::channel},
    {"plate", shape::plate_with_holes},
    {"slotted", shape::slotted},
    {"keyhole", shape::keyhole, true},
    {"ladder", shape::ladder, true},
    {"petals", shape::petals, true},
    {"rhombus", shape::rhombus, true},
    {"fork", shape::fork, true},
};

}  // namespace pretrain
