#pragma once
// A product as a photograph with its exact mask.
//
//   Shot shot = take<Cloth>(seed, number, Fault::stain, 256);
//   shot.photo (RGB), shot.mask (255 where the defect changed the picture; all 0 without one)
//
// Mask: the pixels that the defect changed by more than kVisible grey levels in any colour, before the camera's noise,
// with gaps of up to six pixels closed and without specks: regions of fewer than kSpeck pixels, where there is a
// larger.

#include <algorithm>
#include <d3ad/anomaly/regions.hpp>
#include <d3ad/data/image.hpp>
#include <vector>

#include "drawing.hpp"

namespace sample {

inline constexpr float kVisible = 8;  // grey levels
inline constexpr int kSpeck = 24;     // pixels

struct Shot {
  d3ad::Image photo, mask;
};

namespace detail {

// Dilation and then erosion by a square of 2 * radius + 1 pixels. Beyond the border counts as set when eroding.
inline void close_gaps(d3ad::Image& mask, int radius) {
  for (const bool grow : {true, false}) {
    const d3ad::Image before = mask;
    for (int y = 0; y < mask.height; ++y)
      for (int x = 0; x < mask.width; ++x) {
        bool hit = false;
        for (int j = std::max(0, y - radius); j <= std::min(mask.height - 1, y + radius) && !hit; ++j)
          for (int i = std::max(0, x - radius); i <= std::min(mask.width - 1, x + radius) && !hit; ++i)
            hit = (*before.at(i, j) != 0) == grow;
        *mask.at(x, y) = hit == grow ? 255 : 0;
      }
  }
}

inline void drop_specks(d3ad::Image& mask) {
  std::vector<std::int32_t> region;
  const int count = d3ad::anomaly::label_regions(mask.pixels, mask.height, mask.width, region);
  std::vector<int> pixels(static_cast<std::size_t>(count) + 1);
  for (const auto r : region) ++pixels[static_cast<std::size_t>(r)];
  pixels[0] = 0;
  const int least = std::min(kSpeck, *std::max_element(pixels.begin(), pixels.end()));
  for (std::size_t i = 0; i < region.size(); ++i)
    if (pixels[static_cast<std::size_t>(region[i])] < least) mask.pixels[i] = 0;
}

}  // namespace detail

template <class Product>
Shot take(std::uint64_t seed, std::uint64_t number, Fault fault, int size) {
  Draw draw(seed, Product::kName, number);
  const float noise = draw.in(1.5f, 2.5f);  // grey levels, standard deviation
  const d3ad::Rng camera(draw.seed(), d3ad::Rng::stream("sample.camera"));
  const Product product(draw, fault);
  Shot shot{d3ad::Image(size, size, 3), d3ad::Image(size, size, 1)};
  const float scale = 256.0f / static_cast<float>(size);
  for (int y = 0; y < size; ++y)
    for (int x = 0; x < size; ++x) {
      const float px = (static_cast<float>(x) + 0.5f) * scale, py = (static_cast<float>(y) + 0.5f) * scale;
      const Colour seen = product.at(px, py, true);
      const auto grain = camera.normal4(static_cast<std::uint64_t>(y) * static_cast<std::uint64_t>(size) +
                                        static_cast<std::uint64_t>(x));
      const float values[3] = {seen.r, seen.g, seen.b};
      for (int c = 0; c < 3; ++c) {
        const float v = 255 * values[c] + noise * grain[static_cast<std::size_t>(c)] + 0.5f;
        shot.photo.at(x, y)[c] = static_cast<std::uint8_t>(v < 0 ? 0 : v > 255 ? 255 : v);
      }
      if (fault == Fault::none) continue;
      const Colour good = product.at(px, py, false);
      const float change = std::max({std::abs(seen.r - good.r), std::abs(seen.g - good.g), std::abs(seen.b - good.b)});
      *shot.mask.at(x, y) = 255 * change > kVisible ? 255 : 0;
    }
  if (fault != Fault::none) {
    detail::close_gaps(shot.mask, 3);
    detail::drop_specks(shot.mask);
  }
  return shot;
}

}  // namespace sample
