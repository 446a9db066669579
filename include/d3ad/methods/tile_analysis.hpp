#pragma once
// The method on one large image: tile by tile, each with its own T̂, into maps of the whole.
//
//   auto found = analyse_tiles(ctx, method, frame, tiling.grid(frame.width, frame.height), {.batch = 4},
//                              [&](int) { return conditioning; });
//   found.raw           both maps before they are scaled, mixed and blurred, which is done once, over all seams
//   found.tiles         where each tile lies, and its T̂
//
// Calibration and detection go through this one function. What has the image's size is on the host; the device holds
// one batch of tiles.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "d3ad/anomaly/map.hpp"
#include "d3ad/data/tile.hpp"
#include "d3ad/methods/d3ad/method.hpp"

namespace d3ad {

struct TileFinding {
  int x = 0, y = 0;  // left upper corner in the map
  Conditioning conditioning;
};

struct TiledAnalysis {
  anomaly::MapPair raw;                           // [height x width]
  std::vector<std::vector<float>> more_features;  // other methods' feature maps, [height x width]
  std::vector<float> reconstruction;              // [height x width x 3], in about [-1, 1]
  std::vector<TileFinding> tiles;
};

struct TileOptions {
  int batch = 4;            // tiles computed together
  std::uint64_t first = 0;  // the first tile's number, which random draws depend on
  // Before each batch: tiles done, of how many. May throw to stop.
  std::function<void(int done, int total)> progress = [](int, int) {};
};

// An image of tiles counts for the tile that lies farthest from the good ones.
inline Conditioning farthest(const std::vector<TileFinding>& tiles) {
  Conditioning most;
  for (const auto& tile : tiles)
    if (tile.conditioning.distance >= most.distance) most = tile.conditioning;
  return most;
}

// good(i): the good images' features to compare the tiles from the i-th on with. others: methods that look at the same
// reconstructions with other layers.
template <class Device, class Good>
TiledAnalysis analyse_tiles(Context<Device>& ctx, const Method<Device>& method, const Frame& frame,
                            const TileGrid& grid, const TileOptions& options, Good&& good,
                            const std::vector<Method<Device>>& others = {}) {
  TiledAnalysis out;
  Stitch latent(grid, 1), feature(grid, 1), repaired(grid, 3);
  std::vector<Stitch> more(others.size(), Stitch(grid, 1));
  for (int start = 0; start < grid.count(); start += options.batch) {
    options.progress(start, grid.count());
    const int count = std::min(options.batch, grid.count() - start);
    auto x = make_value<float>(ctx, {count, grid.size, grid.size, 3});
    for (int i = 0; i < count; ++i) copy_from_host(x.view().images(i, 1), cut_tile(frame, grid, start + i).data());
    const ConditioningOn<Device>& known = good(start);
    const auto seen = method.analyse(ctx, x, known, options.first + static_cast<std::uint64_t>(start));
    const auto conditioning = method.chosen(known.host(), seen);
    const auto raw = anomaly::to_host(seen.latent_map, seen.feature_map);
    for (std::size_t k = 0; k < others.size(); ++k) {
      const auto map = others[k].feature_difference(ctx, x, seen.repaired);
      std::vector<float> one(static_cast<std::size_t>(map.shape().size() / count));
      for (int i = 0; i < count; ++i) {
        copy_to_host(one.data(), View<const float, Device>(map.view().images(i, 1)));
        more[k].add(start + i, one);
      }
    }
    std::vector<float> pixels(static_cast<std::size_t>(grid.size) * static_cast<std::size_t>(grid.size) * 3);
    for (int i = 0; i < count; ++i) {
      const auto at = static_cast<std::size_t>(i);
      copy_to_host(pixels.data(), View<const float, Device>(seen.repaired.view().images(i, 1)));
      latent.add(start + i, raw[at].latent);
      feature.add(start + i, raw[at].feature);
      repaired.add(start + i, pixels);
      out.tiles.push_back({grid.x(start + i), grid.y(start + i), conditioning[at]});
    }
  }
  out.raw = {grid.height, grid.width, std::move(latent).take(), std::move(feature).take()};
  out.reconstruction = std::move(repaired).take();
  for (auto& stitch : more) out.more_features.push_back(std::move(stitch).take());
  return out;
}

}  // namespace d3ad
