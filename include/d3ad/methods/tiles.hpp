#pragma once
// A method on one large image: tile by tile, into raw maps of the whole.
//
//   auto found = analyse_tiles(ctx, method, frame, tiling.grid(frame.width, frame.height), {.batch = 4});
//   found.raw           raw maps before they are scaled, mixed and blurred, which is done once, over all seams
//   found.tiles         where each tile lies, and its attributes
//
// Calibration, detection and ablation go through this one function. What has the image's size is on the host; the device
// holds one batch of tiles.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "d3ad/anomaly/map.hpp"
#include "d3ad/data/tile.hpp"
#include "d3ad/methods/method.hpp"

namespace d3ad {

struct TileFinding {
  int x = 0, y = 0;  // left upper corner in the map
  std::vector<float> attributes;
};

struct TiledAnalysis {
  anomaly::RawMaps raw;                    // [height x width]; score: the largest of the tiles' own ones
  std::vector<anomaly::RawMaps> compared;  // the same of others, which compare again
  std::vector<float> reconstruction;       // [height x width x 3], in about [-1, 1]; empty if the method has none
  std::vector<TileFinding> tiles;
};

struct TileOptions {
  int batch = 4;  // tiles computed together
  BatchPlace place = {};
  // Before each batch: tiles done, of how many. May throw to stop.
  std::function<void(int done, int total)> progress = [](int, int) {};
};

// An image of tiles has the attributes of the tile where the deciding one is largest, of the first tile if none decides.
inline std::vector<float> deciding_attributes(const MethodInfo& info, const std::vector<TileFinding>& tiles) {
  const TileFinding* most = &tiles.front();
  for (std::size_t a = 0; a < info.attributes.size(); ++a)
    if (info.attributes[a].decides)
      for (const auto& tile : tiles)
        if (tile.attributes[a] >= most->attributes[a]) most = &tile;
  return most->attributes;
}

// Attributes of each image of a batch. Waits for the device.
template <class Device>
std::vector<std::vector<float>> attributes_of(const Method<Device>& method, const MethodOutput<Device>& found,
                                              std::size_t images) {
  std::vector<float> host(images * method.measured());
  if (!host.empty()) copy_to_host(host.data(), View<const float, Device>(found.measured.view()));
  return method.attributes(host, images);
}

// The raw maps of each image of a batch on the host, with the method's own score if it has one. maps: found.maps, or
// those of a method that compares again. Waits for the device.
template <class Device>
std::vector<anomaly::RawMaps> raw_maps(const Method<Device>& method, const MethodOutput<Device>& found,
                                       const std::vector<Value<float, Device>>& maps) {
  auto all = anomaly::to_host(maps);
  if (!method.info().scores) return all;
  std::vector<float> scores(all.size());
  copy_to_host(scores.data(), View<const float, Device>(found.score.view()));
  for (std::size_t i = 0; i < all.size(); ++i) all[i].score = scores[i];
  return all;
}

// others: methods that compare the same reconstructions otherwise (Method::compare_again).
template <class Device>
TiledAnalysis analyse_tiles(Context<Device>& ctx, Method<Device>& method, const Frame& frame, const TileGrid& grid,
                            const TileOptions& options, const std::vector<Method<Device>*>& others = {}) {
  const std::size_t kinds = method.info().maps.size();
  std::vector<std::vector<Stitch>> maps(1 + others.size(), std::vector<Stitch>(kinds, Stitch(grid, 1)));
  Stitch repaired(grid, 3);
  TiledAnalysis out;
  float score = -INFINITY;  // the largest of the tiles'
  out.compared.resize(others.size());
  for (int start = 0; start < grid.count(); start += options.batch) {
    options.progress(start, grid.count());
    const int count = std::min(options.batch, grid.count() - start);
    auto x = make_value<float>(ctx, {count, grid.size, grid.size, 3});
    for (int i = 0; i < count; ++i) copy_from_host(x.view().images(i, 1), cut_tile(frame, grid, start + i).data());
    BatchPlace place = options.place;
    place.first += static_cast<std::uint64_t>(start);
    if (place.left_out >= 0) place.left_out += start;
    const auto found = method.analyse(ctx, x, place);
    const auto attributes = attributes_of(method, found, static_cast<std::size_t>(count));
    for (std::size_t m = 0; m < maps.size(); ++m) {
      const auto raw = raw_maps(method, found, m == 0 ? found.maps : others[m - 1]->compare_again(ctx, x, found));
      for (const auto& tile : raw) score = std::max(score, tile.score);
      for (int i = 0; i < count; ++i)
        for (std::size_t k = 0; k < kinds; ++k) maps[m][k].add(start + i, raw[static_cast<std::size_t>(i)].maps[k]);
    }
    std::vector<float> pixels(static_cast<std::size_t>(grid.size) * static_cast<std::size_t>(grid.size) * 3);
    for (int i = 0; i < count; ++i) {
      out.tiles.push_back({grid.x(start + i), grid.y(start + i), attributes[static_cast<std::size_t>(i)]});
      if (!method.info().reconstructs) continue;
      copy_to_host(pixels.data(), View<const float, Device>(found.reconstruction.view().images(i, 1)));
      repaired.add(start + i, pixels);
    }
  }
  for (std::size_t m = 0; m < maps.size(); ++m) {
    auto& raw = m == 0 ? out.raw : out.compared[m - 1];
    raw = {.h = grid.height, .w = grid.width, .maps = {}, .score = score};
    for (auto& stitch : maps[m]) raw.maps.push_back(std::move(stitch).take());
  }
  if (method.info().reconstructs) out.reconstruction = std::move(repaired).take();
  return out;
}

}  // namespace d3ad
