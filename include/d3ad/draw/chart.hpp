#pragma once
// Charts and colour bars in a drawing (draw/drawing.hpp): curves with a mark at each point, bars side by side.
//
//   chart::lines(d, {.x = 60, .y = 30, .w = 400, .h = 200}, {{"I-AUROC", x, y}}, {.title = "ω", .x_label = "ω"});
//   chart::bars(d, area, {{"good (25)", shares, tips}}, {"1", "2"}, options);
//
// The area is that of the axes; titles, numbers, labels and the legend stand around it, within kAround units.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "d3ad/draw/axis.hpp"
#include "d3ad/draw/drawing.hpp"

namespace d3ad::chart {

struct Area {
  double x, y, w, h;
};
struct Around {
  double left = 56, right = 16, top = 46, bottom = 54;
};
inline constexpr Around kAround;

struct Options {
  std::string title = {}, x_label = {}, y_label = {};
  double y_from = NAN, y_to = NAN;          // NAN: from the data
  std::vector<double> x_ticks = {};         // none: round numbers
  std::vector<std::string> sub_names = {};  // bars: a second line under each group's name
};

struct Bars {
  std::string label;
  std::vector<double> heights;
  std::vector<std::string> tips = {};  // of each bar; or none
};

// Colours that differ for the colour-blind too (after Okabe and Ito).
inline Colour colour(std::size_t i) {
  static constexpr Colour kColours[] = {{0, 114, 178}, {213, 94, 0}, {0, 158, 115}, {204, 121, 167}, {86, 180, 233}};
  return kColours[i % std::size(kColours)];
}

namespace detail {

inline constexpr Colour kInk{60, 60, 60}, kFaint{226, 226, 226};

struct Scale {
  double from, to, low, high;  // values, places
  double at(double v) const { return low + (v - from) / (to - from) * (high - low); }
};

inline void frame(Drawing& d, const Area& a, const Options& o, const Scale& y, const std::vector<std::string>& labels) {
  for (const double t : plot::ticks(y.from, y.to, 6)) {
    d.line({{a.x, y.at(t)}, {a.x + a.w, y.at(t)}}, kFaint);
    d.text(a.x - 6, y.at(t) + 4, plot::tick_text(t), {.size = 11, .anchor = Anchor::end, .colour = kInk});
  }
  d.text(a.x, a.y - 30, o.title, {.size = 13, .bold = true});
  d.text(a.x + a.w / 2, a.y + a.h + (o.sub_names.empty() ? 36 : 46), o.x_label,
         {.size = 11.5, .anchor = Anchor::middle, .colour = kInk});
  d.text(a.x - 42, a.y + a.h / 2, o.y_label, {.size = 11.5, .anchor = Anchor::middle, .turned = true, .colour = kInk});
  double x = a.x;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    d.rectangle(x, a.y - 19, 12, 8, colour(i));
    d.text(x + 17, a.y - 11, labels[i], {.size = 11, .colour = kInk});
    x += 38 + kWidestFont * stroke_font::width(labels[i], 11);
  }
}
inline void axes(Drawing& d, const Area& a) { d.line({{a.x, a.y}, {a.x, a.y + a.h}, {a.x + a.w, a.y + a.h}}, kInk); }

}  // namespace detail

// x runs from the first tick to the last where ticks are given, else over the data. Points that are not finite are left
// out, and series without any are not in the legend.
inline void lines(Drawing& d, const Area& a, const std::vector<plot::Series>& all, const Options& o) {
  double x0 = INFINITY, x1 = -INFINITY, y0 = INFINITY, y1 = -INFINITY;
  std::vector<const plot::Series*> shown;
  std::vector<std::string> labels;
  for (const auto& s : all) {
    bool any = false;
    for (std::size_t i = 0; i < std::min(s.x.size(), s.y.size()); ++i) {
      if (!std::isfinite(s.x[i]) || !std::isfinite(s.y[i])) continue;
      x0 = std::min(x0, s.x[i]), x1 = std::max(x1, s.x[i]);
      y0 = std::min(y0, s.y[i]), y1 = std::max(y1, s.y[i]);
      any = true;
    }
    if (any) shown.push_back(&s), labels.push_back(s.label);
  }
  for (const double t : o.x_ticks) x0 = std::min(x0, t), x1 = std::max(x1, t);
  if (!(x0 <= x1)) x0 = 0, x1 = 1;
  if (!(y0 <= y1)) y0 = 0, y1 = 1;
  if (x0 == x1) x0 -= 0.5, x1 += 0.5;
  const double pad = std::max(0.06 * (y1 - y0), 1e-9 * std::max(std::abs(y0), 1.0));
  y0 = std::isnan(o.y_from) ? y0 - pad : o.y_from, y1 = std::isnan(o.y_to) ? y1 + pad : o.y_to;
  if (!(y1 - y0 > 1e-6)) y0 -= 0.5, y1 += 0.5;
  const detail::Scale x{x0, x1, a.x, a.x + a.w}, y{y0, y1, a.y + a.h, a.y};
  detail::frame(d, a, o, y, labels);
  for (const double t : o.x_ticks.empty() ? plot::ticks(x0, x1, 8) : o.x_ticks) {
    d.line({{x.at(t), a.y + a.h}, {x.at(t), a.y + a.h + 4}}, detail::kInk);
    d.text(x.at(t), a.y + a.h + 17, plot::tick_text(t), {.size = 11, .anchor = Anchor::middle, .colour = detail::kInk});
  }
  for (std::size_t k = 0; k < shown.size(); ++k) {
    Drawing::Points points;
    for (std::size_t i = 0; i < std::min(shown[k]->x.size(), shown[k]->y.size()); ++i)
      if (std::isfinite(shown[k]->x[i]) && std::isfinite(shown[k]->y[i]))
        points.emplace_back(x.at(shown[k]->x[i]), y.at(shown[k]->y[i]));
    d.line(points, colour(k), 2);
    for (const auto& p : points) d.dot(p.first, p.second, 3, colour(k));
  }
  detail::axes(d, a);
}

// A group of bars for each name.
inline void bars(Drawing& d, const Area& a, const std::vector<Bars>& sets, const std::vector<std::string>& names,
                 const Options& o) {
  D3AD_CHECK(!sets.empty() && !names.empty(), "bars: there is nothing to draw");
  double most = 0;
  std::vector<std::string> labels;
  for (const auto& s : sets) {
    for (const double h : s.heights) most = std::max(most, h);
    labels.push_back(s.label);
  }
  const detail::Scale y{0, std::isnan(o.y_to) ? std::max(most * 1.05, 1.0) : o.y_to, a.y + a.h, a.y};
  detail::frame(d, a, o, y, labels);
  const double group = a.w / static_cast<double>(names.size()), wide = group * 0.8 / static_cast<double>(sets.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    const double left = a.x + group * static_cast<double>(i);
    for (std::size_t k = 0; k < sets.size(); ++k) {
      if (i >= sets[k].heights.size()) continue;
      const double top = y.at(sets[k].heights[i]);
      d.rectangle(left + 0.1 * group + wide * static_cast<double>(k), top, wide, a.y + a.h - top, colour(k),
                  i < sets[k].tips.size() ? sets[k].tips[i] : "");
    }
    d.text(left + group / 2, a.y + a.h + 15, names[i], {.size = 11, .anchor = Anchor::middle, .colour = detail::kInk});
    if (i < o.sub_names.size())
      d.text(left + group / 2, a.y + a.h + 28, o.sub_names[i],
             {.size = 9.5, .anchor = Anchor::middle, .colour = {110, 110, 110}});
  }
  detail::axes(d, a);
}

// The colours of heat maps, which run from lo to hi, with the threshold marked where it is among them. 220 x 23 units.
inline void colour_bar(Drawing& d, double x, double y, float lo, float hi, float threshold) {
  constexpr int kSteps = 256;
  constexpr double kWide = 220, kHigh = 10;
  Image strip(kSteps, 1, 3);
  for (int i = 0; i < kSteps; ++i) {
    const Colour c = heat_colour(static_cast<float>(i) / (kSteps - 1));
    std::copy(c.begin(), c.end(), strip.at(i, 0));
  }
  d.picture(x, y, kWide, kHigh, strip);
  if (!(hi > lo)) return;
  const detail::Scale scale{double{lo}, double{hi}, x, x + kWide};
  for (const double t : plot::ticks(double{lo}, double{hi}, 4))
    d.text(scale.at(t), y + kHigh + 13, plot::tick_text(t),
           {.size = 10, .anchor = Anchor::middle, .colour = detail::kInk});
  if (threshold < lo || threshold > hi) return;
  const double at = scale.at(double{threshold});
  d.line({{at, y - 3}, {at, y + kHigh + 3}}, {0, 200, 60}, 2);
}

}  // namespace d3ad::chart
