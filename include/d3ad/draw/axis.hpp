#pragma once
// What every chart needs, as a picture (draw/plot.hpp) or in a page (draw/svg.hpp): series, and round numbers
// along an axis.
//
//   for (double t : plot::ticks(0, 1, 6)) draw(plot::tick_text(t));      0, 0.2, 0.4 ...

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace d3ad::plot {

struct Series {
  std::string label;
  std::vector<double> x, y;  // points that are not finite (or not positive on a log axis) are left out
};

// Round numbers from lo to hi, about `count` of them.
inline std::vector<double> ticks(double lo, double hi, int count) {
  const double raw = (hi - lo) / count, power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = power;
  for (const double m : {2.0, 5.0, 10.0})
    if (step < raw) step = m * power;
  std::vector<double> out;
  for (double t = std::ceil(lo / step - 1e-9) * step; t <= hi + step * 1e-9; t += step)
    out.push_back(std::abs(t) < step * 1e-9 ? 0.0 : t);
  return out;
}

// The same for logarithms to base 10: those of 1, 2, 3, 5, 7 times powers of ten, where two to `most` of them are in
// range, else plain ones.
inline std::vector<double> log_ticks(double lo, double hi, int count, std::size_t most = SIZE_MAX) {
  std::vector<double> nice;
  for (int e = static_cast<int>(std::floor(lo)); e <= static_cast<int>(std::ceil(hi)); ++e)
    for (const double m : {1.0, 2.0, 3.0, 5.0, 7.0})
      if (const double t = e + std::log10(m); t >= lo && t <= hi) nice.push_back(t);
  return nice.size() >= 2 && nice.size() <= most ? nice : ticks(lo, hi, count);
}

inline std::string tick_text(double v) {
  char text[32];
  std::snprintf(text, sizeof(text), "%g", v);
  return text;
}

}  // namespace d3ad::plot
