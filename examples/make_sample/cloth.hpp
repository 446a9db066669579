#pragma once
// Product 1, a texture: a twill of two yarns. No two pictures show the same piece of cloth.
//
//   const Cloth cloth(draw, Fault::scratch);
//   Colour c = cloth.at(x, y, /*with_fault=*/true);

#include <tuple>

#include "drawing.hpp"

namespace sample {

class Cloth {
 public:
  static constexpr const char* kName = "cloth";

  Cloth(Draw& draw, Fault fault)
      : fault_(fault), light_(Light::random(draw)), fibre_(draw.seed()), yarn_(draw.seed()), wobble_(draw.seed()) {
    const float angle = draw.in(-0.04f, 0.04f);
    cosine_ = std::cos(angle), sine_ = std::sin(angle);
    shift_x_ = draw.in(0, 100), shift_y_ = draw.in(0, 100);
    warp_period_ = draw.in(8.8f, 9.2f), weft_period_ = draw.in(9.8f, 10.2f);
    const float x = draw.in(40, 216), y = draw.in(40, 216);
    scratch_ = Scratch::random(draw, x, y, 80);
    stain_ = Stain::random(draw, x, y, 24);
    pull_ = Pull::random(draw, x, y, 3, 7);
    // The weft yarn that lies at (x, y) ends and begins again.
    const auto [u, v] = yarns(x, y);
    broken_ = static_cast<int>(std::floor(v)), broken_from_ = u - draw.in(1.5f, 4), broken_to_ = u + draw.in(1.5f, 4);
  }

  Colour at(float x, float y, bool with_fault) const {
    const Fault fault = with_fault ? fault_ : Fault::none;
    float sx = x, sy = y;
    if (fault == Fault::deformation) std::tie(sx, sy) = pull_.source(x, y);
    const auto [u, v] = yarns(sx, sy);
    const float fu = std::floor(u), fv = std::floor(v), a = u - fu - 0.5f, b = v - fv - 0.5f;
    const int i = static_cast<int>(fu), j = static_cast<int>(fv);
    const bool gone = fault == Fault::part && j == broken_ && u > broken_from_ && u < broken_to_;
    const bool warp_on_top = gone || ((i + j) % 3 + 3) % 3 != 0;
    // A yarn is round; where it goes under the other it dips.
    const float round = warp_on_top ? std::cos(2.6f * a) : std::cos(2.6f * b);
    const float dip = warp_on_top ? 1 - 0.5f * b * b : 1 - 1.2f * a * a;
    const float tone = warp_on_top ? yarn_.of(i, 0) : yarn_.of(j, 1);
    const float hair = warp_on_top ? fibre_(u * 6, v * 1.3f) : fibre_(u * 1.3f, v * 6);
    const Colour dye = warp_on_top ? Colour{0.44f, 0.47f, 0.53f} : Colour{0.66f, 0.61f, 0.52f};
    Colour c = dye * ((0.55f + 0.45f * round) * dip * (1 + 0.05f * tone + 0.09f * hair) * (gone ? 0.8f : 1.0f));
    if (fault == Fault::scratch) c = scratch_.on(c, x, y, 1.6f);
    if (fault == Fault::stain) c = stain_.on(c, x, y);
    return c * light_.at(x, y);
  }

 private:
  // Position in yarns.
  std::pair<float, float> yarns(float x, float y) const {
    const float wx = x + 1.2f * wobble_(x / 60, y / 60), wy = y + 1.2f * wobble_(x / 60 + 40, y / 60);
    return {(wx * cosine_ + wy * sine_ + shift_x_) / warp_period_,
            (wy * cosine_ - wx * sine_ + shift_y_) / weft_period_};
  }

  Fault fault_;
  Light light_;
  Roughness fibre_, yarn_, wobble_;
  float cosine_, sine_, shift_x_, shift_y_, warp_period_, weft_period_;
  Scratch scratch_;
  Stain stain_;
  Pull pull_;
  int broken_ = 0;
  float broken_from_ = 0, broken_to_ = 0;
};

}  // namespace sample
