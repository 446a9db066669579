#pragma once
// Definitions of draw/chart.hpp. Included by it unless they are compiled.

#include "d3ad/draw/chart.hpp"

namespace d3ad::draw {

D3AD_INLINE std::vector<double> ticks(double lo, double hi, int count) {
  const double raw = (hi - lo) / count, power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = power;
  for (const double m : {2.0, 5.0, 10.0})
    if (step < raw) step = m * power;
  std::vector<double> out;
  for (double t = std::ceil(lo / step - 1e-9) * step; t <= hi + step * 1e-9; t += step)
    out.push_back(std::abs(t) < step * 1e-9 ? 0.0 : t);
  return out;
}

D3AD_INLINE std::vector<double> log_ticks(double lo, double hi, std::size_t most) {
  std::vector<double> out;
  for (const char* digits : {"12357", "125", "1"}) {
    out.clear();
    for (int e = static_cast<int>(std::floor(std::log10(lo))); e <= static_cast<int>(std::ceil(std::log10(hi))); ++e)
      for (const char* d = digits; *d; ++d)
        if (const double t = (*d - '0') * std::pow(10.0, e); t >= lo * (1 - 1e-9) && t <= hi * (1 + 1e-9))
          out.push_back(t);
    if (out.size() <= most) break;
  }
  while (out.size() > std::max<std::size_t>(most, 2)) {  // many decades: keeps every second one
    std::size_t kept = 0;
    for (std::size_t i = 0; i < out.size(); i += 2) out[kept++] = out[i];
    out.resize(kept);
  }
  return out.size() >= 2 ? out : ticks(lo, hi, 6);
}

D3AD_INLINE void legend_entry(Drawing& d, double x, double y, const std::string& label, std::size_t series,
                              Swatch swatch) {
  const Ink ink = series_ink(series);
  if (swatch == Swatch::bar) d.rectangle(x, y - 8, 18, 8, ink);
  if (swatch == Swatch::line || swatch == Swatch::line_and_dot)
    d.line({{x, y - 4}, {x + 18, y - 4}}, ink, 2, series >= kSeriesColours);
  if (swatch == Swatch::dot || swatch == Swatch::line_and_dot) d.dot(x + 9, y - 4, 3, ink);
  d.text(x + 22, y, label, {.colour = kInk});
}

}  // namespace d3ad::draw

namespace d3ad::draw::detail {

// The range of an axis: lo to hi with a margin of `pad` times that, or what was asked for. low, high: its ends.
inline Scale scale_of(const Axis& axis, double lo, double hi, double pad, double low, double high) {
  for (const Tick& t : axis.ticks) lo = std::min(lo, t.at), hi = std::max(hi, t.at);
  if (!(lo <= hi)) lo = axis.log ? 1 : 0, hi = axis.log ? 10 : 1;
  Scale out{0, 0, low, high, axis.log};
  lo = out.value(lo), hi = out.value(hi);
  const double room = pad * (hi - lo);
  out.from = std::isnan(axis.from) ? lo - room : out.value(axis.from);
  out.to = std::isnan(axis.to) ? hi + room : out.value(axis.to);
  const double least = std::max(std::abs(out.from), std::abs(out.to)) * 1e-6;  // what six digits can distinguish
  if (!(out.to - out.from > least)) out.from -= std::max(0.5, least), out.to += std::max(0.5, least);
  return out;
}

inline std::vector<Tick> ticks_of(const Axis& axis, const Scale& scale, double between) {
  if (!axis.ticks.empty()) return axis.ticks;
  const double count = std::max(std::abs(scale.high - scale.low) / between, 2.0);
  std::vector<Tick> out;
  for (const double t : scale.log ? log_ticks(std::pow(10.0, scale.from), std::pow(10.0, scale.to),
                                              static_cast<std::size_t>(1.6 * count))
                                  : ticks(scale.from, scale.to, static_cast<int>(count)))
    out.push_back({t, tick_text(t)});
  return out;
}

// Texts under an axis, except those that would overlap the one before.
inline void names_below(Drawing& d, double y, std::vector<Tick> names, const Drawing::TextStyle& style) {
  std::sort(names.begin(), names.end(), [](const Tick& a, const Tick& b) { return a.at < b.at; });
  double end = -INFINITY;
  for (const Tick& t : names) {
    const double half = 0.25 * style.size * static_cast<double>(text_width(t.text));  // as wide as digits
    if (t.at - half < end + 5) continue;
    d.text(t.at, y, t.text, style);
    end = t.at + half;
  }
}

inline void frame(Drawing& d, const Area& a, const Axes& axes, const Scale& y) {
  for (const Tick& t : ticks_of(axes.y, y, 30)) {
    d.line({{a.x, y.at(t.at)}, {a.x + a.w, y.at(t.at)}}, kGrid);
    d.text(a.x - 6, y.at(t.at) + 4, t.text, {.anchor = Anchor::end, .colour = kInk});
  }
  d.text(a.x, a.y - (axes.legend ? 30 : 12), axes.title, {.size = 13, .bold = true});
  d.text(a.x + a.w / 2, a.y + a.h + (axes.sub_names.empty() ? 36 : 46), axes.x.label,
         {.size = 11.5, .anchor = Anchor::middle, .colour = kInk});
  d.text(a.x - 42, a.y + a.h / 2, axes.y.label,
         {.size = 11.5, .anchor = Anchor::middle, .turned = true, .colour = kInk});
}

// What is drawn over the curves: the mark, and the two lines of the axes.
inline void finish(Drawing& d, const Area& a, const Axes& axes, const Scale& x) {
  d.line({{a.x, a.y}, {a.x, a.y + a.h}, {a.x + a.w, a.y + a.h}}, kInk);
  if (!x.has(axes.mark_x)) return;
  const double at = x.at(axes.mark_x);
  if (!(at >= a.x && at <= a.x + a.w)) return;
  d.line({{at, a.y}, {at, a.y + a.h}}, kMark, 1.5, true);
  const bool left = at > a.x + a.w - 60;
  if (!axes.mark_label.empty())
    d.text(left ? at - 4 : at + 4, a.y + 10, axes.mark_label, {.anchor = left ? Anchor::end : Anchor::start});
}

}  // namespace d3ad::draw::detail

namespace d3ad::draw {

D3AD_INLINE void line_chart(Drawing& d, const Area& a, const std::vector<Series>& all, const Axes& axes) {
  double x0 = INFINITY, x1 = -INFINITY, y0 = INFINITY, y1 = -INFINITY;
  const auto each_point = [&](const Series& s, auto&& then) {
    for (std::size_t i = 0; i < std::min(s.x.size(), s.y.size()); ++i)
      if (std::isfinite(s.x[i]) && std::isfinite(s.y[i]) && (!axes.x.log || s.x[i] > 0) && (!axes.y.log || s.y[i] > 0))
        then(i);
  };
  for (const Series& s : all)
    each_point(s, [&](std::size_t i) {
      x0 = std::min(x0, s.x[i]), x1 = std::max(x1, s.x[i]);
      y0 = std::min(y0, s.y[i]), y1 = std::max(y1, s.y[i]);
    });
  const auto x = detail::scale_of(axes.x, x0, x1, 0, a.x, a.x + a.w);
  const auto y = detail::scale_of(axes.y, y0, y1, 0.06, a.y + a.h, a.y);
  detail::frame(d, a, axes, y);
  std::vector<Tick> names = detail::ticks_of(axes.x, x, 44);
  for (Tick& t : names) {
    t.at = x.at(t.at);
    d.line({{t.at, a.y + a.h}, {t.at, a.y + a.h + 4}}, kInk);
  }
  detail::names_below(d, a.y + a.h + 17, std::move(names), {.anchor = Anchor::middle, .colour = kInk});
  double legend_x = a.x;
  for (std::size_t k = 0; k < all.size(); ++k) {
    const double aside = axes.joined ? 0 : 9 * (static_cast<double>(k) - 0.5 * static_cast<double>(all.size() - 1));
    Drawing::Points points;
    std::vector<std::string> tips;
    each_point(all[k], [&](std::size_t i) {
      double px = x.at(all[k].x[i]) + aside, py = y.at(all[k].y[i]);
      if (const double end = a.x + a.w; axes.joined && !points.empty() && px > end + 1e-6) {
        const auto [before_x, before_y] = points.back();
        if (before_x > end - 1e-6) return;
        py = before_y + (py - before_y) * (end - before_x) / (px - before_x);
        px = end;
      }
      points.emplace_back(px, py);
      tips.push_back(i < all[k].tips.size() ? all[k].tips[i] : "");
    });
    if (points.empty()) continue;
    if (axes.legend) {
      legend_entry(d, legend_x, a.y - 11, all[k].label, k, Swatch::line);
      legend_x += legend_entry_width(all[k].label);
    }
    if (axes.joined) d.line(points, series_ink(k), 2, k >= kSeriesColours);
    for (std::size_t i = 0; axes.dots && i < points.size(); ++i)
      d.dot(points[i].first, points[i].second, 3, series_ink(k), tips[i]);
  }
  detail::finish(d, a, axes, x);
}

D3AD_INLINE void bar_chart(Drawing& d, const Area& a, const std::vector<Bars>& sets,
                           const std::vector<std::string>& names, const Axes& axes) {
  D3AD_CHECK(!sets.empty() && !names.empty(), "bars: there is nothing to draw");
  double most = 0;
  for (const Bars& s : sets)
    for (const double h : s.heights) most = std::max(most, h);
  const detail::Scale x{axes.x.from, axes.x.to, a.x, a.x + a.w};
  const detail::Scale y{0, std::isnan(axes.y.to) ? std::max(most * 1.05, 1.0) : axes.y.to, a.y + a.h, a.y};
  detail::frame(d, a, axes, y);
  const double group = a.w / static_cast<double>(names.size()), wide = group * 0.8 / static_cast<double>(sets.size());
  double legend_x = a.x;
  for (std::size_t k = 0; k < sets.size(); ++k) {
    const Bars& s = sets[k];
    for (std::size_t i = 0; i < std::min(names.size(), s.heights.size()); ++i)
      d.rectangle(a.x + group * (static_cast<double>(i) + 0.1) + wide * static_cast<double>(k), y.at(s.heights[i]),
                  wide, a.y + a.h - y.at(s.heights[i]), series_ink(k),
                  s.tips.empty()      ? concat(s.label, ", ", names[i], ": ", number(s.heights[i]))
                  : i < s.tips.size() ? s.tips[i]
                                      : "");
    if (!axes.legend) continue;
    legend_entry(d, legend_x, a.y - 11, s.label, k, Swatch::bar);
    legend_x += legend_entry_width(s.label);
  }
  const auto below = [&](double down, const std::vector<std::string>& texts, double size, Ink ink) {
    std::vector<Tick> out;
    for (std::size_t i = 0; i < std::min(names.size(), texts.size()); ++i)
      out.push_back({a.x + group * (static_cast<double>(i) + 0.5), texts[i]});
    detail::names_below(d, a.y + a.h + down, std::move(out), {.size = size, .anchor = Anchor::middle, .colour = ink});
  };
  if (std::isnan(axes.x.from)) {
    below(15, names, 11, kInk);
  } else {
    std::vector<Tick> numbers = detail::ticks_of(axes.x, x, 44);
    for (Tick& t : numbers) t.at = x.at(t.at);
    detail::names_below(d, a.y + a.h + 15, std::move(numbers), {.anchor = Anchor::middle, .colour = kInk});
  }
  below(28, axes.sub_names, 9.5, kSoft);
  detail::finish(d, a, axes, x);
}

D3AD_INLINE void colour_bar(Drawing& d, double x, double y, float lo, float hi, float threshold) {
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
  for (const double t : ticks(double{lo}, double{hi}, 4))
    d.text(scale.at(t), y + kHigh + 13, tick_text(t), {.size = 10, .anchor = Anchor::middle, .colour = kInk});
  if (threshold < lo || threshold > hi) return;
  const double at = scale.at(double{threshold});
  d.line({{at, y - 3}, {at, y + kHigh + 3}}, {0, 200, 60}, 2);
}

}  // namespace d3ad::draw
