#pragma once
// Images: PNG, JPEG and BMP in, PNG out.
//
//   Image photo = read_image("part.jpg");        // 8 bits, RGB, rows of pixels
//   Image mask = read_mask("part_mask.png");     // 8 bits, grey
//   write_png("heat.png", photo);                // atomically
//
// As Pillow's convert("RGB"): grey is repeated, alpha is dropped, palettes are resolved, EXIF orientation is ignored.
// 16-bit images keep their high byte. A file is never trusted: its size is limited, its header is read before its
// pixels, and whatever is wrong with it is an Error that names it.

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
#include "d3ad/core/file.hpp"
#include "d3ad/data/stb.hpp"

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
inline bool is_image_name(const std::filesystem::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  static constexpr std::array kEndings{".png", ".jpg", ".jpeg", ".bmp"};
  return std::find(kEndings.begin(), kEndings.end(), ending) != kEndings.end();
}

namespace detail {

// Whether a Huffman table of a JPEG holds more than 256 codes, which its format does not allow and versions of
// stb_image before 2.29 write past the end of an array for. Segments up to the first scan are stepped over by their
// lengths, as the decoder does; after it every table is looked at, wherever it stands.
inline bool has_oversized_huffman_table(const std::string& bytes) {
  const auto at = [&](std::size_t i) { return i < bytes.size() ? static_cast<std::uint8_t>(bytes[i]) : 0U; };
  const auto oversized = [&](std::size_t segment) {  // the place of its length
    const std::size_t end = segment + (at(segment) << 8 | at(segment + 1));
    for (std::size_t table = segment + 2; table < end && table < bytes.size();) {
      std::size_t codes = 0;
      for (std::size_t i = 1; i <= 16; ++i) codes += at(table + i);
      if (codes > 256) return true;
      table += 17 + codes;
    }
    return false;
  };
  constexpr unsigned kTables = 0xC4, kScan = 0xDA;
  bool scanned = false;
  for (std::size_t i = 2; i + 1 < bytes.size(); ++i) {
    if (at(i) != 0xFF || at(i + 1) == 0xFF) continue;
    const unsigned marker = at(i + 1);
    if (marker == kTables && oversized(i + 2)) return true;
    scanned = scanned || marker == kScan;
    if (!scanned) i += 1 + (at(i + 2) << 8 | at(i + 3));
  }
  return false;
}

// Width and height, after the checks that come before a file's pixels are looked at.
inline std::pair<int, int> decode_size(const std::string& bytes, const std::filesystem::path& path) {
  const auto* data = reinterpret_cast<const stbi_uc*>(bytes.data());
  D3AD_CHECK(!bytes.empty(), "image '", path.string(), "' is empty");
  const auto length = static_cast<int>(bytes.size());
  const bool jpeg = data[0] == 0xFF;
  D3AD_CHECK(!jpeg || !has_oversized_huffman_table(bytes), "image '", path.string(), "' is damaged (Huffman table)");
  int w = 0, h = 0, c = 0;
  D3AD_CHECK(stbi_info_from_memory(data, length, &w, &h, &c), "image '", path.string(),
             "' is not a PNG, JPEG or BMP that can be read (", stbi_failure_reason(), ")");
  D3AD_CHECK(w > 0 && h > 0 && std::int64_t{w} * h <= kMaxImagePixels, "image '", path.string(), "' is ", w, " x ", h,
             " pixels, expected at least 1 x 1 and at most ", kMaxImagePixels, " in all");
  return {w, h};
}

inline Image decode_image(const std::string& bytes, const std::filesystem::path& path, int channels) {
  decode_size(bytes, path);
  const auto* data = reinterpret_cast<const stbi_uc*>(bytes.data());
  const auto length = static_cast<int>(bytes.size());
  int w = 0, h = 0, c = 0;
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(stbi_load_from_memory(data, length, &w, &h, &c, channels),
                                                         stbi_image_free);
  D3AD_CHECK(pixels, "image '", path.string(), "' is damaged (", stbi_failure_reason(), ")");
  Image image(w, h, channels);
  std::copy_n(pixels.get(), image.pixels.size(), image.pixels.begin());
  return image;
}

inline void append_bytes(void* context, void* data, int size) {
  static_cast<std::string*>(context)->append(static_cast<const char*>(data), static_cast<std::size_t>(size));
}

}  // namespace detail

// RGB, 8 bits.
inline Image read_image(const std::filesystem::path& path) {
  const std::string bytes = read_file(path, kMaxImageBytes);
  // Alpha is dropped and not blended: stb's conversion of 4 channels to 3 does just that.
  return detail::decode_image(bytes, path, 3);
}

// Width and height alone, from the file's header.
inline std::pair<int, int> read_image_size(const std::filesystem::path& path) {
  return detail::decode_size(read_file(path, kMaxImageBytes), path);
}

// Grey, 8 bits; colours by stb's luma.
inline Image read_mask(const std::filesystem::path& path) {
  return detail::decode_image(read_file(path, kMaxImageBytes), path, 1);
}

inline std::string encode_png(const Image& image) {
  D3AD_CHECK(image.width > 0 && image.height > 0 && (image.channels == 1 || image.channels == 3) &&
                 image.pixels.size() == static_cast<std::size_t>(image.width) * image.height * image.channels,
             "PNG: an image of ", image.width, " x ", image.height, " x ", image.channels, " with ",
             image.pixels.size(), " bytes cannot be written");
  std::string out;
  D3AD_CHECK(stbi_write_png_to_func(detail::append_bytes, &out, image.width, image.height, image.channels,
                                    image.pixels.data(), image.width * image.channels),
             "PNG: an image of ", image.width, " x ", image.height, " could not be encoded");
  return out;
}

inline void write_png(const std::filesystem::path& path, const Image& image) {
  write_atomically(path, std::string_view(encode_png(image)));
}

}  // namespace d3ad
