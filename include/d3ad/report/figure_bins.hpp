#pragma once
// The figure of the chosen bins: how far the training images lie from each other, and the test images from them, which
// chooses how strongly each is perturbed (METHOD.md, section 5).
//
//   const auto counts = count_bins(detector, dataset);
//   draw::Drawing d = bins_figure(counts, "bottle");

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/core/compiled.hpp"
#include "d3ad/data/image_loader.hpp"
#include "d3ad/methods/d3ad/method.hpp"
#include "d3ad/pipeline/detector.hpp"
#include "d3ad/report/figure_panels.hpp"

namespace d3ad {

struct BinCounts {
  std::vector<int> T_hat;                            // of each bin, 0 ... bins; bin 0: nearer than any training image
  std::vector<std::int64_t> training, good, faulty;  // images in each, or tiles, if the model looks at those
  std::vector<std::string> skipped;                  // sentences about test images that could not be read
};

template <class Device>
BinCounts count_bins(Detector<Device>& detector, const Dataset& dataset, int batch = 4, const FigureWork& work = {}) {
  const auto& d3ad = as_d3ad(detector.method());
  const ImplicitConditioning& conditioning = d3ad.conditioning();
  const auto bins = static_cast<std::size_t>(conditioning.bins()) + 1;
  BinCounts out{.T_hat = std::vector<int>(bins, 0),
                .training = std::vector<std::int64_t>(bins, 0),
                .good = std::vector<std::int64_t>(bins, 0),
                .faulty = std::vector<std::int64_t>(bins, 0),
                .skipped = {}};
  const auto& edges = conditioning.state().edges;
  for (std::size_t b = 0; b < bins; ++b)  // a bin's upper edge is in it
    out.T_hat[b] = detector.settings().conditioning.dynamic ? conditioning.at(edges[b]).T_hat
                                                            : detector.settings().conditioning.T_max;
  for (const float d : conditioning.state().distances) ++out.training[static_cast<std::size_t>(conditioning.at(d).bin)];

  std::vector<std::filesystem::path> paths;
  for (const auto& s : dataset.test) paths.push_back(s.image);
  const Tiling tiling = detector.tiling();
  ImageLoader loader(paths, tiling);
  std::vector<std::vector<float>> inputs;
  std::vector<const Sample*> samples;
  auto& ctx = detector.context();
  const auto flush = [&] {
    if (inputs.empty()) return;
    auto x = make_value<float>(ctx, {static_cast<std::int64_t>(inputs.size()), tiling.size(), tiling.size(), 3});
    for (std::size_t i = 0; i < inputs.size(); ++i)
      copy_from_host(x.view().images(static_cast<std::int64_t>(i), 1), inputs[i].data());
    const auto found = conditioning.query(d3ad.algorithm().conditioning_features(ctx, std::move(x)));
    for (std::size_t i = 0; i < found.size(); ++i)
      ++(samples[i]->anomalous() ? out.faulty : out.good)[static_cast<std::size_t>(found[i].bin)];
    inputs.clear();
    samples.clear();
  };
  const auto total = static_cast<std::int64_t>(paths.size());
  for (std::size_t i = 0; i < paths.size(); ++i) {
    work.step(static_cast<std::int64_t>(i), total);
    auto item = loader.next();
    if (!item.error.empty()) {
      out.skipped.push_back(item.error);
      continue;
    }
    const Frame frame{item.frame_width, item.frame_height, std::move(item.pixels)};
    const TileGrid grid = tiling.grid(frame.width, frame.height);
    for (int tile = 0; tile < grid.count(); ++tile) {
      inputs.push_back(cut_tile(frame, grid, tile));
      samples.push_back(&dataset.test[i]);
      if (static_cast<int>(inputs.size()) == batch) flush();
    }
  }
  flush();
  work.step(total, total);
  return out;
}

draw::Drawing bins_figure(const BinCounts& counts, const std::string& category);

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/report/figure_bins-inl.hpp"
#endif
