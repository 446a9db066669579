#pragma once
// The figure of what a model finds: input, reconstruction, true mask, heat map, overlay; a row for each image.
//
//   draw::Drawing d = grid_figure(detector, choose_samples(dataset, {.each = 2}), {.cell = 128});

#include <string>
#include <utility>
#include <vector>

#include "d3ad/data/image_loader.hpp"
#include "d3ad/pipeline/detector.hpp"
#include "d3ad/report/figure_panels.hpp"

namespace d3ad {

struct GridOptions {
  double cell = 128;
  FigureWork work = {};
};

// Under a grid: what the colours of its heat maps mean. Takes kColourNote units of height.
inline constexpr double kColourNote = 44;
inline void draw_colour_note(draw::Drawing& d, double x, double y, float lo, float hi, float threshold) {
  d.text(x, y + 14, "heat map", {.size = 11});
  draw::colour_bar(d, x + 60, y + 6, lo, hi, threshold);
}

template <class Device>
draw::Drawing grid_figure(Detector<Device>& detector, const std::vector<Sample>& samples, const GridOptions& options) {
  D3AD_CHECK(!samples.empty(), "figure: no images were chosen");
  const float threshold = detector.calibration().threshold;
  const bool reconstructs = detector.method().info().reconstructs;
  PanelGrid grid{.cell = options.cell, .columns = {{"input"}, {"true mask"}, {"heat map"}, {"overlay"}}};
  if (reconstructs) grid.columns.insert(grid.columns.begin() + 1, {"reconstruction"});
  for (std::size_t i = 0; i < samples.size(); ++i) {
    options.work.step(static_cast<std::int64_t>(i), static_cast<std::int64_t>(samples.size()));
    const Sample& sample = samples[i];
    const Detection d = std::move(detector(std::vector{detector.tiling().frame(read_image(sample.image))}).front());
    auto shown =
        draw::detection_panels(d.input, d.reconstruction, d.map, d.width, d.height, detector.brightest(), threshold);
    PanelGrid::Row row{
        sample_name(sample), "score " + fixed(double{d.score}, 3) + (d.faulty ? ", faulty" : ", good"), {}};
    const std::size_t heat = reconstructs ? 2 : 1;  // after the input and, if there is one, the reconstruction
    for (std::size_t p = 0; p < heat; ++p) row.panels.push_back(std::move(shown[p]));
    row.panels.push_back(truth_panel(sample, d.width, d.height));
    for (std::size_t p = heat; p < shown.size(); ++p) row.panels.push_back(std::move(shown[p]));
    grid.rows.push_back(std::move(row));
  }
  options.work.step(static_cast<std::int64_t>(samples.size()), static_cast<std::int64_t>(samples.size()));
  draw::Drawing d(std::max(grid.width(), 640.0), grid.height() + kColourNote);
  grid.draw(d, 0, 0);
  draw_colour_note(d, PanelGrid::kMargin + PanelGrid::kLabels, grid.height(), 0, detector.brightest(), threshold);
  d.text(PanelGrid::kMargin + PanelGrid::kLabels + 300, grid.height() + 14,
         "green: the threshold, " + fixed(double{threshold}, 3) + "; above it a pixel is faulty",
         {.size = 10, .colour = draw::kSoft});
  return d;
}

}  // namespace d3ad
