#pragma once
// Resizing as Pillow does it (bilinear, antialiased, 8 bits), and the networks' input.
//
//   Image small = resize(photo, 256, 256);
//   std::vector<float> x = to_input(photo, 256);             // [256 x 256 x 3] in [-1, 1]
//   std::vector<std::uint8_t> m = to_mask(mask, 256);        // 1 where faulty
//
// Pillow's arithmetic (ops/image_input.hpp, which does the same on a device): horizontal, then vertical, rounded to 8
// bits in between. The result equals Pillow's, so that a model gets the same input as the reference.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "d3ad/core/compiled.hpp"
#include "d3ad/data/image.hpp"
#include "d3ad/ops/image_input.hpp"

namespace d3ad {

Image resize(const Image& image, int width, int height);

// [height x width x 3] in [-1, 1]
std::vector<float> to_input(const Image& image, int width, int height);
inline std::vector<float> to_input(const Image& image, int size) { return to_input(image, size, size); }

// An image of [-1, 1] numbers as 8 bits.
Image to_image(const std::vector<float>& input, int width, int height);
inline Image to_image(const std::vector<float>& input, int size) { return to_image(input, size, size); }

// Resized as images are, then foreground above one half.
std::vector<std::uint8_t> to_mask(const Image& mask, int width, int height);
inline std::vector<std::uint8_t> to_mask(const Image& mask, int size) { return to_mask(mask, size, size); }

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/data/resize-inl.hpp"
#endif
