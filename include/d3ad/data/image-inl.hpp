#pragma once
// Definitions of data/image.hpp. Included by it unless they are compiled.

#include "d3ad/data/image.hpp"
#include "d3ad/data/stb.hpp"

namespace d3ad {

D3AD_INLINE bool is_image_name(const std::filesystem::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  static constexpr std::array kEndings{".png", ".jpg", ".jpeg", ".bmp"};
  return std::find(kEndings.begin(), kEndings.end(), ending) != kEndings.end();
}

}  // namespace d3ad

namespace d3ad::detail {

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

D3AD_INLINE std::pair<int, int> decode_size(const std::string& bytes, const std::filesystem::path& path) {
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

D3AD_INLINE Image decode_image(const std::string& bytes, const std::filesystem::path& path, int channels) {
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

}  // namespace d3ad::detail

namespace d3ad {

D3AD_INLINE Image read_image(const std::filesystem::path& path) {
  const std::string bytes = read_file(path, kMaxImageBytes);
  // Alpha is dropped and not blended: stb's conversion of 4 channels to 3 does just that.
  return detail::decode_image(bytes, path, 3);
}

D3AD_INLINE std::pair<int, int> read_image_size(const std::filesystem::path& path) {
  return detail::decode_size(read_file(path, kMaxImageBytes), path);
}

D3AD_INLINE Image read_mask(const std::filesystem::path& path) {
  return detail::decode_image(read_file(path, kMaxImageBytes), path, 1);
}

D3AD_INLINE std::string encode_png(const Image& image) {
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

D3AD_INLINE std::string encode_jpeg(const Image& image, int quality) {
  std::string out;
  D3AD_CHECK(stbi_write_jpg_to_func(detail::append_bytes, &out, image.width, image.height, image.channels,
                                    image.pixels.data(), quality),
             "JPEG: an image of ", image.width, " x ", image.height, " could not be encoded");
  return out;
}

D3AD_INLINE void write_png(const std::filesystem::path& path, const Image& image) {
  write_atomically(path, std::string_view(encode_png(image)));
}

}  // namespace d3ad
