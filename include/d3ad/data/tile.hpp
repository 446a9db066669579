#pragma once
// Large images in tiles: how an image is cut, and how the tiles' maps become one map again.
//
//   const Tiling tiling(size, tile, overlap);           // tile 0: whole images, resized to one square
//   Frame frame = tiling.frame(read_image("big.jpg"));  // as the networks will see it, not cut yet
//   const TileGrid grid = tiling.grid(frame.width, frame.height);
//   Stitch map(grid, 1);
//   for (int i = 0; i < grid.count(); ++i) map.add(i, judge(cut_tile(frame, grid, i)));     // [size x size]
//   std::vector<float> whole = std::move(map).take();                                       // [height x width]
//
// The image is scaled as a whole so that `tile` of its pixels become image_size, and then cut into squares of
// image_size: nothing is resized for a tile alone, a pixel of a tile's map is a pixel of the frame, and the blur keeps
// its meaning. The map thus has the resolution of the frame: the image's own if tile is image_size.
//
// Neighbouring tiles share the fraction tile_overlap of their side; the last tile of a row or column is moved inwards
// to end at the border. If the frame is smaller than a tile, it is mirrored at its right and lower border to fill the
// tile, and the mirrored part is cut off the map. Overlapping maps are averaged with weights that fall smoothly from a
// tile's centre to its border, sin^2 along each axis; they are positive everywhere and are divided by their sum, so
// that a constant map stays constant.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "d3ad/core/compiled.hpp"
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
std::vector<int> tile_borders(int length, int size, int step);

// Each tile's weights along an axis; over every pixel they sum to 1.
std::vector<std::vector<float>> tile_weights(const std::vector<int>& borders, int length, int size);

}  // namespace detail

class Tiling {
 public:
  // size: side of the square the networks take; tile: side of a tile in pixels of the image, 0 for none; overlap: share
  // of a tile's side.
  explicit Tiling(int size, int tile = 0, double overlap = 0) : size_(size), tile_(tile), overlap_(overlap) {}

  bool operator==(const Tiling&) const = default;
  bool on() const { return tile_ > 0; }
  int size() const { return size_; }

  // Width and height of the frame of an image of width x height pixels. Throws if it would be too large.
  std::pair<int, int> extent(int width, int height) const;

  // photo: RGB. Throws if extent() or grid() would.
  Frame frame(const Image& photo) const;

  // width, height: of a frame. Without tiles its one square. Throws if there would be more than kMostTiles.
  TileGrid grid(int width, int height) const;

 private:
  int size_, tile_;
  double overlap_;
};

// One tile, [size x size x 3]; mirrored if it reaches beyond the frame.
std::vector<float> cut_tile(const Frame& frame, const TileGrid& grid, int tile);

// Puts the tiles' maps together. All tiles of the grid have to be added, each once, in any order.
class Stitch {
 public:
  Stitch(const TileGrid& grid, int channels);

  // map: [size x size x channels]
  void add(int tile, const std::vector<float>& map);
  // [height x width x channels]
  std::vector<float> take() && { return std::move(sum_); }

 private:
  TileGrid grid_;
  std::size_t channels_;
  std::vector<std::vector<float>> across_, down_;
  std::vector<float> sum_;
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/data/tile-inl.hpp"
#endif
