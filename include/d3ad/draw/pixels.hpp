#pragma once
// Drawing in pixels: colours, rectangles and smoothed strokes in an Image.
//
//   draw::fill_rectangle(image, 10, 10, 80, 20, {31, 119, 180});
//   draw::stroke(image, 0, 0, 80.5, 20, 1.5, {200, 0, 0});         // a line with a width of 3 pixels

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "d3ad/core/compiled.hpp"
#include "d3ad/data/image.hpp"

namespace d3ad::draw {

using Colour = std::array<std::uint8_t, 3>;

// What is outside of the image is not drawn, here and in stroke(). The image has three channels.
void fill_rectangle(Image& image, int x, int y, int w, int h, Colour colour);

// A line of half width `half`, with round ends and smoothed borders. The centre of pixel (0, 0) is at (0.5, 0.5).
void stroke(Image& image, double x0, double y0, double x1, double y1, double half, Colour colour);

Image white_image(int width, int height);

Image to_rgb(const Image& image);

}  // namespace d3ad::draw

#if D3AD_DEFINITIONS
#include "d3ad/draw/pixels-inl.hpp"
#endif
