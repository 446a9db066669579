// Tiles: how images are cut, that every pixel is covered, that maps are stitched without seams.

#include "d3ad/data/tile.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "d3ad/core/rng.hpp"
#include "support/temporary_folder.hpp"

namespace tile_test {

using namespace d3ad;
using test::contains, test::refusal;

namespace {

// Pixel (x, y) is x and y, in the three channels x, y, x + y.
Frame ramp(int width, int height) {
  Frame frame{width, height, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (const int v : {x, y, x + y}) frame.pixels.push_back(static_cast<float>(v));
  return frame;
}

std::vector<float> stitched(const TileGrid& grid, const std::vector<std::vector<float>>& maps, int channels = 1) {
  Stitch stitch(grid, channels);
  for (int i = grid.count() - 1; i >= 0; --i) stitch.add(i, maps[static_cast<std::size_t>(i)]);
  return std::move(stitch).take();
}

// The mean of columns [from, to) of a map.
double mean(const std::vector<float>& map, const TileGrid& grid, int from, int to) {
  double sum = 0;
  for (int y = 0; y < grid.height; ++y)
    for (int x = from; x < to; ++x) sum += map[static_cast<std::size_t>(y * grid.width + x)];
  return sum / (grid.height * (to - from));
}

}  // namespace

TEST_CASE("tiles cover every pixel, overlap as asked and end at the border") {
  for (const int width : {64, 65, 100, 112, 113, 300, 768})
    for (const double overlap : {0.0, 0.25, 0.5, 0.75}) {
      CAPTURE(width);
      CAPTURE(overlap);
      const Tiling tiling(64, 64, overlap);
      CHECK(tiling.extent(width, 80) == std::pair(width, 80));
      const TileGrid grid = tiling.grid(width, 80);
      CHECK(grid.xs.front() == 0);
      CHECK(grid.xs.back() == width - 64);
      CHECK(grid.ys == std::vector{0, 16});
      CHECK(grid.count() == static_cast<int>(grid.xs.size() * 2));
      const int step = static_cast<int>(std::lround(64 * (1 - overlap)));
      for (std::size_t i = 1; i < grid.xs.size(); ++i) {
        const int moved = grid.xs[i] - grid.xs[i - 1];
        CHECK(moved > 0);
        if (i + 1 < grid.xs.size())
          CHECK(moved == step);  // only the last one is moved inwards
        else
          CHECK(moved <= step);
      }
    }
  const TileGrid grid = Tiling(64, 64, 0.25).grid(768, 312);
  CHECK(grid.xs == std::vector{0, 48, 96, 144, 192, 240, 288, 336, 384, 432, 480, 528, 576, 624, 672, 704});
  CHECK(grid.x(17) == 48);  // row by row
  CHECK(grid.y(17) == 48);
}

TEST_CASE("an image is scaled as a whole, so that a tile's pixels become the networks' square") {
  CHECK(Tiling(256, 312, 0.25).extent(768, 312) == std::pair(630, 256));
  CHECK(Tiling(256, 128, 0.25).extent(300, 200) == std::pair(600, 400));
  CHECK(Tiling(64, 16384, 0).extent(10, 10) == std::pair(1, 1));
  CHECK(Tiling(256).extent(768, 312) == std::pair(256, 256));  // no tiles: squeezed into one square
  CHECK(Tiling(256).grid(256, 256).count() == 1);
  Image photo(40, 20, 3);
  photo.at(10, 5)[0] = 200;
  const Frame same = Tiling(32, 32, 0).frame(photo);
  CHECK(same.width == 40);
  CHECK(same.pixels == to_input(photo, 40, 20));
  CHECK(Tiling(32).frame(photo).pixels == to_input(photo, 32));
  CHECK(contains(refusal([] { Tiling(2048, 32, 0).extent(5000, 5000); }), "take larger tiles"));
  CHECK(contains(refusal([] { Tiling(64, 64, 0.75).grid(20000, 20000); }), "expected at most 65536"));
}

TEST_CASE("a tile holds its part of the image, mirrored where the image is smaller") {
  const Frame frame = ramp(100, 70);
  const TileGrid grid = Tiling(64, 64, 0.25).grid(100, 70);
  for (int tile = 0; tile < grid.count(); ++tile) {
    const auto cut = cut_tile(frame, grid, tile);
    REQUIRE(cut.size() == 64 * 64 * 3);
    bool same = true;
    for (int y = 0; y < 64; ++y)
      for (int x = 0; x < 64; ++x)
        same = same && cut[static_cast<std::size_t>((y * 64 + x) * 3)] == static_cast<float>(grid.x(tile) + x) &&
               cut[static_cast<std::size_t>((y * 64 + x) * 3 + 1)] == static_cast<float>(grid.y(tile) + y);
    CHECK(same);
  }
  // 40 x 5 pixels: column 40 is column 38 again, row 5 row 3, and rows go to and fro.
  const TileGrid one = Tiling(64, 64, 0.25).grid(40, 5);
  CHECK(one.count() == 1);
  const auto cut = cut_tile(ramp(40, 5), one, 0);
  CHECK(cut[40 * 3] == 38);
  CHECK(cut[63 * 3] == 15);
  CHECK(cut[5 * 64 * 3 + 1] == 3);
  CHECK(cut[8 * 64 * 3 + 1] == 0);
  CHECK(cut[9 * 64 * 3 + 1] == 1);
  CHECK(contains(refusal([&] { cut_tile(frame, one, 0); }), "of a frame of 100 x 70"));
  CHECK(contains(refusal([&] { cut_tile(frame, grid, grid.count()); }), "cut: tile"));
}

TEST_CASE("what was cut is stitched to the same image, whatever its size") {
  for (const auto& [width, height] : {std::pair(64, 64), std::pair(200, 90), std::pair(129, 64), std::pair(30, 100)})
    for (const double overlap : {0.0, 0.25, 0.75}) {
      const Frame frame = ramp(width, height);
      const TileGrid grid = Tiling(64, 64, overlap).grid(width, height);
      std::vector<std::vector<float>> tiles;
      for (int i = 0; i < grid.count(); ++i) tiles.push_back(cut_tile(frame, grid, i));
      const auto whole = stitched(grid, tiles, 3);
      REQUIRE(whole.size() == frame.pixels.size());
      double worst = 0;
      for (std::size_t i = 0; i < whole.size(); ++i)
        worst = std::max(worst, std::abs(double{whole[i]} - double{frame.pixels[i]}));
      CHECK(worst < 300 * 1e-6);
    }
}

TEST_CASE("a constant stays constant, and every pixel counts every tile that covers it") {
  for (const double overlap : {0.0, 0.25, 0.5, 0.75}) {
    const TileGrid grid = Tiling(64, 64, overlap).grid(301, 140);
    const std::vector<float> constant(64 * 64, 0.37f);
    for (const float v : stitched(grid, std::vector(static_cast<std::size_t>(grid.count()), constant)))
      CHECK(std::abs(v - 0.37f) < 1e-6f);
    // One tile alone at 1: positive all over it, nothing beyond.
    for (const int chosen : {0, grid.count() / 2, grid.count() - 1}) {
      std::vector<std::vector<float>> maps(static_cast<std::size_t>(grid.count()), std::vector<float>(64 * 64, 0.0f));
      maps[static_cast<std::size_t>(chosen)].assign(64 * 64, 1.0f);
      const auto whole = stitched(grid, maps);
      int wrong = 0;
      for (int y = 0; y < grid.height; ++y)
        for (int x = 0; x < grid.width; ++x) {
          const bool inside =
              x >= grid.x(chosen) && x < grid.x(chosen) + 64 && y >= grid.y(chosen) && y < grid.y(chosen) + 64;
          wrong += (whole[static_cast<std::size_t>(y * grid.width + x)] > 0) != inside;
        }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("a seam is as bright as what surrounds it, and tiles that differ go over smoothly") {
  // Noise of the same mean in each tile: where tiles overlap no column of it differs in its mean.
  const TileGrid grid = Tiling(64, 64, 0.25).grid(160, 640);
  REQUIRE(grid.xs == std::vector{0, 48, 96});
  std::vector<std::vector<float>> maps;
  for (int i = 0; i < grid.count(); ++i) {
    auto& map = maps.emplace_back();
    const Rng rng(1, static_cast<std::uint64_t>(i));
    for (std::uint64_t k = 0; k < 64 * 64; ++k) map.push_back(0.5f + 0.1f * (rng.uniform(k) - 0.5f));
  }
  const auto noise = stitched(grid, maps);
  for (const int seam : {48, 96}) CHECK(mean(noise, grid, seam, seam + 16) == doctest::Approx(0.5).epsilon(0.005));
  CHECK(mean(noise, grid, 64, 96) == doctest::Approx(0.5).epsilon(0.005));
  // Tiles of 0 on the left and 1 on the right: no step between columns above a fifth, though they have only 16 to go.
  for (int i = 0; i < grid.count(); ++i)
    maps[static_cast<std::size_t>(i)].assign(64 * 64, grid.x(i) == 0 ? 0.0f : 1.0f);
  const auto edge = stitched(grid, maps);
  double steepest = 0;
  for (int x = 1; x < grid.width; ++x)
    steepest = std::max(steepest, mean(edge, grid, x, x + 1) - mean(edge, grid, x - 1, x));
  CHECK(mean(edge, grid, 47, 48) == 0);
  CHECK(mean(edge, grid, 64, 65) == doctest::Approx(1));
  CHECK(mean(edge, grid, 55, 57) == doctest::Approx(0.5).epsilon(0.01));
  CHECK(steepest < 0.2);
}

TEST_CASE("a bright dot stays at its place") {
  const int width = 150, height = 100;
  const TileGrid grid = Tiling(64, 64, 0.25).grid(width, height);
  for (const auto& [x, y] :
       {std::pair(0, 0), std::pair(149, 99), std::pair(50, 40), std::pair(56, 88), std::pair(90, 10)}) {
    Frame frame{width, height, std::vector<float>(static_cast<std::size_t>(width * height * 3), 0.0f)};
    const auto at = static_cast<std::size_t>(y * width + x);
    frame.pixels[3 * at] = 1;
    std::vector<std::vector<float>> maps;
    for (int i = 0; i < grid.count(); ++i) {
      auto& map = maps.emplace_back();
      const auto tile = cut_tile(frame, grid, i);
      for (std::size_t k = 0; k < tile.size(); k += 3) map.push_back(tile[k]);
    }
    const auto whole = stitched(grid, maps);
    CHECK(whole[at] == doctest::Approx(1));
    CHECK(std::count_if(whole.begin(), whole.end(), [](float v) { return v != 0; }) == 1);
  }
  CHECK(contains(refusal([&] { Stitch(grid, 1).add(0, std::vector<float>(63 * 64)); }), "expected 64 x 64 x 1"));
}

}  // namespace tile_test
