#pragma once
// Product 3, small objects turned at random: chain links on a conveyor belt, four in a picture.
//
//   const Links links(draw, Fault::deformation);
//   Colour c = links.at(x, y, /*with_fault=*/true);

#include <algorithm>
#include <array>

#include "drawing.hpp"

namespace sample {

class Links {
 public:
  static constexpr const char* kName = "links";

  Links(Draw& draw, Fault fault) : fault_(fault), light_(Light::random(draw)), belt_(draw.seed()) {
    belt_shift_ = draw.in(0, 24);
    for (std::size_t i = 0; i < links_.size(); ++i) {
      Link& l = links_[i];
      l.x = 70 + 116 * static_cast<float>(i % 2) + draw.in(-13, 13);
      l.y = 70 + 116 * static_cast<float>(i / 2) + draw.in(-13, 13);
      const float angle = draw.in(0, kTurn);
      l.cosine = std::cos(angle), l.sine = std::sin(angle);
      l.tone = draw.in(0.94f, 1.06f);
      l.steel = Roughness(draw.seed());
    }
    target_ = static_cast<std::size_t>(draw.one_of(static_cast<int>(links_.size())));
    const Link& target = links_[target_];
    const float along = draw.in(-26, 26);
    const float x = target.x + along * target.cosine, y = target.y + along * target.sine;
    scratch_ = Scratch::random(draw, x, y, 44);
    stain_ = Stain::random(draw, x, y, 15);
    bend_ = draw.either(3, 7);
    const int break_kind = draw.one_of(3);  // a lobe broken off at either end, or a hole never drilled
    no_hole_ = break_kind == 2;
    break_x_ = (break_kind == 0 ? -1.0f : 1.0f) * draw.in(38, 44), break_y_ = draw.in(-10, 10);
    break_radius_ = draw.in(10, 15);
  }

  Colour at(float x, float y, bool with_fault) const {
    const float ridge = std::abs((x + belt_shift_) / 24 - std::round((x + belt_shift_) / 24)) * 24;
    const float rubber =
        0.27f + 0.05f * belt_(x / 3, y / 3) + 0.03f * belt_(x / 1.4f, y / 1.4f) - 0.06f * ease((2.5f - ridge) / 2);
    Colour c{rubber, rubber, rubber * 1.04f};
    for (std::size_t i = 0; i < links_.size(); ++i) {
      const Link& l = links_[i];
      const Fault fault = with_fault && i == target_ ? fault_ : Fault::none;
      const float dx = x - l.x, dy = y - l.y;
      if (std::hypot(dx, dy) > 64) continue;
      const float a = dx * l.cosine + dy * l.sine, b = dy * l.cosine - dx * l.sine;
      const float shadow = shape(a + 3 * (l.cosine + l.sine) * -0.7f, b + 3 * (l.cosine - l.sine) * -0.7f, fault);
      c = c * (1 - 0.45f * ease((4 - shadow) / 6));
      const float d = shape(a, b, fault);
      if (d > 1) continue;
      // A rounded edge, lit from above left.
      const float slope_a = shape(a + 0.5f, b, fault) - shape(a - 0.5f, b, fault);
      const float slope_b = shape(a, b + 0.5f, fault) - shape(a, b - 0.5f, fault);
      const float gx = slope_a * l.cosine - slope_b * l.sine, gy = slope_a * l.sine + slope_b * l.cosine;
      const float rim = ease((d + 4) / 4);
      float steel = 0.6f + 0.05f * l.steel(a / 7, b / 1.2f) + 0.04f * l.steel(a / 2, b / 2 + 30);
      steel *= l.tone * (1 - 0.3f * rim * (gx + gy) * 0.7f);
      Colour metal{steel, steel * 0.99f, steel * 0.96f};
      if (fault == Fault::scratch) metal = scratch_.on(metal, x, y);
      if (fault == Fault::stain) metal = stain_.on(metal, x, y);
      c = over(c, metal, cover(d));
    }
    return c * light_.at(x, y);
  }

 private:
  struct Link {
    float x = 0, y = 0, cosine = 1, sine = 0, tone = 1;
    Roughness steel{0};
  };

  // Signed distance in the link's frame: two eyes joined by a waist.
  float shape(float a, float b, Fault fault) const {
    if (fault == Fault::deformation) b -= bend_ * (a * a / 900 - 0.5f);
    const float eyes = std::hypot(std::abs(a) - 27, b) - 15;
    const float waist = std::max(std::abs(b) - 7.5f, std::abs(a) - 27);
    const float h = std::clamp(0.5f + 0.5f * (waist - eyes) / 7, 0.0f, 1.0f);  // a fillet between them
    float d = waist + (eyes - waist) * h - 7 * h * (1 - h);
    const bool drilled = !(fault == Fault::part && no_hole_ && a > 0);
    if (drilled) d = std::max(d, 6.5f - std::hypot(std::abs(a) - 27, b));
    if (fault == Fault::part && !no_hole_) d = std::max(d, break_radius_ - std::hypot(a - break_x_, b - break_y_));
    return d;
  }

  Fault fault_;
  Light light_;
  Roughness belt_;
  float belt_shift_ = 0;
  std::array<Link, 4> links_;
  std::size_t target_ = 0;
  Scratch scratch_;
  Stain stain_;
  float bend_ = 0, break_x_ = 0, break_y_ = 0, break_radius_ = 0;
  bool no_hole_ = false;
};

}  // namespace sample
