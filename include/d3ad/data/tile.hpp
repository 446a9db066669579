#pragma once
// Large images in tiles: how an image is cut, and how the tiles' maps become one map again.
//
//   const Tiling tiling(size, tile, overlap);           // tile 0: whole images, squeezed into one square
//   Frame frame = tiling.frame(read_image("big.jpg"));  // as the networks will see it, not cut yet
//   const TileGrid grid = tiling.grid(frame.width, frame.height);
//   Stitch map(grid, 1);
//   for (int i = 0; i < grid.count(); ++i) map.add(i, judge(cut_tile(frame, grid, i)));     // [size x size]
//   std::vector<float> whole = std::move(map).take();                                       // [height x width]
//
// The image is scaled as a whole so that `tile` of its pixels become image_size, and then cut in squares of image_size:
// nothing is resized per tile, a pixel of a tile's map is a pixel of the frame, and the blur keeps its meaning. The map
// thus has the resolution at which the networks saw the image: the image's own where tile is image_size.
//
// Tiles lie tile_overlap of their side over each other; the last of a row or column is moved inwards to end at the
// border. Where the frame is smaller than a tile it is mirrored at its right and lower border to fill it, and what was
// mirrored is cut off the map again. Overlapping maps are averaged with weights that fall smoothly from a tile's centre
// to its border, sin^2 along each axis: positive everywhere, and divided by their sum, so that a constant stays one.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "d3ad/data/resize.hpp"
#include "d3ad/ops/blur.hpp"

namespace d3ad {

// An image as the networks see it, before it is cut.
struct Frame {
  int width = 0, height = 0;
  std::vector<float> pixels;  // [height x width x 3] in [-1, 1]
};

// Where the tiles of one frame lie: every x with every y, row by row.
struct TileGrid {
  int width = 0, height = 0;  // of the frame
  int size = 0;               // side of a tile
  std::vector<int> xs, ys;    // left and upper borders

  int count() const { return static_cast<int>(xs.size() * ys.size()); }
  int x(int tile) const { return xs[static_cast<std::size_t>(tile) % xs.size()]; }
  int y(int tile) const { return ys[static_cast<std::size_t>(tile) / xs.size()]; }
};

// Of one image. Tiles are numbered in this range, so that each has random draws of its own (with omega, say).
inline constexpr std::int64_t kMostTiles = 65536;

namespace detail {

// Left borders of tiles along an axis of `length` pixels: `step` apart, the last one ending at the border.
inline std::vector<int> tile_borders(int length, int size, int step) {
  std::vector<int> borders{0};
  while (borders.back() + size < length) borders.push_back(std::min(borders.back() + step, length - size));
  return borders;
}

// Each tile's weights along an axis; over every pixel they sum to 1.
inline std::vector<std::vector<float>> tile_weights(const std::vector<int>& borders, int length, int size) {
  constexpr double kPi = 3.14159265358979323846;
  const auto weight = [&](int i) {
    const double s = std::sin(kPi * (i + 0.5) / size);
    return s * s;
  };
  std::vector<double> sums(static_cast<std::size_t>(length), 0);
  const auto visible = [&](int border) { return std::min(size, length - border); };
  for (const int border : borders)
    for (int i = 0; i < visible(border); ++i) sums[static_cast<std::size_t>(border + i)] += weight(i);
  std::vector<std::vector<float>> all;
  for (const int border : borders) {
    auto& weights = all.emplace_back();
    for (int i = 0; i < visible(border); ++i)
      weights.push_back(static_cast<float>(weight(i) / sums[static_cast<std::size_t>(border + i)]));
  }
  return all;
}

}  // namespace detail

class Tiling {
 public:
  // size: side of the square the networks take; tile: side of a tile in pixels of the image, 0 for none; overlap: share
  // of a tile's side.
  explicit Tiling(int size, int tile = 0, double overlap = 0) : size_(size), tile_(tile), overlap_(overlap) {}

  bool operator==(const Tiling&) const = default;
  bool on() const { return tile_ > 0; }
  int size() const { return size_; }

  // Width and height of the frame of an image of width x height pixels. Throws where it would be too large.
  std::pair<int, int> extent(int width, int height) const {
    if (!on()) return {size_, size_};
    const auto scaled = [&](int side) {
      return std::max<std::int64_t>(1, (std::int64_t{side} * size_ + tile_ / 2) / tile_);
    };
    const std::int64_t w = scaled(width), h = scaled(height);
    D3AD_CHECK(w <= kMaxImagePixels && h <= kMaxImagePixels && w * h <= kMaxImagePixels, "tiles of ", tile_,
               " pixels enlarged to ", size_, " make ", w, " x ", h, " pixels of an image of ", width, " x ", height,
               ", more than ", kMaxImagePixels, "; take larger tiles");
    return {static_cast<int>(w), static_cast<int>(h)};
  }

  // photo: RGB. Throws where extent() or grid() would.
  Frame frame(const Image& photo) const {
    const auto [width, height] = extent(photo.width, photo.height);
    grid(width, height);  // which may be too many tiles
    return {width, height, to_input(photo, width, height)};
  }

  // width, height: of a frame. Without tiles its one square. Throws where there would be more than kMostTiles.
  TileGrid grid(int width, int height) const {
    if (!on()) return {size_, size_, size_, {0}, {0}};
    const int step = std::max(1, size_ - static_cast<int>(std::lround(overlap_ * size_)));
    TileGrid out{width, height, size_, detail::tile_borders(width, size_, step),
                 detail::tile_borders(height, size_, step)};
    const auto count = static_cast<std::int64_t>(out.xs.size()) * static_cast<std::int64_t>(out.ys.size());
    D3AD_CHECK(count <= kMostTiles, "an image of ", count, " tiles, expected at most ", kMostTiles,
               "; take larger tiles or less overlap");
    return out;
  }

 private:
  int size_, tile_;
  double overlap_;
};

// One tile, [size x size x 3]; mirrored where it reaches beyond the frame.
inline std::vector<float> cut_tile(const Frame& frame, const TileGrid& grid, int tile) {
  D3AD_CHECK(frame.width == grid.width && frame.height == grid.height && tile >= 0 && tile < grid.count(), "cut: tile ",
             tile, " of ", grid.count(), " for ", grid.width, " x ", grid.height, " pixels, of a frame of ",
             frame.width, " x ", frame.height);
  std::vector<float> out;
  out.reserve(static_cast<std::size_t>(grid.size) * static_cast<std::size_t>(grid.size) * 3);
  const int left = grid.x(tile), top = grid.y(tile);
  const auto width = static_cast<std::size_t>(frame.width);
  for (int y = 0; y < grid.size; ++y) {
    const float* row = frame.pixels.data() + static_cast<std::size_t>(ops::mirrored(top + y, frame.height)) * width * 3;
    for (int x = 0; x < grid.size; ++x) {
      const float* pixel = row + 3 * ops::mirrored(left + x, frame.width);
      out.insert(out.end(), pixel, pixel + 3);
    }
  }
  return out;
}

// Puts the tiles' maps together. All tiles of the grid have to be added, each once, in any order.
class Stitch {
 public:
  Stitch(const TileGrid& grid, int channels)
      : grid_(grid),
        channels_(static_cast<std::size_t>(channels)),
        across_(detail::tile_weights(grid.xs, grid.width, grid.size)),
        down_(detail::tile_weights(grid.ys, grid.height, grid.size)),
        sum_(static_cast<std::size_t>(grid.width) * static_cast<std::size_t>(grid.height) * channels_, 0.0f) {}

  // map: [size x size x channels]
  void add(int tile, const std::vector<float>& map) {
    const auto size = static_cast<std::size_t>(grid_.size), width = static_cast<std::size_t>(grid_.width);
    D3AD_CHECK(map.size() == size * size * channels_, "stitch: a map of ", map.size(), " numbers, expected ", size,
               " x ", size, " x ", channels_);
    const auto left = static_cast<std::size_t>(grid_.x(tile)), top = static_cast<std::size_t>(grid_.y(tile));
    const auto& across = across_[static_cast<std::size_t>(tile) % grid_.xs.size()];
    const auto& down = down_[static_cast<std::size_t>(tile) / grid_.xs.size()];
    for (std::size_t y = 0; y < down.size(); ++y)
      for (std::size_t x = 0; x < across.size(); ++x) {
        const float weight = down[y] * across[x];
        const float* from = map.data() + (y * size + x) * channels_;
        float* to = sum_.data() + ((top + y) * width + left + x) * channels_;
        for (std::size_t c = 0; c < channels_; ++c) to[c] += weight * from[c];
      }
  }
  // [height x width x channels]
  std::vector<float> take() && { return std::move(sum_); }

 private:
  TileGrid grid_;
  std::size_t channels_;
  std::vector<std::vector<float>> across_, down_;
  std::vector<float> sum_;
};

}  // namespace d3ad
