#pragma once
// The figure of noiseless scaling against ordinary noising: for each image where denoising starts, what comes of it and
// the anomaly map, with omega = 0 beside omega = 1 (METHOD.md, sections 6 and 9).
//
//   draw::Drawing d = scaling_figure(detector, choose_samples(dataset, {.each = 1}), {.cell = 128});
//
// Both maps have the model's own ranges. Noising changes an image everywhere, so each way has its own scale of colours:
// from the least to the largest value of its maps.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/methods/d3ad/method.hpp"
#include "d3ad/report/figure_grid.hpp"

namespace d3ad {

// What one way of perturbing an image gives.
struct Perturbed {
  std::vector<float> start, reconstruction;  // [size x size x 3] in [-1, 1]; start: the perturbed latent, decoded
  std::vector<float> map;                    // [size x size]
  float score = 0;
  int T_hat = 0;
};

// first: the image's number, which its noise depends on.
template <class Device>
Perturbed perturb(Detector<Device>& detector, const std::vector<float>& input, double omega, std::uint64_t first = 0) {
  Context<Device>& ctx = detector.context();
  Settings settings = detector.settings();
  settings.denoising.omega = omega;
  settings.check();
  const auto& d3ad = as_d3ad(detector.method());
  const D3adAlgorithm<Device> own = d3ad.algorithm();
  const D3adAlgorithm<Device> changed{own.vae, own.unet, own.extractor, own.schedule, settings, own.loop};
  const int size = detector.image_size();
  const auto seen = changed.analyse(ctx, detector.upload(std::vector{Frame{size, size, input}}),
                                    d3ad.conditioning_on_device(), first);
  const auto map = changed.anomaly_map(ctx, seen, detector.ranges());
  const std::vector<int> T_hat{changed.chosen(d3ad.conditioning(), seen).front().T_hat};
  const auto start = diffusion::start(ctx, seen.z0, T_hat, changed.schedule, changed.denoise_options(first));
  const auto clamped = [](std::vector<float> x) {
    for (float& v : x) v = std::clamp(v, -1.0f, 1.0f);
    return x;
  };
  return {.start = clamped(detector.host(changed.decode(ctx, start), 0)),
          .reconstruction = clamped(detector.host(seen.repaired, 0)),
          .map = detector.host(map, 0),
          .score = anomaly::scores(ctx, map).front(),
          .T_hat = T_hat.front()};
}

template <class Device>
draw::Drawing scaling_figure(Detector<Device>& detector, const std::vector<Sample>& samples,
                             const GridOptions& options) {
  D3AD_CHECK(!samples.empty(), "figure: no images were chosen");
  D3AD_CHECK(!detector.tiling().on(), "figure scaling: shows whole images, and this model looks at tiles");
  const int size = detector.image_size();
  PanelGrid grid{.cell = options.cell,
                 .columns = {{"input"},
                             {"start, decoded"},
                             {"reconstruction"},
                             {"heat map"},
                             {"start, decoded"},
                             {"reconstruction"},
                             {"heat map"}},
                 .groups = {{"noiseless scaling, ω = 0", 1, 3}, {"noising, ω = 1", 4, 3}}};
  const auto total = static_cast<std::int64_t>(samples.size());
  struct Way {
    double omega;
    std::size_t map_column;
    float lo, hi;
    std::vector<std::vector<float>> maps;
  };
  std::vector<Way> ways{{0.0, 3, INFINITY, -INFINITY, {}}, {1.0, 6, INFINITY, -INFINITY, {}}};
  for (std::size_t i = 0; i < samples.size(); ++i) {
    options.work.step(static_cast<std::int64_t>(i), total);
    const auto input = read_input(samples[i].image, size);
    PanelGrid::Row row{sample_name(samples[i]), "", {to_image(input, size)}};
    for (Way& way : ways) {
      Perturbed p = perturb(detector, input, way.omega, i);
      row.panels.push_back(to_image(p.start, size));
      row.panels.push_back(to_image(p.reconstruction, size));
      row.panels.push_back(std::nullopt);  // the map, when the scale is known
      row.note += (row.note.empty() ? concat("T̂ ", p.T_hat, ", scores ") : ", ") + fixed(double{p.score}, 2);
      const auto [least, most] = std::minmax_element(p.map.begin(), p.map.end());
      way.lo = std::min(way.lo, *least), way.hi = std::max(way.hi, *most);
      way.maps.push_back(std::move(p.map));
    }
    grid.rows.push_back(std::move(row));
  }
  options.work.step(total, total);
  draw::Drawing d(std::max(grid.width(), grid.column_x(4) + 300), grid.height() + kColourNote);
  for (const Way& way : ways) {
    for (std::size_t i = 0; i < samples.size(); ++i)
      grid.rows[i].panels[way.map_column] = draw::heat_map(way.maps[i], size, way.lo, way.hi);
    draw_colour_note(d, grid.column_x(way.map_column - 2), grid.height(), way.lo, way.hi,
                     detector.calibration().threshold);
  }
  const draw::Drawing::TextStyle soft{.size = 9.5, .colour = draw::kSoft};
  d.text(PanelGrid::kMargin, grid.height() + 13, "green: the threshold;", soft);
  d.text(PanelGrid::kMargin, grid.height() + 26, "the scales differ", soft);
  grid.draw(d, 0, 0);
  return d;
}

}  // namespace d3ad
