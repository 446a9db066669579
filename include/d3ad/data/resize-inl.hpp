#pragma once
// Definitions of data/resize.hpp. Included by it unless they are compiled.

#include "d3ad/data/resize.hpp"

namespace d3ad {

D3AD_INLINE Image resize(const Image& image, int width, int height) {
  D3AD_CHECK(width > 0 && height > 0, "resize: ", width, " x ", height, " is not a size");
  D3AD_CHECK(image.width > 0 && image.height > 0, "resize: the image is empty");
  if (image.width == width && image.height == height) return image;
  const int c = image.channels;

  const Image* from = &image;
  Image middle;
  if (image.width != width) {
    const auto weights = ops::resize_weights(image.width, width);
    const auto table = weights.table();
    middle = Image(width, image.height, c);
    for (int y = 0; y < image.height; ++y)
      for (int x = 0; x < width; ++x) {
        if (c == 3)
          table.mean<3>(middle.at(x, y), x, image.at(0, y), 3);
        else
          for (int k = 0; k < c; ++k) middle.at(x, y)[k] = table.mean(x, image.at(0, y) + k, c);
      }
    from = &middle;
  }
  if (image.height == height) return *from;
  const auto weights = ops::resize_weights(image.height, height);
  const auto table = weights.table();
  Image out(width, height, c);
  const std::int64_t row = std::int64_t{width} * c;
  std::uint8_t* to = out.pixels.data();
  for (int y = 0; y < height; ++y)
    for (std::int64_t i = 0; i < row; ++i) *to++ = table.mean(y, from->at(0, 0) + i, row);
  return out;
}

D3AD_INLINE std::vector<float> to_input(const Image& image, int width, int height) {
  D3AD_CHECK(image.channels == 3, "to_input: an image of ", image.channels, " channels, expected 3");
  const Image small = resize(image, width, height);
  std::vector<float> out(small.pixels.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = ops::input_number<float>(small.pixels[i]);
  return out;
}

D3AD_INLINE Image to_image(const std::vector<float>& input, int width, int height) {
  Image out(width, height, 3);
  D3AD_CHECK(input.size() == out.pixels.size(), "to_image: ", input.size(), " numbers are not ", width, " x ", height,
             " x 3");
  for (std::size_t i = 0; i < input.size(); ++i)
    out.pixels[i] = static_cast<std::uint8_t>(std::clamp((input[i] + 1.0f) * 127.5f + 0.5f, 0.0f, 255.0f));
  return out;
}

D3AD_INLINE std::vector<std::uint8_t> to_mask(const Image& mask, int width, int height) {
  D3AD_CHECK(mask.channels == 1, "to_mask: a mask of ", mask.channels, " channels, expected 1");
  const Image small = resize(mask, width, height);
  std::vector<std::uint8_t> out(small.pixels.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = small.pixels[i] > 127;
  return out;
}

}  // namespace d3ad
