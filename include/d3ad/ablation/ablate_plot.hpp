#pragma once
// The plot of an ablation: one SVG, which opens alone.
//
//   write_atomically("ablation.svg", ablation_plot(result, "bottle"));
//
// Along the axis runs the option with the most numeric values. With no other option of several values there is a panel
// for each protocol, with a line for each metric; else a row of panels for each protocol, a panel for each metric, and
// a line for each value of the second option. Of options beyond these two the best value counts at each point, and of
// several seeds the mean.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/ablation/ablate_rows.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/draw/chart.hpp"

namespace d3ad {

// Its file: a whole SVG.
std::string ablation_plot(const AblationResult& result, const std::string& category);

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/ablation/ablate_plot-inl.hpp"
#endif
