#pragma once
// Charts as SVG text, for pages: lines and bars over labelled axes, coloured by the page's CSS (classes s0, s1, ...).
//
//   std::string chart = svg::lines({{"d3ad", x, y}}, {.title = "ROC", .x_label = "false alarms"});
//   std::string chart = svg::bars({{"good", counts}}, {"20", "30"}, {.title = "T̂"});
//
// Text is escaped here; numbers are finite or left out.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/core/check.hpp"
#include "d3ad/data/table.hpp"
#include "d3ad/draw/axis.hpp"

namespace d3ad {

namespace detail {

// Bytes as text (RFC 4648), for pictures inside of pages.
inline std::string base64(const std::string& bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t three = 0;
    for (std::size_t k = 0; k < 3; ++k)
      three = three << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k) out += i + k <= bytes.size() ? kDigits[three >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

}  // namespace detail

// Text for HTML and SVG, attributes included.
inline std::string html_escape(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

namespace svg {

using plot::Series;

struct Bars {
  std::string label;
  std::vector<double> counts;
};
struct Options {
  std::string title, x_label, y_label;
  double x_from = NAN, x_to = NAN, y_from = NAN, y_to = NAN;  // NAN: from the data
  bool log_y = false;
  double mark_x = NAN;  // a dashed line here
  std::string mark_label;
};

namespace detail {

constexpr double kWidth = 420, kHeight = 260, kLeft = 62, kRight = 12, kTop = 30, kBottom = 64;

struct Axis {
  double from, to, low, high;  // values, places
  double at(double v) const { return low + (v - from) / (to - from) * (high - low); }
};

inline std::string place(double v) { return fixed(v, 1); }

inline std::string text(double x, double y, const std::string& words, const char* anchor, const char* extra = "") {
  return concat("<text x=\"", place(x), "\" y=\"", place(y), "\" text-anchor=\"", anchor, "\" ", extra, ">",
                html_escape(words), "</text>");
}

inline std::string open(const Options& o) {
  std::string out =
      concat("<svg viewBox=\"0 0 ", kWidth, " ", kHeight, "\" role=\"img\" aria-label=\"", html_escape(o.title), "\">");
  out += text(kWidth / 2, 16, o.title, "middle", "class=\"title\"");
  out += text((kLeft + kWidth - kRight) / 2, kHeight - kBottom + 32, o.x_label, "middle");
  out += concat("<g transform=\"rotate(-90 12 ", (kTop + kHeight - kBottom) / 2, ")\">",
                text(12, (kTop + kHeight - kBottom) / 2, o.y_label, "middle"), "</g>");
  return out;
}
inline std::string legend(const std::vector<std::string>& labels) {
  std::string out;
  double x = kLeft;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    out += concat("<rect class=\"fill s", i, "\" x=\"", place(x), "\" y=\"", kHeight - 19,
                  "\" width=\"10\" height=\"10\"/>");
    out += text(x + 14, kHeight - 10, labels[i], "start");
    x += 26 + 6.2 * static_cast<double>(text_width(labels[i]));
  }
  return out;
}
inline std::string y_grid(const Axis& y, bool log) {
  std::string out;
  for (const double v : log ? plot::log_ticks(y.from, y.to, 6, 12) : plot::ticks(y.from, y.to, 6)) {
    const double at = y.at(v);
    const auto label = plot::tick_text(log ? std::pow(10.0, v) : v).substr(0, 6);
    out += concat("<line class=\"grid\" x1=\"", kLeft, "\" x2=\"", kWidth - kRight, "\" y1=\"", place(at), "\" y2=\"",
                  place(at), "\"/>", text(kLeft - 6, at + 4, label, "end"));
  }
  return out;
}

}  // namespace detail

inline std::string lines(const std::vector<Series>& series, const Options& o) {
  using namespace detail;
  const auto value = [&](double v) { return o.log_y ? std::log10(std::max(v, 1e-12)) : v; };
  double x0 = o.x_from, x1 = o.x_to, y0 = o.y_from, y1 = o.y_to;
  double lo_x = INFINITY, hi_x = -INFINITY, lo_y = INFINITY, hi_y = -INFINITY;
  for (const auto& s : series)
    for (std::size_t i = 0; i < s.x.size(); ++i) {
      if (!std::isfinite(s.x[i]) || !std::isfinite(s.y[i])) continue;
      lo_x = std::min(lo_x, s.x[i]), hi_x = std::max(hi_x, s.x[i]);
      lo_y = std::min(lo_y, value(s.y[i])), hi_y = std::max(hi_y, value(s.y[i]));
    }
  if (!(lo_x <= hi_x)) return "";
  if (std::isnan(x0)) x0 = lo_x;
  if (std::isnan(x1)) x1 = hi_x;
  if (std::isnan(y0)) y0 = lo_y;
  if (std::isnan(y1)) y1 = hi_y;
  if (!(x1 > x0)) x1 = x0 + 1;
  if (!(y1 > y0)) y1 = y0 + 1;
  const Axis x{x0, x1, kLeft, kWidth - kRight}, y{y0, y1, kHeight - kBottom, kTop};
  std::string out = open(o) + y_grid(y, o.log_y);
  for (const double v : plot::ticks(x0, x1, 6))
    out += text(x.at(v), kHeight - kBottom + 16, plot::tick_text(v), "middle");
  std::vector<std::string> labels;
  for (std::size_t k = 0; k < series.size(); ++k) {
    const Series& s = series[k];
    labels.push_back(s.label);
    out += concat("<polyline class=\"line s", k, "\" points=\"");
    for (std::size_t i = 0; i < s.x.size(); ++i)
      if (std::isfinite(s.x[i]) && std::isfinite(s.y[i]))
        out += place(x.at(s.x[i])) + "," + place(y.at(value(s.y[i]))) + " ";
    out += "\"/>";
  }
  return out + legend(labels) + "</svg>";
}

// One group of bars for each name on the axis. mark_x is a place on x_from ... x_to, which the groups cut into equal
// parts.
inline std::string bars(const std::vector<Bars>& sets, const std::vector<std::string>& names, const Options& o) {
  using namespace detail;
  D3AD_CHECK(!sets.empty() && !names.empty(), "bars: there is nothing to draw");
  double most = 0;
  for (const auto& s : sets)
    for (const double c : s.counts) most = std::max(most, c);
  const Axis y{0, std::max(most, 1.0), kHeight - kBottom, kTop};
  std::string out = open(o) + y_grid(y, false);
  const double group = (kWidth - kLeft - kRight) / static_cast<double>(names.size());
  const double width = group * 0.84 / static_cast<double>(sets.size());
  const std::size_t every = (names.size() + 9) / 10;
  std::vector<std::string> labels;
  for (std::size_t k = 0; k < sets.size(); ++k) {
    labels.push_back(sets[k].label);
    for (std::size_t i = 0; i < std::min(names.size(), sets[k].counts.size()); ++i) {
      const double top = y.at(sets[k].counts[i]);
      const double left = kLeft + group * (static_cast<double>(i) + 0.08) + width * static_cast<double>(k);
      out +=
          concat("<rect class=\"fill s", k, "\" x=\"", place(left), "\" y=\"", place(top), "\" width=\"", place(width),
                 "\" height=\"", place(kHeight - kBottom - top), "\"><title>", html_escape(sets[k].label), ", ",
                 html_escape(names[i]), ": ", sets[k].counts[i], "</title></rect>");
    }
  }
  for (std::size_t i = 0; i < names.size(); i += every)
    out += text(kLeft + group * (static_cast<double>(i) + 0.5), kHeight - kBottom + 16, names[i], "middle");
  if (std::isfinite(o.mark_x) && o.x_to > o.x_from) {
    const double at = Axis{o.x_from, o.x_to, kLeft, kWidth - kRight}.at(std::clamp(o.mark_x, o.x_from, o.x_to));
    out += concat("<line class=\"mark\" x1=\"", place(at), "\" x2=\"", place(at), "\" y1=\"", kTop, "\" y2=\"",
                  kHeight - kBottom, "\"/>",
                  at < kWidth - kRight - 60 ? text(at + 4, kTop + 10, o.mark_label, "start")
                                            : text(at - 4, kTop + 10, o.mark_label, "end"));
  }
  return out + legend(labels) + "</svg>";
}

}  // namespace svg
}  // namespace d3ad
