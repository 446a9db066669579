#pragma once
// What everything drawn in pixels is made of: colours, rectangles and smoothed strokes in an Image.
// Folder draw/ is the namespace d3ad::draw.
//
//   draw::fill_rectangle(image, 10, 10, 80, 20, {31, 119, 180});
//   draw::stroke(image, 0, 0, 80.5, 20, 1.5, {200, 0, 0});         a line of 3 pixels

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "d3ad/data/image.hpp"

namespace d3ad::draw {

using Colour = std::array<std::uint8_t, 3>;

// What is outside of the image is left out, here and in stroke(). The image has three channels.
inline void fill_rectangle(Image& image, int x, int y, int w, int h, Colour colour) {
  for (int j = std::max(y, 0); j < std::min(y + h, image.height); ++j)
    for (int i = std::max(x, 0); i < std::min(x + w, image.width); ++i)
      std::copy(colour.begin(), colour.end(), image.at(i, j));
}

// A line of that half width with round ends, its border smoothed. Pixel (0, 0) has its centre at 0.5, 0.5.
inline void stroke(Image& image, double x0, double y0, double x1, double y1, double half, Colour colour) {
  const auto from = [half](double a, double b) { return static_cast<int>(std::floor(std::min(a, b) - half - 1)); };
  const auto to = [half](double a, double b) { return static_cast<int>(std::ceil(std::max(a, b) + half + 1)); };
  const double dx = x1 - x0, dy = y1 - y0, length2 = dx * dx + dy * dy;
  for (int y = std::max(from(y0, y1), 0); y < std::min(to(y0, y1), image.height); ++y)
    for (int x = std::max(from(x0, x1), 0); x < std::min(to(x0, x1), image.width); ++x) {
      const double px = x + 0.5 - x0, py = y + 0.5 - y0;
      const double along = length2 > 0 ? std::clamp((px * dx + py * dy) / length2, 0.0, 1.0) : 0.0;
      const double cover = std::clamp(half + 0.5 - std::hypot(px - along * dx, py - along * dy), 0.0, 1.0);
      if (cover <= 0) continue;
      for (int c = 0; c < 3; ++c)
        image.at(x, y)[c] = static_cast<std::uint8_t>(
            std::lround((1 - cover) * image.at(x, y)[c] + cover * colour[static_cast<std::size_t>(c)]));
    }
}

inline Image white_image(int width, int height) {
  Image out(width, height, 3);
  std::fill(out.pixels.begin(), out.pixels.end(), std::uint8_t{255});
  return out;
}

inline Image to_rgb(const Image& image) {
  if (image.channels == 3) return image;
  Image out(image.width, image.height, 3);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    std::fill_n(out.pixels.begin() + static_cast<std::ptrdiff_t>(3 * i), 3, image.pixels[i]);
  return out;
}

}  // namespace d3ad::draw
