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
#include <charconv>
#include <cmath>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/ablation/ablate_rows.hpp"
#include "d3ad/draw/axis.hpp"
#include "d3ad/draw/svg.hpp"

namespace d3ad {

namespace detail {

class AblationPlot {
 public:
  AblationPlot(const AblationResult& result, const std::string& category) : result_(result), category_(category) {
    choose_options();
    place_values();
  }

  std::string svg() const {
    std::vector<std::string> rows;
    const std::size_t columns = second_ ? std::size(kDrawn) : std::size(kAblationProtocols);
    const double width = kSide + static_cast<double>(columns) * (kWidth + kGap);
    std::string body;
    double top = kHead;
    const auto panel = [&](std::size_t column, const std::string& title, const std::string& protocol,
                           const std::vector<Metric>& metrics) {
      body += draw(kSide + static_cast<double>(column) * (kWidth + kGap), top, title, protocol, metrics);
    };
    if (!second_) {
      std::size_t column = 0;
      for (const char* protocol : kAblationProtocols)
        panel(column++, name_of(protocol), protocol, {std::begin(kDrawn), std::end(kDrawn)});
      top += kHeight;
    } else {
      for (const char* protocol : kAblationProtocols) {
        for (std::size_t m = 0; m < std::size(kDrawn); ++m)
          panel(m, concat(kDrawn[m].title, ", ", name_of(protocol)), protocol, {kDrawn[m]});
        top += kHeight;
      }
    }
    std::string out = concat("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ", width, ' ', top + kFoot(),
                             "\" width=\"", width, "\" height=\"", top + kFoot(), "\" role=\"img\">", kStyle,
                             "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>");
    out += svg::detail::text(kSide, 24, title(), "start", "class=\"title\"");
    const auto room = static_cast<std::size_t>((width - kSide) / 5.8);
    out += svg::detail::text(kSide, 42, shortened(subtitle(), room), "start", "class=\"soft\"");
    return out + body + legend(top) + "</svg>\n";
  }

 private:
  static constexpr double kWidth = 330, kHeight = 270, kGap = 24, kSide = 16, kHead = 56;
  static constexpr double kLeft = 46, kRight = 8, kTop = 30, kBottom = 44;
  static constexpr Metric kDrawn[] = {kMetrics[0], kMetrics[1], kMetrics[2]};  // I-AUROC, P-AUROC, PRO
  static constexpr const char* kColours[] = {"#0b6bcb", "#d1571a", "#3d8b37", "#8250df", "#b8860b",
                                             "#c1272d", "#007c89", "#a0428a", "#5b6770", "#8a6d3b"};
  static constexpr const char* kStyle =
      "<style>text{font:11px "
      "system-ui,sans-serif;fill:#1c2024}.title{font-weight:600;font-size:13px}.soft{fill:#60666d}"
      ".grid{stroke:#e3e6e9}.mark{stroke:#888;stroke-dasharray:4 3}.line{fill:none;stroke-width:1.8}</style>";
  double kFoot() const { return 20 + 18 * static_cast<double>(legend_rows()); }

  static const char* name_of(const std::string& protocol) {
    return protocol == "paper" ? "paper's protocol" : "calibrated";
  }
  static double numeric(const std::string& text) {
    double value = NAN;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() ? value : NAN;
  }

  // The axis: most values among numeric options; none numeric: the first with several. Then the one with the most. The
  // seed, over which others are averaged, only where there is no other.
  void choose_options() {
    const auto& options = result_.options;
    const auto most = [&](auto&& wanted) {
      std::optional<std::size_t> best;
      for (std::size_t i = 0; i < options.size(); ++i)
        if (options[i].values.size() > 1 && i != x_ && wanted(options[i]) &&
            (!best || options[i].values.size() > options[*best].values.size()))
          best = i;
      return best;
    };
    x_ = most([](const Grid::Option& o) { return o.numeric() && o.name != "seed"; });
    if (!x_) x_ = most([](const Grid::Option& o) { return o.name != "seed"; });
    if (!x_) x_ = most([](const Grid::Option&) { return true; });
    if (!x_) x_ = 0;
    second_ = most([](const Grid::Option& o) { return o.name != "seed"; });
  }

  // Where the axis has its values: numbers where they belong (by their logarithm where they span a hundredfold), else
  // next to each other.
  void place_values() {
    const auto& option = result_.options[*x_];
    by_number_ = option.numeric() && option.values.size() > 1;
    for (std::size_t i = 0; i < option.texts.size(); ++i)
      at_.push_back(by_number_ ? numeric(option.texts[i]) : static_cast<double>(i));
    const auto [lo, hi] = std::minmax_element(at_.begin(), at_.end());
    log_ = by_number_ && *lo > 0 && *hi >= 100 * *lo;
    if (log_)
      for (double& v : at_) v = std::log10(v);
    const auto [from, to] = std::minmax_element(at_.begin(), at_.end());
    const double pad = by_number_ ? 0.03 * (*to - *from) : 0.5;
    from_ = *from - pad, to_ = *to + pad;
  }
  double x_place(double left, double at) const {
    return left + kLeft + (at - from_) / (to_ - from_) * (kWidth - kLeft - kRight);
  }

  struct Line {
    std::string label;
    std::vector<double> y;  // by the axis' values; NaN where there is none yet
  };
  // The panel's lines: one metric by the second option's values, or several metrics. Of rows that fall on one point,
  // the mean over seeds counts, and the best of these.
  std::vector<Line> lines(const std::string& protocol, const std::vector<Metric>& metrics) const {
    std::vector<Line> out;
    if (second_)
      for (const auto& text : result_.options[*second_].texts)
        out.push_back({concat(result_.options[*second_].name, ' ', short_text(text)), {}});
    else
      for (const auto& m : metrics) out.push_back({m.title, {}});
    for (auto& line : out) line.y.assign(at_.size(), NAN);
    struct Sum {
      double sum = 0;
      int count = 0;
    };
    std::map<std::vector<std::string>, std::vector<Sum>> sums;  // by the values of all options but the seed
    for (const auto& row : result_.rows) {
      if (row.metrics.protocol != protocol) continue;
      auto values = row.values;
      for (std::size_t i = 0; i < values.size(); ++i)
        if (averaged(i)) values[i].clear();
      auto& of_point = sums[values];
      of_point.resize(metrics.size());
      for (std::size_t m = 0; m < metrics.size(); ++m)
        if (const double value = 100 * row.metrics.*metrics[m].value; std::isfinite(value))
          of_point[m].sum += value, ++of_point[m].count;
    }
    for (const auto& point : sums) {
      const auto& of_point = point.second;
      const auto place = [&](std::size_t option) {
        const auto& texts = result_.options[option].texts;
        return static_cast<std::size_t>(std::find(texts.begin(), texts.end(), point.first[option]) - texts.begin());
      };
      for (std::size_t m = 0; m < metrics.size(); ++m) {
        if (!of_point[m].count) continue;
        double& y = out[second_ ? place(*second_) : m].y[place(*x_)];
        y = std::fmax(y, of_point[m].sum / of_point[m].count);
      }
    }
    return out;
  }
  bool averaged(std::size_t option) const {
    return result_.options[option].name == "seed" && option != x_ && option != second_;
  }

  // At most `room` characters, more than 2.
  static std::string shortened(const std::string& text, std::size_t room) {
    if (text_width(text) <= room) return text;
    std::string out;
    for (const char c : text) {
      const bool begins = (static_cast<unsigned char>(c) & 0xc0) != 0x80;  // a character of UTF-8
      if (begins && text_width(out) == room - 2) break;
      out += c;
    }
    return out + "..";
  }
  // Names of files without their folders.
  static std::string short_text(const std::string& text) {
    const auto slash = text.rfind('/');
    return slash == std::string::npos || slash + 1 == text.size() ? text : text.substr(slash + 1);
  }

  std::string draw(double left, double top, const std::string& title, const std::string& protocol,
                   const std::vector<Metric>& metrics) const {
    using svg::detail::place, svg::detail::text;
    const auto all = lines(protocol, metrics);
    double lo = INFINITY, hi = -INFINITY;
    for (const auto& line : all)
      for (const double y : line.y)
        if (std::isfinite(y)) lo = std::min(lo, y), hi = std::max(hi, y);
    if (!(lo <= hi)) lo = 0, hi = 100;
    const double pad = std::max(0.08 * (hi - lo), 0.5);
    lo = std::max(lo - pad, 0.0), hi = std::min(hi + pad, 100.0);
    if (hi - lo < 1) lo = std::max(hi - 1, 0.0), hi = lo + 1;
    const double bottom = top + kHeight - kBottom, right = left + kWidth - kRight;
    const auto y_place = [&](double y) { return bottom - (y - lo) / (hi - lo) * (kHeight - kTop - kBottom); };

    std::string out = text((left + kLeft + right) / 2, top + 18, title, "middle", "class=\"title\"");
    for (const double t : plot::ticks(lo, hi, 6))
      out += concat("<line class=\"grid\" x1=\"", place(left + kLeft), "\" x2=\"", place(right), "\" y1=\"",
                    place(y_place(t)), "\" y2=\"", place(y_place(t)), "\"/>",
                    text(left + kLeft - 6, y_place(t) + 4, plot::tick_text(t), "end"));
    out += axis_text(left, bottom);
    const double middle = (top + kTop + bottom) / 2;
    out += concat("<g transform=\"rotate(-90 ", place(left + 10), ' ', place(middle), ")\">",
                  text(left + 10, middle, "percent", "middle", "class=\"soft\""), "</g>");
    for (std::size_t k = 0; k < all.size(); ++k) {
      const char* colour = kColours[k % std::size(kColours)];
      std::string points, marks;
      for (const std::size_t i : in_order()) {
        if (!std::isfinite(all[k].y[i])) continue;
        // Side by side where there is no line to follow, so that equal ones are seen.
        const double aside = by_number_ ? 0 : 9 * (static_cast<double>(k) - 0.5 * static_cast<double>(all.size() - 1));
        const auto x = place(x_place(left, at_[i]) + aside), y = place(y_place(all[k].y[i]));
        points += x + "," + y + " ";
        marks += concat("<circle cx=\"", x, "\" cy=\"", y, "\" r=\"2.8\" fill=\"", colour, "\"><title>",
                        html_escape(all[k].label), ", ", html_escape(result_.options[*x_].name), ' ',
                        html_escape(result_.options[*x_].texts[i]), ": ", fixed(all[k].y[i], 2), "</title></circle>");
      }
      if (by_number_)
        out += concat("<polyline class=\"line\" stroke=\"", colour, "\"",
                      k < std::size(kColours) ? "" : " stroke-dasharray=\"6 3\"", " points=\"", points, "\"/>");
      out += marks;
    }
    return out;
  }
  // The axis' values from left to right.
  std::vector<std::size_t> in_order() const {
    std::vector<std::size_t> order(at_.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](auto a, auto b) { return at_[a] < at_[b]; });
    return order;
  }
  // Numbers, the option's name, and a mark where the model's own value is.
  std::string axis_text(double left, double bottom) const {
    using svg::detail::place, svg::detail::text;
    const auto& option = result_.options[*x_];
    const std::string& own = result_.own[*x_];
    std::string out;
    const auto mark = [&](double at) {
      out += concat("<line class=\"mark\" x1=\"", place(x_place(left, at)), "\" x2=\"", place(x_place(left, at)),
                    "\" y1=\"", place(bottom - (kHeight - kTop - kBottom)), "\" y2=\"", place(bottom), "\"/>");
    };
    if (by_number_) {
      const double own_at = log_ ? std::log10(numeric(own)) : numeric(own);
      if (own_at >= from_ && own_at <= to_) mark(own_at);
      if (option.texts.size() <= 8) {
        double last = -INFINITY;  // numbers that would run into each other are left out
        for (const std::size_t i : in_order()) {
          const double x = x_place(left, at_[i]);
          if (x - last < 7 * static_cast<double>(option.texts[i].size()) + 4) continue;
          out += text(x, bottom + 16, option.texts[i], "middle"), last = x;
        }
      } else {
        for (const double t : log_ ? plot::log_ticks(from_, to_, 6, 8) : plot::ticks(from_, to_, 6))
          out += text(x_place(left, t), bottom + 16, plot::tick_text(log_ ? std::pow(10.0, t) : t), "middle");
      }
    } else {
      for (std::size_t i = 0; i < option.texts.size(); ++i) {
        const std::size_t room = static_cast<std::size_t>((kWidth - kLeft) / 6.2) / option.texts.size();
        const std::string words = shortened(short_text(option.texts[i]), std::max<std::size_t>(room, 4));
        out += text(x_place(left, at_[i]), bottom + 16, words, "middle");
      }
    }
    return out + text(left + (kLeft + kWidth - kRight) / 2, bottom + 32, option.name, "middle");
  }

  std::vector<std::string> labels() const {
    std::vector<std::string> out;
    for (const auto& line : lines("", {std::begin(kDrawn), std::end(kDrawn)})) out.push_back(line.label);
    return out;
  }
  // Width of an entry, pixels.
  double entry_width() const {
    std::size_t longest = 0;
    for (const auto& label : labels()) longest = std::max(longest, text_width(label));
    return 48 + 6.5 * static_cast<double>(longest);
  }
  std::size_t entries_in_row() const {
    const double columns = second_ ? std::size(kDrawn) : std::size(kAblationProtocols);
    return std::max<std::size_t>(static_cast<std::size_t>((columns * (kWidth + kGap) - kLeft) / entry_width()), 1);
  }
  std::size_t legend_rows() const { return (labels().size() + entries_in_row() - 1) / entries_in_row(); }
  std::string legend(double top) const {
    std::string out;
    const auto all = labels();
    for (std::size_t k = 0; k < all.size(); ++k) {
      const double x = kSide + kLeft + static_cast<double>(k % entries_in_row()) * entry_width();
      const double y = top + 12 + 18 * static_cast<double>(k / entries_in_row());
      out += concat("<line x1=\"", x, "\" x2=\"", x + 18, "\" y1=\"", y, "\" y2=\"", y, "\" class=\"line\" stroke=\"",
                    kColours[k % std::size(kColours)], "\"", k < std::size(kColours) ? "" : " stroke-dasharray=\"6 3\"",
                    "/><circle cx=\"", x + 9, "\" cy=\"", y, "\" r=\"2.8\" fill=\"", kColours[k % std::size(kColours)],
                    "\"/>", svg::detail::text(x + 24, y + 4, all[k], "start"));
    }
    return out;
  }

  std::string title() const {
    std::string out = concat("Ablation of ", category_, ": ", result_.options[*x_].name);
    if (second_) out += concat(" and ", result_.options[*second_].name);
    return out;
  }
  // What the other options are.
  std::string subtitle() const {
    std::string fixed_ones, mean_of, best_of;
    for (std::size_t i = 0; i < result_.options.size(); ++i) {
      const auto& option = result_.options[i];
      if (i == *x_ || i == second_) continue;
      std::string values;
      for (const auto& text : option.texts) values += (values.empty() ? "" : ", ") + short_text(text);
      std::string& to = option.texts.size() == 1 ? fixed_ones : averaged(i) ? mean_of : best_of;
      to += concat(to.empty() ? "" : "; ", option.name, ' ', values);
    }
    std::string out = fixed_ones;
    if (!mean_of.empty()) out += concat(out.empty() ? "" : "; ", "mean of ", mean_of);
    if (!best_of.empty()) out += concat(out.empty() ? "" : "; ", "at each point the best of ", best_of);
    if (by_number_) out += concat(out.empty() ? "" : "; ", "dashed: the model's own ", result_.options[*x_].name);
    if (result_.done < result_.points)
      out += concat(out.empty() ? "" : "; ", result_.done, " of ", result_.points, " points so far");
    return out;
  }

  const AblationResult& result_;
  const std::string& category_;
  std::optional<std::size_t> x_, second_;
  bool by_number_ = false, log_ = false;
  std::vector<double> at_;  // places of the axis' values
  double from_ = 0, to_ = 1;
};

}  // namespace detail

inline std::string ablation_plot(const AblationResult& result, const std::string& category) {
  return detail::AblationPlot(result, category).svg();
}

}  // namespace d3ad
