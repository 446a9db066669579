#pragma once
// Resizing as Pillow does it (bilinear, antialiased, 8 bits), and what networks are given.
//
//   Image small = resize(photo, 256, 256);
//   std::vector<float> x = to_input(photo, 256);             // [256 x 256 x 3] in [-1, 1]
//   std::vector<std::uint8_t> m = to_mask(mask, 256);        // 1 where faulty
//
// Pillow's arithmetic (Resample.c): horizontal, then vertical, each with weights of 22 bits after the point, rounded to
// 8 bits in between. Equal to Pillow's result, so that a model sees what the reference saw.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "d3ad/pipeline/image.hpp"

namespace d3ad {

namespace detail {

// For each output position: the first input position and the weights from there.
struct ResizeWeights {
  std::vector<int> first;
  std::vector<std::vector<std::int32_t>> weights;
};

inline constexpr int kResizeBits = 32 - 8 - 2;

inline ResizeWeights resize_weights(int in, int out) {
  ResizeWeights result;
  const double scale = static_cast<double>(in) / out, filter = std::max(scale, 1.0), support = filter;
  for (int i = 0; i < out; ++i) {
    const double center = (i + 0.5) * scale;
    const int lo = std::max(static_cast<int>(center - support + 0.5), 0);
    const int hi = std::min(static_cast<int>(center + support + 0.5), in);
    std::vector<double> w;
    double sum = 0;
    for (int x = lo; x < hi; ++x) {
      const double distance = std::abs((x - center + 0.5) / filter);
      w.push_back(distance < 1.0 ? 1.0 - distance : 0.0);
      sum += w.back();
    }
    std::vector<std::int32_t> fixed;
    for (const double v : w) {
      const double scaled = (sum != 0 ? v / sum : v) * (1 << kResizeBits);
      fixed.push_back(static_cast<std::int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5));
    }
    result.first.push_back(lo);
    result.weights.push_back(std::move(fixed));
  }
  return result;
}

inline std::uint8_t resize_round(std::int64_t sum) {
  return static_cast<std::uint8_t>(std::clamp<std::int64_t>(sum >> kResizeBits, 0, 255));
}

}  // namespace detail

inline Image resize(const Image& image, int width, int height) {
  D3AD_CHECK(width > 0 && height > 0, "resize: ", width, " x ", height, " is not a size");
  D3AD_CHECK(image.width > 0 && image.height > 0, "resize: the image is empty");
  if (image.width == width && image.height == height) return image;
  constexpr std::int64_t kHalf = std::int64_t{1} << (detail::kResizeBits - 1);
  const int c = image.channels;

  const Image* from = &image;
  Image middle;
  if (image.width != width) {
    const auto w = detail::resize_weights(image.width, width);
    middle = Image(width, image.height, c);
    for (int y = 0; y < image.height; ++y)
      for (int x = 0; x < width; ++x)
        for (int k = 0; k < c; ++k) {
          const auto& weights = w.weights[static_cast<std::size_t>(x)];
          const std::uint8_t* p = image.at(w.first[static_cast<std::size_t>(x)], y) + k;
          std::int64_t sum = kHalf;
          for (std::size_t i = 0; i < weights.size(); ++i)
            sum += std::int64_t{p[i * static_cast<std::size_t>(c)]} * weights[i];
          middle.at(x, y)[k] = detail::resize_round(sum);
        }
    from = &middle;
  }
  if (image.height == height) return *from;
  const auto w = detail::resize_weights(image.height, height);
  Image out(width, height, c);
  const std::size_t row = static_cast<std::size_t>(width) * c;
  for (int y = 0; y < height; ++y) {
    const auto& weights = w.weights[static_cast<std::size_t>(y)];
    const std::uint8_t* p = from->pixels.data() + static_cast<std::size_t>(w.first[static_cast<std::size_t>(y)]) * row;
    for (std::size_t x = 0; x < row; ++x) {
      std::int64_t sum = kHalf;
      for (std::size_t i = 0; i < weights.size(); ++i) sum += std::int64_t{p[i * row + x]} * weights[i];
      out.pixels[static_cast<std::size_t>(y) * row + x] = detail::resize_round(sum);
    }
  }
  return out;
}

// [size x size x 3] in [-1, 1]
inline std::vector<float> to_input(const Image& image, int size) {
  D3AD_CHECK(image.channels == 3, "to_input: an image of ", image.channels, " channels, expected 3");
  const Image small = resize(image, size, size);
  std::vector<float> out(small.pixels.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(small.pixels[i]) / 255.0f * 2.0f - 1.0f;
  return out;
}

// An image of [-1, 1] numbers as 8 bits.
inline Image to_image(const std::vector<float>& input, int size) {
  Image out(size, size, 3);
  D3AD_CHECK(input.size() == out.pixels.size(), "to_image: ", input.size(), " numbers are not ", size, " x ", size,
             " x 3");
  for (std::size_t i = 0; i < input.size(); ++i)
    out.pixels[i] = static_cast<std::uint8_t>(std::clamp((input[i] + 1.0f) * 127.5f + 0.5f, 0.0f, 255.0f));
  return out;
}

// Resized as images are, then foreground above one half.
inline std::vector<std::uint8_t> to_mask(const Image& mask, int size) {
  D3AD_CHECK(mask.channels == 1, "to_mask: a mask of ", mask.channels, " channels, expected 1");
  const Image small = resize(mask, size, size);
  std::vector<std::uint8_t> out(small.pixels.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = small.pixels[i] > 127;
  return out;
}

}  // namespace d3ad
