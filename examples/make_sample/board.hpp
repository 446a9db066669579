#pragma once
// Product 2, an aligned object with parts: a circuit board that always lies the same way, to a pixel or two.
//
//   const Board board(draw, Fault::part);
//   Colour c = board.at(x, y, /*with_fault=*/true);

#include <algorithm>
#include <tuple>
#include <vector>

#include "drawing.hpp"

namespace sample {

class Board {
 public:
  static constexpr const char* kName = "board";

  Board(Draw& draw, Fault fault) : fault_(fault), light_(Light::random(draw)), grain_(draw.seed()), mat_(draw.seed()) {
    const float angle = draw.in(-0.012f, 0.012f);
    cosine_ = std::cos(angle), sine_ = std::sin(angle);
    shift_x_ = draw.in(-1.5f, 1.5f), shift_y_ = draw.in(-1.5f, 1.5f);
    parts_ = layout();
    for (Part& p : parts_) {
      p.x += draw.in(-0.7f, 0.7f), p.y += draw.in(-0.7f, 0.7f), p.angle += draw.in(-0.02f, 0.02f);
      p.tone = draw.in(0.95f, 1.05f);
      if (p.kind == Kind::screw) p.angle = draw.in(0, kTurn);  // nobody turns screws to an angle
    }
    // Screws may stand at any angle, so they are never what is bent.
    const auto count = static_cast<int>(parts_.size());
    const Part& bent = parts_[static_cast<std::size_t>(4 + draw.one_of(count - 4))];
    pull_ = Pull::random(draw, bent.x, bent.y, 4, 7);
    const float x = draw.in(40, 216), y = draw.in(40, 216);
    scratch_ = Scratch::random(draw, x, y, 70);
    stain_ = Stain::random(draw, x, y, 20);
    // One part is missing or out of place.
    const bool missing = draw.in(0, 1) < 0.5f;
    const int lost = draw.one_of(count);
    const float away = draw.in(0, kTurn), far = draw.in(7, 14), turn = draw.either(0.15f, 0.6f);
    parts_faulty_ = parts_;
    if (missing) {
      parts_faulty_.erase(parts_faulty_.begin() + lost);
    } else {
      Part& p = parts_faulty_[static_cast<std::size_t>(lost)];
      p.x += far * std::cos(away), p.y += far * std::sin(away), p.angle += turn;
    }
  }

  Colour at(float x, float y, bool with_fault) const {
    const Fault fault = with_fault ? fault_ : Fault::none;
    float sx = x, sy = y;
    if (fault == Fault::deformation) std::tie(sx, sy) = pull_.source(x, y);
    const float cx = sx - 128 - shift_x_, cy = sy - 128 - shift_y_;
    const float u = cx * cosine_ + cy * sine_ + 128, v = cy * cosine_ - cx * sine_ + 128;

    const float mat = 0.2f + 0.05f * mat_(x / 5, y / 5) + 0.03f * mat_(x / 1.7f, y / 1.7f);
    Colour c{mat, mat, mat * 1.05f};
    const float edge = box(u - 128, v - 128, 104, 92) - 6;
    if (edge < 12) c = c * (1 - 0.4f * ease(1 - edge / 12));  // its shadow
    c = over(c, laminate(u, v), cover(edge));
    for (const Part& p : fault == Fault::part ? parts_faulty_ : parts_) c = p.draw(c, u, v, grain_);
    if (fault == Fault::scratch) c = scratch_.on(c, x, y);
    if (fault == Fault::stain) c = stain_.on(c, x, y);
    return c * light_.at(x, y);
  }

 private:
  static float box(float x, float y, float w, float h) {
    const float dx = std::abs(x) - w, dy = std::abs(y) - h;
    return std::hypot(std::max(dx, 0.0f), std::max(dy, 0.0f)) + std::min(std::max(dx, dy), 0.0f);
  }

  enum class Kind { screw, chip, can, resistor, socket, crystal };
  struct Part {
    Kind kind;
    float x, y, w, h;  // centre, half sides
    float angle = 0, tone = 1;

    Colour draw(Colour c, float u, float v, const Roughness& grain) const {
      const float dx = u - x, dy = v - y;
      if (std::abs(dx) > w + h + 8 || std::abs(dy) > w + h + 8) return c;
      const float a = dx * std::cos(angle) + dy * std::sin(angle), b = dy * std::cos(angle) - dx * std::sin(angle);
      const float speck = 1 + 0.05f * grain(u / 1.5f, v / 1.5f);
      switch (kind) {
        case Kind::screw: {
          const float r = std::hypot(a, b);
          c = c * (1 - 0.35f * cover(r - w - 2));
          const float shine = 0.62f + 0.1f * (dx - dy) / w;
          c = over(c, Colour{1, 0.98f, 0.92f} * (shine * speck * tone), cover(r - w));
          return over(c, {0.25f, 0.25f, 0.25f}, cover(box(a, b, w * 0.75f, 1.2f)));
        }
        case Kind::chip: {
          const float leg = std::abs(a * 0.32f - std::round(a * 0.32f));  // legs on two sides
          if (std::abs(a) < w - 1 && std::abs(b) < h + 5)
            c = over(c, Colour{0.66f, 0.66f, 0.64f} * tone, cover((leg - 0.22f) * 3));
          const float lid = 0.24f + 0.04f * ease((a + b) / (w + h) + 0.5f);
          c = over(c, Colour{1, 1, 1.04f} * (lid * speck * tone), cover(box(a, b, w, h)));
          return over(c, {0.36f, 0.36f, 0.36f}, cover(std::hypot(a + w - 6, b + h - 6) - 2.5f));
        }
        case Kind::can: {
          const float r = std::hypot(a, b);
          c = c * (1 - 0.4f * cover(std::hypot(a - 2, b - 2) - w - 1.5f));
          c = over(c, Colour{0.6f, 0.62f, 0.66f} * ((1 - 0.012f * (dx + dy)) * speck * tone), cover(r - w));
          c = over(c, {0.3f, 0.3f, 0.34f}, cover(std::max(r - w + 1.5f, a + w * 0.45f)));
          return over(c, Colour{0.48f, 0.5f, 0.54f}, cover(std::abs(r - w * 0.8f) - 0.7f));
        }
        case Kind::resistor: {
          c = over(c, {0.68f, 0.67f, 0.64f}, cover(box(a, b, w + 5, 1.4f)));
          const float round = 1 - 0.3f * (b / h) * (b / h);
          c = over(c, Colour{0.7f, 0.58f, 0.42f} * (round * speck * tone), cover(box(a, b, w - 2, h - 2) - 2));
          for (const float band : {-0.5f, 0.0f, 0.45f})
            c = over(c, Colour{0.42f, 0.24f, 0.2f} * round,
                     cover(std::max(std::abs(a - band * w) - 1.4f, std::abs(b) - h)));
          return c;
        }
        case Kind::socket: {
          c = over(c, Colour{0.62f, 0.6f, 0.54f} * (speck * tone), cover(box(a, b, w, h) - 1));
          const float hole = std::abs(a / 8 - std::floor(a / 8) - 0.5f) * 8;
          return over(c, {0.28f, 0.28f, 0.26f},
                      std::abs(a) < w - 2 ? cover(box(hole, std::abs(b) - h * 0.45f, 2.2f, 2.2f)) : 0.0f);
        }
        case Kind::crystal: {
          const float d = box(a, b, w - h, 0) - h;
          c = c * (1 - 0.35f * cover(d - 2));
          return over(c, Colour{0.7f, 0.71f, 0.72f} * ((0.9f - 0.15f * b / h) * speck * tone), cover(d));
        }
      }
      return c;
    }
  };

  static std::vector<Part> layout() {
    using enum Kind;
    return {{screw, 36, 48, 8, 8},
            {screw, 220, 48, 8, 8},
            {screw, 36, 208, 8, 8},
            {screw, 220, 208, 8, 8},
            {chip, 112, 118, 30, 24},
            {chip, 182, 96, 16, 14},
            {can, 62, 92, 13, 13},
            {can, 62, 128, 13, 13},
            {can, 196, 142, 11, 11},
            {resistor, 70, 168, 12, 5},
            {resistor, 110, 168, 12, 5},
            {resistor, 150, 168, 12, 5},
            {resistor, 186, 176, 12, 5, 1.5708f},
            {socket, 128, 202, 52, 11},
            {crystal, 96, 64, 18, 8},
            {crystal, 150, 60, 14, 7}};
  }

  // The board itself: green lacquer with copper tracks under it.
  Colour laminate(float u, float v) const {
    const float speck = 1 + 0.05f * grain_(u / 2, v / 2) + 0.03f * grain_(u / 23, v / 23);
    const auto track = [](float d) { return cover(std::abs(d) - 1.3f); };
    float copper = 0;
    for (const float at : {52.0f, 79.0f, 150.0f, 186.0f}) copper = std::max(copper, track(v - at + 0.18f * (u - 128)));
    for (const float at : {48.0f, 84.0f, 140.0f, 168.0f, 208.0f})
      copper = std::max(copper, track(u - at - (v > 130 ? 8.0f * ease((v - 130) / 8) : 0.0f)));
    return over(Colour{0.16f, 0.36f, 0.3f}, Colour{0.28f, 0.48f, 0.36f}, copper) * speck;
  }

  Fault fault_;
  Light light_;
  Roughness grain_, mat_;
  float cosine_, sine_, shift_x_, shift_y_;
  std::vector<Part> parts_, parts_faulty_;  // as they should be; with one missing or out of place
  Pull pull_;
  Scratch scratch_;
  Stain stain_;
};

}  // namespace sample
