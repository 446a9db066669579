#pragma once
// Images: PNG, JPEG and BMP in, PNG out.
//
//   Image photo = read_image("part.jpg");        // 8 bits, RGB, rows of pixels
//   Image mask = read_mask("part_mask.png");     // 8 bits, grey
//   write_png("heat.png", photo);                // atomically
//
// As Pillow's convert("RGB"): grey is repeated, alpha is dropped, palettes are resolved, EXIF orientation is ignored.
// 16-bit images keep their high byte. A file is never trusted: its size is limited, its header is read before its
// pixels, and every fault is an Error that names the file.

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/core/check.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/core/file.hpp"

namespace d3ad {

struct Image {
  int width = 0, height = 0, channels = 3;  // channels 1 or 3
  std::vector<std::uint8_t> pixels;         // height x width x channels

  Image() = default;
  Image(int w, int h, int c) : width(w), height(h), channels(c), pixels(static_cast<std::size_t>(w) * h * c) {}
  std::uint8_t* at(int x, int y) { return pixels.data() + (static_cast<std::size_t>(y) * width + x) * channels; }
  const std::uint8_t* at(int x, int y) const {
    return pixels.data() + (static_cast<std::size_t>(y) * width + x) * channels;
  }
};

inline constexpr std::size_t kMaxImageBytes = std::size_t{512} << 20;  // of a file
inline constexpr std::int64_t kMaxImagePixels = 100'000'000;

// Whether the name ends as an image's does.
bool is_image_name(const std::filesystem::path& path);

namespace detail {

// Width and height, after the checks that come before a file's pixels are looked at.
std::pair<int, int> decode_size(const std::string& bytes, const std::filesystem::path& path);

Image decode_image(const std::string& bytes, const std::filesystem::path& path, int channels);

}  // namespace detail

// RGB, 8 bits.
Image read_image(const std::filesystem::path& path);

// Width and height alone, from the file's header.
std::pair<int, int> read_image_size(const std::filesystem::path& path);

// Grey, 8 bits; colours by stb's luma.
Image read_mask(const std::filesystem::path& path);

std::string encode_png(const Image& image);

// quality: 1 to 100
std::string encode_jpeg(const Image& image, int quality);
void write_png(const std::filesystem::path& path, const Image& image);

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/data/image-inl.hpp"
#endif
