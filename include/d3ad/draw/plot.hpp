#pragma once
// Line plots as pictures: axes with numbers, labels, a legend.
//
//   Image p = plot::line_plot({{.label = "loss", .x = steps, .y = losses}}, {.title = "UNet", .x_label = "step", .log_y
//   = true}); write_png("loss.png", p);

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/data/table.hpp"
#include "d3ad/draw/axis.hpp"
#include "d3ad/draw/font.hpp"

namespace d3ad::plot {

struct Axes {
  std::string title, x_label, y_label;
  bool log_y = false;
  int width = 960, height = 540;
};

namespace detail {

inline void draw_line(Image& image, double x0, double y0, double x1, double y1, Colour colour, int thick) {
  const int steps = std::max(1, static_cast<int>(std::max(std::abs(x1 - x0), std::abs(y1 - y0))));
  for (int i = 0; i <= steps; ++i) {
    const double f = static_cast<double>(i) / steps;
    fill_rectangle(image, static_cast<int>(std::lround(x0 + f * (x1 - x0))) - thick / 2,
                   static_cast<int>(std::lround(y0 + f * (y1 - y0))) - thick / 2, thick, thick, colour);
  }
}

}  // namespace detail

inline Image line_plot(const std::vector<Series>& all, const Axes& axes) {
  static constexpr Colour kColours[] = {{31, 119, 180}, {214, 39, 40}, {44, 160, 44}, {148, 103, 189}, {255, 127, 14}};
  Image image(axes.width, axes.height, 3);
  std::fill(image.pixels.begin(), image.pixels.end(), std::uint8_t{255});
  const auto value = [&](double y) { return axes.log_y ? std::log10(y) : y; };
  const auto usable = [&](double x, double y) {
    return std::isfinite(x) && std::isfinite(y) && (!axes.log_y || y > 0);
  };
  double x_lo = INFINITY, x_hi = -INFINITY, y_lo = INFINITY, y_hi = -INFINITY;
  for (const auto& s : all)
    for (std::size_t i = 0; i < std::min(s.x.size(), s.y.size()); ++i) {
      if (!usable(s.x[i], s.y[i])) continue;
      x_lo = std::min(x_lo, s.x[i]), x_hi = std::max(x_hi, s.x[i]);
      y_lo = std::min(y_lo, value(s.y[i])), y_hi = std::max(y_hi, value(s.y[i]));
    }
  if (!(x_lo <= x_hi)) x_lo = 0, x_hi = 1, y_lo = 0, y_hi = 1;
  if (x_lo == x_hi) x_lo -= 0.5, x_hi += 0.5;
  if (y_hi - y_lo < 1e-12) y_lo -= 0.5, y_hi += 0.5;
  const double pad = 0.05 * (y_hi - y_lo);
  y_lo -= pad, y_hi += pad;

  const int left = 100, right = axes.width - 30, top = 50, bottom = axes.height - 70;
  const auto px = [&](double x) { return left + (x - x_lo) / (x_hi - x_lo) * (right - left); };
  const auto py = [&](double y) { return bottom - (y - y_lo) / (y_hi - y_lo) * (bottom - top); };
  const Colour ink{60, 60, 60}, faint{225, 225, 225};

  for (const double t : ticks(x_lo, x_hi, 8)) {
    const int x = static_cast<int>(px(t));
    fill_rectangle(image, x, top, 1, bottom - top, faint);
    const auto text = tick_text(t);
    draw_text(image, x - text_pixels(text, 2) / 2, bottom + 10, text, ink, 2);
  }
  for (const double t : axes.log_y ? log_ticks(y_lo, y_hi, 6) : ticks(y_lo, y_hi, 6)) {
    const int y = static_cast<int>(py(t));
    fill_rectangle(image, left, y, right - left, 1, faint);
    const auto text = tick_text(axes.log_y ? std::pow(10.0, t) : t).substr(0, 6);
    draw_text(image, left - 8 - text_pixels(text, 2), y - 7, text, ink, 2);
  }
  fill_rectangle(image, left, top, 2, bottom - top, ink);
  fill_rectangle(image, left, bottom, right - left, 2, ink);
  draw_text(image, left, 16, axes.title, ink, 2);
  draw_text(image, (left + right - text_pixels(axes.x_label, 2)) / 2, axes.height - 30, axes.x_label, ink, 2);
  draw_text(image, 8, 16, axes.y_label, ink, 2);

  for (std::size_t s = 0; s < all.size(); ++s) {
    const Colour colour = kColours[s % std::size(kColours)];
    bool have = false;
    double x_before = 0, y_before = 0;
    for (std::size_t i = 0; i < std::min(all[s].x.size(), all[s].y.size()); ++i) {
      if (!usable(all[s].x[i], all[s].y[i])) continue;
      const double x = px(all[s].x[i]), y = py(value(all[s].y[i]));
      detail::draw_line(image, have ? x_before : x, have ? y_before : y, x, y, colour, 3);
      have = true, x_before = x, y_before = y;
    }
    const int y = top + 12 + static_cast<int>(s) * 24, x = right - 40 - text_pixels(all[s].label, 2);
    fill_rectangle(image, x, y + 5, 24, 4, colour);
    draw_text(image, x + 32, y, all[s].label, ink, 2);
  }
  return image;
}

}  // namespace d3ad::plot
