#pragma once
// Definitions of report/figure_bins.hpp. Included by it unless they are compiled.

#include "d3ad/report/figure_bins.hpp"

namespace d3ad {

D3AD_INLINE draw::Drawing bins_figure(const BinCounts& counts, const std::string& category) {
  // Bin 0 is shown if it is not empty.
  const std::size_t first = counts.training[0] + counts.good[0] + counts.faulty[0] > 0 ? 0 : 1;
  const auto bars = [&](const char* label, const std::vector<std::int64_t>& of) {
    std::int64_t sum = 0;
    for (const auto c : of) sum += c;
    draw::Bars out{concat(label, " (", sum, ")"), {}, {}};
    for (std::size_t b = first; b < of.size(); ++b) {
      out.heights.push_back(sum > 0 ? 100.0 * static_cast<double>(of[b]) / static_cast<double>(sum) : 0.0);
      out.tips.push_back(concat(label, ", bin ", b, ": ", of[b], " of ", sum));
    }
    return out;
  };
  std::vector<std::string> names;
  draw::Axes axes{.title = "Chosen bins: " + category,
                  .x = {.label = "bin of the distance to the nearest good images, and the perturbation T̂ it chooses"},
                  .y = {.label = "share of the images, %"}};
  for (std::size_t b = first; b < counts.T_hat.size(); ++b) {
    names.push_back(std::to_string(b));
    axes.sub_names.push_back(concat("T̂ ", counts.T_hat[b]));
  }
  std::vector<draw::Bars> sets{bars("training", counts.training)};
  for (const auto& [label, of] : {std::pair{"good tests", &counts.good}, {"faulty tests", &counts.faulty}})
    if (std::any_of(of->begin(), of->end(), [](auto c) { return c > 0; })) sets.push_back(bars(label, *of));
  const double wide = std::clamp(64.0 * static_cast<double>(names.size()), 480.0, 4000.0);
  draw::Drawing d(wide + draw::kChartMargins.left + draw::kChartMargins.right, 360);
  draw::bar_chart(d, draw::inside(d), sets, names, axes);
  return d;
}

}  // namespace d3ad
