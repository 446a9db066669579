#pragma once
// Definitions of data/tile.hpp. Included by it unless they are compiled.

#include "d3ad/data/tile.hpp"

namespace d3ad::detail {

D3AD_INLINE std::vector<int> tile_borders(int length, int size, int step) {
  std::vector<int> borders{0};
  while (borders.back() + size < length) borders.push_back(std::min(borders.back() + step, length - size));
  return borders;
}

D3AD_INLINE std::vector<std::vector<float>> tile_weights(const std::vector<int>& borders, int length, int size) {
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

}  // namespace d3ad::detail

namespace d3ad {

D3AD_INLINE std::vector<float> cut_tile(const Frame& frame, const TileGrid& grid, int tile) {
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

}  // namespace d3ad

namespace d3ad {

D3AD_INLINE std::pair<int, int> Tiling::extent(int width, int height) const {
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

D3AD_INLINE Frame Tiling::frame(const Image& photo) const {
  const auto [width, height] = extent(photo.width, photo.height);
  grid(width, height);  // which may be too many tiles
  return {width, height, to_input(photo, width, height)};
}

D3AD_INLINE TileGrid Tiling::grid(int width, int height) const {
  if (!on()) return {size_, size_, size_, {0}, {0}};
  const int step = std::max(1, size_ - static_cast<int>(std::lround(overlap_ * size_)));
  TileGrid out{width, height, size_, detail::tile_borders(width, size_, step),
               detail::tile_borders(height, size_, step)};
  const auto count = static_cast<std::int64_t>(out.xs.size()) * static_cast<std::int64_t>(out.ys.size());
  D3AD_CHECK(count <= kMostTiles, "an image of ", count, " tiles, expected at most ", kMostTiles,
             "; take larger tiles or less overlap");
  return out;
}

D3AD_INLINE Stitch::Stitch(const TileGrid& grid, int channels)
    : grid_(grid),
      channels_(static_cast<std::size_t>(channels)),
      across_(detail::tile_weights(grid.xs, grid.width, grid.size)),
      down_(detail::tile_weights(grid.ys, grid.height, grid.size)),
      sum_(static_cast<std::size_t>(grid.width) * static_cast<std::size_t>(grid.height) * channels_, 0.0f) {}

D3AD_INLINE void Stitch::add(int tile, const std::vector<float>& map) {
  const auto size = static_cast<std::size_t>(grid_.size), width = static_cast<std::size_t>(grid_.width);
  D3AD_CHECK(map.size() == size * size * channels_, "stitch: a map of ", map.size(), " numbers, expected ", size, " x ",
             size, " x ", channels_);
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

}  // namespace d3ad
