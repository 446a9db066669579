// Pictures: colours, outlines, masks, panels under their labels.

#include "d3ad/draw/picture.hpp"

#include <doctest/doctest.h>

namespace picture_test {

using namespace d3ad;
using namespace d3ad::draw;

namespace {

int count(const Image& image, Colour colour) {
  int n = 0;
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x) n += std::equal(colour.begin(), colour.end(), image.at(x, y));
  return n;
}

// 16 x 16, 1 in a square of 4 x 4, else 0
std::vector<float> square() {
  std::vector<float> map(256, 0.0f);
  for (int y = 6; y < 10; ++y)
    for (int x = 6; x < 10; ++x) map[static_cast<std::size_t>(y * 16 + x)] = 1.0f;
  return map;
}

}  // namespace

TEST_CASE("heat grows in brightness from dark to light, and is clamped") {
  int before = -1;
  for (int i = 0; i <= 100; ++i) {
    const auto c = heat_colour(static_cast<float>(i) / 100);
    const int brightness = 2 * c[0] + 5 * c[1] + c[2];
    CHECK(brightness >= before);
    before = brightness;
  }
  CHECK(heat_colour(-3) == heat_colour(0));
  CHECK(heat_colour(3) == heat_colour(1));
  CHECK(heat_colour(NAN) == heat_colour(1));  // what cannot be told is not shown as good
}

TEST_CASE("a heat map shows its scale, a mask what is above the threshold") {
  const auto heat = heat_map(square(), 16, 0, 1);
  CHECK(count(heat, heat_colour(1)) == 16);
  CHECK(count(heat, heat_colour(0)) == 240);
  CHECK(count(heat_map(square(), 16, 5, 5), heat_colour(0)) == 256);  // no range: nothing stands out
  const auto mask = mask_picture(square(), 16, 0.5f);
  CHECK(std::count(mask.pixels.begin(), mask.pixels.end(), 255) == 16);
  CHECK_THROWS_WITH_AS(heat_map(square(), 15, 0, 1), doctest::Contains("are not 15 x 15"), Error);
  CHECK_THROWS_WITH_AS(mask_picture(square(), 17, 0), doctest::Contains("are not 17 x 17"), Error);
}

TEST_CASE("an overlay outlines what is above the threshold and leaves the good alone") {
  Image photo(16, 16, 3);
  std::fill(photo.pixels.begin(), photo.pixels.end(), std::uint8_t{100});
  const auto over = overlay(photo, square(), 16, 0, 1, 0.5f);
  CHECK(count(over, {0, 255, 80}) == 12);
  CHECK(count(over, {100, 100, 100}) == 240);
  const auto nothing = overlay(photo, square(), 16, 0, 1, 2.0f);
  CHECK(count(nothing, {0, 255, 80}) == 0);
  CHECK_THROWS_WITH_AS(overlay(Image(8, 8, 3), square(), 16, 0, 1, 1), doctest::Contains("expected 16 x 16 x 3"),
                       Error);
}

TEST_CASE("panels stand in a row under their labels") {
  Image grey(20, 10, 1), red(12, 10, 3);
  std::fill(grey.pixels.begin(), grey.pixels.end(), std::uint8_t{9});
  for (int y = 0; y < 10; ++y)
    for (int x = 0; x < 12; ++x) red.at(x, y)[0] = 255;
  const auto row = side_by_side({grey, red}, {"A", "B"});
  CHECK(row.width == 6 + 20 + 6 + 12 + 6);
  CHECK(count(row, {9, 9, 9}) == 200);
  CHECK(count(row, {255, 0, 0}) == 120);
  int ink = 0;
  for (int y = 0; y < 16; ++y)
    for (int x = 0; x < row.width; ++x) ink += row.at(x, y)[0] < 128;
  CHECK(ink > 20);
  CHECK_THROWS_AS(side_by_side({grey}, {}), Error);
}

}  // namespace picture_test
