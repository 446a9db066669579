#pragma once
// The figure of omega, the noise at the start of denoising: metrics for each value, and under each what becomes of some
// images (METHOD.md, sections 6 and 9).
//
//   OmegaSweep sweep(samples);                       the images that are shown
//   for (double omega : values) {
//     Detector<Cpu> detector(ctx, model, [&](Settings& s) { s.denoising.omega = omega; });
//     sweep.add(detector, dataset, options);
//   }
//   draw::Drawing d = sweep.figure({.cell = 96, .title = "bottle"});
//
// Metrics are those of the paper's protocol: maps scaled by their range over the test set, with each value anew.

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/pipeline/evaluate.hpp"
#include "d3ad/report/figure_panels.hpp"

namespace d3ad {

struct OmegaPoint {
  double omega = 0;
  MetricRow metrics;
  std::vector<Image> reconstructions;  // of each shown image
};

class OmegaSweep {
 public:
  struct FigureOptions {
    double cell = 96;
    std::string title;
  };

  explicit OmegaSweep(std::vector<Sample> shown) : shown_(std::move(shown)) {}

  // Evaluates the test set; returns what evaluate() returns. The shown images have to be among the test set's.
  template <class Device>
  EvaluationResult add(Detector<Device>& detector, const Dataset& dataset, EvaluationOptions options) {
    OmegaPoint point{.omega = detector.settings().denoising.omega, .metrics = {}, .reconstructions = {}};
    point.reconstructions.resize(shown_.size());
    inputs_.resize(shown_.size());
    options.each = [&](const Sample& sample, const Detection& d) {
      for (std::size_t i = 0; i < shown_.size(); ++i)
        if (shown_[i].image == sample.image) {
          point.reconstructions[i] = to_image(d.reconstruction, d.width, d.height);
          inputs_[i] = to_image(d.input, d.width, d.height);
        }
    };
    auto result = evaluate(detector, dataset, options);
    for (std::size_t i = 0; i < shown_.size(); ++i)
      D3AD_CHECK(!point.reconstructions[i].pixels.empty(), "figure: '", shown_[i].image.string(),
                 "' is to be shown and could not be judged");
    for (const auto& row : result.rows)
      if (row.defect == "all" && row.protocol == "paper") point.metrics = row;
    points_.push_back(std::move(point));
    return result;
  }

  const std::vector<OmegaPoint>& points() const { return points_; }

  draw::Drawing figure(const FigureOptions& options) const {
    D3AD_CHECK(!points_.empty(), "figure: there are no values of omega");
    PanelGrid grid{.cell = options.cell, .columns = {{"input"}}, .groups = {}};
    for (const auto& p : points_) grid.columns.push_back({"ω = " + number(p.omega)});
    for (std::size_t i = 0; i < shown_.size(); ++i) {
      PanelGrid::Row row{sample_name(shown_[i]), "", {inputs_[i]}};
      for (const auto& p : points_) row.panels.push_back(p.reconstructions[i]);
      grid.rows.push_back(std::move(row));
    }

    std::vector<double> omegas;
    std::vector<draw::Tick> ticks;
    for (const auto& p : points_) omegas.push_back(p.omega), ticks.push_back({p.omega, number(p.omega)});
    std::vector<draw::Series> series;
    for (const Metric& m : kMetrics) {
      const std::string key = m.key;
      if (key != "i_auroc" && key != "p_auroc" && key != "pro") continue;
      draw::Series s{m.title, omegas, {}};
      for (const auto& p : points_) s.y.push_back(100 * p.metrics.*m.value);
      series.push_back(std::move(s));
    }
    // Over the middles of the columns, so that equally spaced values stand over their pictures.
    constexpr double kHigh = 200;
    const double middle = 0.5 * grid.cell, left = grid.column_x(1) + middle;
    const double wide = std::max(grid.column_x(points_.size()) + middle - left, 200.0);
    const double below = 14 + draw::kChartMargins.top + kHigh + draw::kChartMargins.bottom;
    draw::Drawing d(std::max(grid.width(), left + wide + draw::kChartMargins.right), below + grid.height());
    draw::line_chart(d, {left, 14 + draw::kChartMargins.top, wide, kHigh}, series,
                     {.title = options.title,
                      .x = {.label = "ω: 0 noiseless scaling, 1 noising", .ticks = ticks},
                      .y = {.label = "percent"},
                      .dots = true});
    grid.draw(d, 0, below);
    return d;
  }

 private:
  std::vector<Sample> shown_;
  std::vector<Image> inputs_;
  std::vector<OmegaPoint> points_;
};

}  // namespace d3ad
