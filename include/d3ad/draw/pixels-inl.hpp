#pragma once
// Definitions of draw/pixels.hpp. Included by it unless they are compiled.

#include "d3ad/draw/pixels.hpp"

namespace d3ad::draw {

D3AD_INLINE void fill_rectangle(Image& image, int x, int y, int w, int h, Colour colour) {
  for (int j = std::max(y, 0); j < std::min(y + h, image.height); ++j)
    for (int i = std::max(x, 0); i < std::min(x + w, image.width); ++i)
      std::copy(colour.begin(), colour.end(), image.at(i, j));
}

D3AD_INLINE void stroke(Image& image, double x0, double y0, double x1, double y1, double half, Colour colour) {
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

D3AD_INLINE Image white_image(int width, int height) {
  Image out(width, height, 3);
  std::fill(out.pixels.begin(), out.pixels.end(), std::uint8_t{255});
  return out;
}

D3AD_INLINE Image to_rgb(const Image& image) {
  if (image.channels == 3) return image;
  Image out(image.width, image.height, 3);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    std::fill_n(out.pixels.begin() + static_cast<std::ptrdiff_t>(3 * i), 3, image.pixels[i]);
  return out;
}

}  // namespace d3ad::draw
