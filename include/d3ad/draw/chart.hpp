#pragma once
// The chart of all pages and pictures: curves or bars, axes with round numbers, a legend and a mark. Also colour bars.
//
//   draw::Drawing d(420, 260);
//   draw::line_chart(d, draw::inside(d), {{"I-AUROC", x, y}}, {.title = "Noise", .x = {.label = "ω"}});
//
//   draw::Drawing b(420, 260);
//   draw::bar_chart(b, draw::inside(b), {{"good", {3, 5}}}, {"1", "2"}, {.title = "T̂", .y = {.label = "images"}});
//
// The area is that of the axes. Titles, numbers, labels and the legend are outside of it, within kChartMargins. A page
// may give its own colours to the classes s0, s1, ... of the series, grid, ink, soft and mark.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/core/check.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/data/table.hpp"
#include "d3ad/draw/drawing.hpp"
#include "d3ad/draw/picture.hpp"

namespace d3ad::draw {

struct Area {
  double x, y, w, h;
};
// What a chart needs on each side of its area, in units of the drawing.
struct ChartMargins {
  double left = 56, right = 16, top = 46, bottom = 54;
};
inline constexpr ChartMargins kChartMargins;

// The area of a chart that fills a drawing.
inline Area inside(const Drawing& d) {
  return {kChartMargins.left, kChartMargins.top, d.width() - kChartMargins.left - kChartMargins.right,
          d.height() - kChartMargins.top - kChartMargins.bottom};
}

struct Series {
  std::string label;
  std::vector<double> x, y;            // points that are not finite (or not positive on a log axis) are left out
  std::vector<std::string> tips = {};  // of each point, if there are dots; may be empty
};

struct Bars {
  std::string label;
  std::vector<double> heights;         // not negative
  std::vector<std::string> tips = {};  // of each bar; empty: label, name and height
};

struct Tick {
  double at;
  std::string text;
};
struct Axis {
  std::string label = {};
  double from = NAN, to = NAN;   // NAN: the range of the data and of the ticks that are given
  bool log = false;              // then from and to are positive
  std::vector<Tick> ticks = {};  // empty: round numbers
};

struct Axes {
  std::string title = {};
  Axis x = {}, y = {};
  double mark_x = NAN;  // a dashed vertical line here, if it is on the axis (of bars: x.from ... x.to)
  std::string mark_label = {};
  bool legend = true;                       // false: the caller draws one for several charts (legend_entry())
  bool joined = true, dots = false;         // of line_chart; not joined: points of several series are side by side
  std::vector<std::string> sub_names = {};  // of bar_chart: a second line under each group's name
};

// Round numbers from lo to hi, about `count` of them.
std::vector<double> ticks(double lo, double hi, int count);

// The same for a logarithmic axis, lo > 0: 1, 2, 3, 5, 7 times powers of ten, or fewer of these, at most `most`. If
// these are fewer than two, the result is that of ticks().
std::vector<double> log_ticks(double lo, double hi, std::size_t most);

// Six digits, as printf's %g, in every locale.
inline std::string tick_text(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof(text), value, std::chars_format::general, 6).ptr};
}

inline constexpr std::size_t kSeriesColours = 10;
// Colours that colour-blind readers can distinguish too (after Okabe and Ito), then five more. Lines beyond these are
// dashed.
inline Ink series_ink(std::size_t i) {
  static constexpr Ink kInks[kSeriesColours] = {
      {0, 114, 178, "s0"},  {213, 94, 0, "s1"},   {0, 158, 115, "s2"}, {204, 121, 167, "s3"}, {86, 180, 233, "s4"},
      {130, 80, 223, "s5"}, {184, 134, 11, "s6"}, {193, 39, 45, "s7"}, {91, 103, 112, "s8"},  {0, 124, 137, "s9"}};
  return kInks[i % kSeriesColours];
}

// An entry of a legend: 18 units of a line like line_chart's, or a bar; then the label. x, y: left end, baseline.
enum class Swatch { bar, line, dot, line_and_dot };
void legend_entry(Drawing& d, double x, double y, const std::string& label, std::size_t series, Swatch swatch);
inline double legend_entry_width(const std::string& label) { return 34 + kWidestFont * font::width(label, 11); }

namespace detail {

struct Scale {
  double from, to, low, high;  // from, to: values or their logarithms; low, high: positions
  bool log = false;
  double value(double v) const { return log ? std::log10(v) : v; }
  double at(double v) const { return low + (value(v) - from) / (to - from) * (high - low); }
  bool has(double v) const { return std::isfinite(v) && (!log || v > 0); }
};

}  // namespace detail

// The x axis covers the data and the ticks that are given; lines end at its end. Series without points are not in the
// legend.
void line_chart(Drawing& d, const Area& a, const std::vector<Series>& all, const Axes& axes);

// A group of bars for each name. Under them are the names, except those that would overlap the one before; or, if
// axes.x has from and to, round numbers.
void bar_chart(Drawing& d, const Area& a, const std::vector<Bars>& sets, const std::vector<std::string>& names,
               const Axes& axes);

// The colours of heat maps from lo to hi. The threshold is marked if it is between them. 220 x 23 units.
void colour_bar(Drawing& d, double x, double y, float lo, float hi, float threshold);

}  // namespace d3ad::draw

#if D3AD_DEFINITIONS
#include "d3ad/draw/chart-inl.hpp"
#endif
