// Images: every kind that is read, what is refused and how; resizing against Pillow's results.

#include <doctest/doctest.h>

#include <array>
#include <cstring>

#include "d3ad/core/rng.hpp"
#include "d3ad/data/image-inl.hpp"
#include "d3ad/data/resize.hpp"
#include "support/golden.hpp"
#include "support/temporary_folder.hpp"

namespace image_test {

using namespace d3ad;

namespace {

Image gradient(int w, int h, int c) {
  Image image(w, h, c);
  for (int y = 0; y < h; ++y)
    for (int x = 0; x < w; ++x)
      for (int k = 0; k < c; ++k) image.at(x, y)[k] = static_cast<std::uint8_t>(x * 7 + y * 13 + k * 50);
  return image;
}

void append(std::string& out, std::uint32_t big_endian) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(big_endian >> shift);
}
void chunk(std::string& png, const std::string& type, const std::string& data) {
  append(png, static_cast<std::uint32_t>(data.size()));
  const std::string body = type + data;
  std::uint32_t crc = ~0u;
  for (const char byte : body) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  png += body;
  append(png, ~crc);
}
// A PNG of any depth and colour type (0 grey, 2 RGB, 4 grey + alpha, 6 RGBA), its rows stored uncompressed.
std::string png(int w, int h, int depth, int colour, const std::string& rows) {
  std::string out = "\x89PNG\r\n\x1a\n", header, data = std::string("\x78\x01", 2);
  append(header, static_cast<std::uint32_t>(w));
  append(header, static_cast<std::uint32_t>(h));
  header += {static_cast<char>(depth), static_cast<char>(colour), 0, 0, 0};
  chunk(out, "IHDR", header);
  const auto length = static_cast<std::uint16_t>(rows.size());
  data += {1, static_cast<char>(length), static_cast<char>(length >> 8), static_cast<char>(~length),
           static_cast<char>(~length >> 8)};
  data += rows;
  std::uint32_t a = 1, b = 0;
  for (const char byte : rows) a = (a + static_cast<unsigned char>(byte)) % 65521, b = (b + a) % 65521;
  append(data, b << 16 | a);
  chunk(out, "IDAT", data);
  chunk(out, "IEND", "");
  return out;
}

Image read_bytes(const std::string& bytes) {
  const test::TemporaryFolder folder;
  write_atomically(folder / "image", std::string_view(bytes));
  return read_image(folder / "image");
}

Image bytes_image(const SafetensorsFile& file, const std::string& name) {
  const auto dims = file.dims(name);
  Image image(static_cast<int>(dims[1]), static_cast<int>(dims[0]), dims.size() > 2 ? static_cast<int>(dims[2]) : 1);
  std::memcpy(image.pixels.data(), file.bytes(name).data(), image.pixels.size());
  return image;
}

}  // namespace

TEST_CASE("a PNG comes back as it was written") {
  const test::TemporaryFolder folder;
  const Image rgb = gradient(31, 17, 3), grey = gradient(9, 30, 1);
  write_png(folder / "a.png", rgb);
  write_png(folder / "b.png", grey);
  const Image back = read_image(folder / "a.png");
  CHECK(back.width == 31);
  CHECK(back.height == 17);
  CHECK(back.pixels == rgb.pixels);
  CHECK(read_mask(folder / "b.png").pixels == grey.pixels);
  CHECK(folder.entries() == 2);
  // Grey is repeated.
  const Image wide = read_image(folder / "b.png");
  for (std::size_t i = 0; i < grey.pixels.size(); ++i)
    for (std::size_t c = 0; c < 3; ++c) REQUIRE(wide.pixels[3 * i + c] == grey.pixels[i]);
}

TEST_CASE("sixteen bits keep the high byte, alpha is dropped and not blended") {
  const std::string grey16("\0\x12\xff\xab\x00", 5);  // filter 0, then two pixels
  const Image a = read_bytes(png(2, 1, 16, 0, grey16));
  CHECK(a.pixels == std::vector<std::uint8_t>{0x12, 0x12, 0x12, 0xab, 0xab, 0xab});
  const std::string rgb16("\0\x01\xff\x02\xff\x03\xff", 7);
  CHECK(read_bytes(png(1, 1, 16, 2, rgb16)).pixels == std::vector<std::uint8_t>{1, 2, 3});
  const std::string rgba("\0\x0a\x0b\x0c\x00\x0d\x0e\x0f\x80", 9);
  CHECK(read_bytes(png(2, 1, 8, 6, rgba)).pixels == std::vector<std::uint8_t>{10, 11, 12, 13, 14, 15});
  const std::string grey_alpha("\0\x40\x00", 3);
  CHECK(read_bytes(png(1, 1, 8, 4, grey_alpha)).pixels == std::vector<std::uint8_t>{64, 64, 64});
}

TEST_CASE("JPEG and BMP are read") {
  const Image image = gradient(16, 8, 3);
  std::string jpeg, bmp;
  stbi_write_jpg_to_func(detail::append_bytes, &jpeg, 16, 8, 3, image.pixels.data(), 100);
  stbi_write_bmp_to_func(detail::append_bytes, &bmp, 16, 8, 3, image.pixels.data());
  CHECK(read_bytes(bmp).pixels == image.pixels);
  const Image lossy = read_bytes(jpeg);
  REQUIRE(lossy.pixels.size() == image.pixels.size());
  double error = 0;
  for (std::size_t i = 0; i < lossy.pixels.size(); ++i) error += std::abs(lossy.pixels[i] - image.pixels[i]);
  CHECK(error / static_cast<double>(lossy.pixels.size()) < 8);
}

TEST_CASE("a file that is no image is a sentence with its name") {
  const test::TemporaryFolder folder;
  using test::contains, test::refusal;
  const auto refused = [&](const std::string& bytes) {
    write_atomically(folder / "bad.png", std::string_view(bytes));
    return refusal([&] { read_image(folder / "bad.png"); });
  };
  CHECK(contains(refusal([&] { read_image(folder / "none.png"); }), "none.png"));
  CHECK(contains(refusal([&] { read_image(folder.path()); }), folder.path().string()));
  CHECK(contains(refused(""), "bad.png' is empty"));
  CHECK(contains(refused("hello, I am a text"), "is not a PNG, JPEG or BMP"));
  const std::string good = encode_png(gradient(40, 30, 3));
  CHECK(contains(refused(good.substr(0, 20)), "bad.png"));
  CHECK(contains(refused(good.substr(0, good.size() / 2)), "is damaged"));
  CHECK(contains(refused(png(12000, 12000, 8, 2, "")), "12000 x 12000 pixels, expected at least 1 x 1 and at most"));
  CHECK(contains(refused(png(60000, 60000, 8, 2, "")), "is not a PNG, JPEG or BMP that can be read"));
  CHECK(refused(good) == "");
}

TEST_CASE("no damage to a file makes the reader do more than refuse") {
  std::string jpeg;
  const Image image = gradient(24, 16, 3);
  stbi_write_jpg_to_func(detail::append_bytes, &jpeg, 24, 16, 3, image.pixels.data(), 90);
  const Rng rng(1, 2);
  std::uint64_t draw = 0;
  int read = 0;
  for (const std::string& whole : {encode_png(image), jpeg})
    for (int round = 0; round < 300; ++round) {
      std::string bytes = whole;
      for (std::uint32_t flips = 1 + rng.below(draw++, 5); flips > 0; --flips) {
        const auto place = rng.below(draw++, bytes.size());
        bytes[place] = static_cast<char>(rng.bits(draw++));
      }
      if (rng.below(draw++, 3) == 0) bytes.resize(rng.below(draw++, bytes.size()));
      try {
        const Image got = detail::decode_image(bytes, "fuzz", 3);
        REQUIRE(got.pixels.size() == static_cast<std::size_t>(got.width) * got.height * 3);
        ++read;
      } catch (const Error& error) {
        REQUIRE(test::contains(error.what(), "fuzz"));
      }
    }
  CHECK(read > 0);
}

TEST_CASE("a JPEG's Huffman table of more than 256 codes is refused") {
  std::string jpeg;
  const Image image = gradient(24, 16, 3);
  stbi_write_jpg_to_func(detail::append_bytes, &jpeg, 24, 16, 3, image.pixels.data(), 90);
  const auto refused = [](const std::string& bytes) {
    return test::refusal([&] { detail::decode_image(bytes, "table.jpg", 3); });
  };
  CHECK(refused(jpeg) == "");
  const std::size_t table = jpeg.find("\xFF\xC4");
  REQUIRE(table != std::string::npos);
  std::string bad = jpeg;
  bad[table + 5] = bad[table + 6] = '\xFF';  // 510 codes of one and two bits
  CHECK(test::contains(refused(bad), "table.jpg' is damaged (Huffman table)"));
  // The same bytes where they are no table: in a comment, which is stepped over.
  std::string comment("\xFF\xFE\x00\x20", 4);
  comment += bad.substr(table, 30);
  CHECK(refused(jpeg.substr(0, 2) + comment + jpeg.substr(2)) == "");
  // And a table after the first scan.
  CHECK(test::contains(refused(jpeg.substr(0, jpeg.size() - 2) + bad.substr(table, 600)), "Huffman table"));
}

TEST_CASE("names of images") {
  for (const char* name : {"a.png", "b.JPG", "c.jpeg", "d.Bmp"}) CHECK(is_image_name(name));
  for (const char* name : {"a.txt", "png", "b.tiff", "c.png.bak", ""}) CHECK_FALSE(is_image_name(name));
}

TEST_CASE("resizing equals Pillow's to one level") {
  const test::Golden golden("resize");
  const auto check = [&](const std::string& in, const std::string& out) {
    const Image want = bytes_image(golden.file, out);
    const Image got = resize(bytes_image(golden.file, in), want.width, want.height);
    int worst = 0, off = 0;
    for (std::size_t i = 0; i < want.pixels.size(); ++i) {
      worst = std::max(worst, std::abs(got.pixels[i] - want.pixels[i]));
      off += got.pixels[i] != want.pixels[i];
    }
    CHECK(worst <= 1);
    CHECK(off * 100 < static_cast<int>(want.pixels.size()));
  };
  check("in.0", "out.0");
  check("in.1", "out.1");
  check("mask.in", "mask.out");
}

TEST_CASE("sampling without a wider filter would be noticed") {
  const test::Golden golden("resize");
  const Image in = bytes_image(golden.file, "in.0"), want = bytes_image(golden.file, "out.0");
  int worst = 0;
  for (int y = 0; y < want.height; ++y)
    for (int x = 0; x < want.width; ++x)
      worst = std::max(worst,
                       std::abs(in.at(x * in.width / want.width, y * in.height / want.height)[0] - want.at(x, y)[0]));
  CHECK(worst > 1);
}

TEST_CASE("inputs lie in [-1, 1], masks are 0 and 1, constant images stay constant") {
  Image grey(300, 200, 3);
  std::fill(grey.pixels.begin(), grey.pixels.end(), std::uint8_t{200});
  for (const float v : to_input(grey, 64)) CHECK(v == doctest::Approx(200 / 127.5 - 1));
  const auto input = to_input(gradient(100, 80, 3), 64);
  for (const float v : input) CHECK_UNARY(v >= -1.0f && v <= 1.0f);
  const Image back = to_image(input, 64);
  CHECK(back.pixels == resize(gradient(100, 80, 3), 64, 64).pixels);
  Image half(20, 10, 1);
  for (int y = 0; y < 10; ++y)
    for (int x = 10; x < 20; ++x) half.at(x, y)[0] = 255;
  const auto mask = to_mask(half, 10);
  for (int y = 0; y < 10; ++y)
    for (int x = 0; x < 10; ++x) CHECK(mask[static_cast<std::size_t>(y * 10 + x)] == (x >= 5));
  CHECK_THROWS_WITH_AS(resize(Image(), 5, 5), doctest::Contains("the image is empty"), Error);
  CHECK_THROWS_WITH_AS(resize(half, 0, 5), doctest::Contains("is not a size"), Error);
}

}  // namespace image_test
