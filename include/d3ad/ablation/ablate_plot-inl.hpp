#pragma once
// Definitions of ablation/ablate_plot.hpp. Included by it unless they are compiled.

#include "d3ad/ablation/ablate_plot.hpp"

namespace d3ad::detail {

class AblationPlot {
 public:
  AblationPlot(const AblationResult& result, const std::string& category) : result_(result), category_(category) {
    choose_options();
    place_values();
  }

  draw::Drawing drawing() const {
    struct Panel {
      std::string title, protocol;
      std::vector<Metric> metrics;
    };
    std::vector<Panel> panels;  // row by row
    for (const char* protocol : kProtocols) {
      if (!second_) panels.push_back({name_of(protocol), protocol, {std::begin(kDrawn), std::end(kDrawn)}});
      for (const Metric& m : kDrawn)
        if (second_) panels.push_back({concat(m.title, ", ", name_of(protocol)), protocol, {m}});
    }
    const std::size_t columns = second_ ? std::size(kDrawn) : panels.size();
    const double width = kSide + static_cast<double>(columns) * (kWidth + kGap);
    const double legend = kHead + static_cast<double>(panels.size() / columns) * kHeight + 16;

    // The legend of all panels: columns as wide as its longest entry.
    const auto entries = lines("", {std::begin(kDrawn), std::end(kDrawn)});
    double entry = 0;
    for (const auto& e : entries) entry = std::max(entry, draw::legend_entry_width(e.label));
    const auto in_row = std::max<std::size_t>(static_cast<std::size_t>((width - kSide - kLeft) / entry), 1);
    const std::size_t rows = (entries.size() + in_row - 1) / in_row;

    draw::Drawing d(width, legend + 18 * static_cast<double>(rows));
    d.text(kSide, 24, title(), {.size = 13, .bold = true});
    d.text(kSide, 42, shortened(subtitle(), static_cast<std::size_t>((width - kSide) / 5.8)), {.colour = draw::kSoft});
    for (std::size_t i = 0; i < panels.size(); ++i)
      draw_panel(d, kSide + static_cast<double>(i % columns) * (kWidth + kGap),
                 kHead + static_cast<double>(i / columns) * kHeight, panels[i].title,
                 lines(panels[i].protocol, panels[i].metrics));
    for (std::size_t k = 0; k < entries.size(); ++k)
      draw::legend_entry(d, kSide + kLeft + static_cast<double>(k % in_row) * entry,
                         legend + 18 * static_cast<double>(k / in_row), entries[k].label, k,
                         by_number_ ? draw::Swatch::line_and_dot : draw::Swatch::dot);
    return d;
  }
  std::string title() const {
    std::string out = concat("Ablation of ", category_, ": ", result_.options[*x_].name);
    if (second_) out += concat(" and ", result_.options[*second_].name);
    return out;
  }

 private:
  static constexpr double kWidth = 330, kHeight = 270, kGap = 24, kSide = 16, kHead = 56;
  static constexpr double kLeft = 46, kRight = 8, kTop = 30, kBottom = 44;
  static constexpr Metric kDrawn[] = {kMetrics[0], kMetrics[1], kMetrics[2]};  // I-AUROC, P-AUROC, PRO

  static const char* name_of(const std::string& protocol) {
    return protocol == "paper" ? "paper's protocol" : "calibrated";
  }
  // The axis: most values among numeric options; none numeric: the first with several. Then the one with the most. The
  // seed, over which others are averaged, only if there is no other.
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
    x_ = most([](const AblationGrid::Option& o) { return o.numeric() && o.name != "seed"; });
    if (!x_) x_ = most([](const AblationGrid::Option& o) { return o.name != "seed"; });
    if (!x_) x_ = most([](const AblationGrid::Option&) { return true; });
    if (!x_) x_ = 0;
    second_ = most([](const AblationGrid::Option& o) { return o.name != "seed"; });
  }

  // Where the axis has its values: numbers where they belong (by their logarithm if they span a hundredfold), else
  // next to each other.
  void place_values() {
    const auto& option = result_.options[*x_];
    by_number_ = option.numeric() && option.values.size() > 1;
    for (std::size_t i = 0; i < option.texts.size(); ++i)
      at_.push_back(by_number_ ? to_number(option.texts[i]) : static_cast<double>(i));
    const auto [lo, hi] = std::minmax_element(at_.begin(), at_.end());
    axis_.label = option.name;
    axis_.log = by_number_ && *lo > 0 && *hi >= 100 * *lo;
    const double pad = by_number_ ? 0.03 * (*hi - *lo) : 0.5, factor = std::pow(*hi / *lo, 0.03);
    axis_.from = axis_.log ? *lo / factor : *lo - pad;
    axis_.to = axis_.log ? *hi * factor : *hi + pad;
    if (by_number_ && option.texts.size() > 8) return;  // round numbers then
    const std::size_t room = static_cast<std::size_t>((kWidth - kLeft) / 6.2) / option.texts.size();
    for (std::size_t i = 0; i < option.texts.size(); ++i)
      axis_.ticks.push_back({at_[i], by_number_
                                         ? option.texts[i]
                                         : shortened(short_text(option.texts[i]), std::max<std::size_t>(room, 4))});
  }

  struct Line {
    std::string label;
    std::vector<double> y;  // by the axis' values; NaN if there is none yet
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

  // left, top: the corner of the panel.
  void draw_panel(draw::Drawing& d, double left, double top, const std::string& title,
                  const std::vector<Line>& all) const {
    double lo = INFINITY, hi = -INFINITY;
    for (const auto& line : all)
      for (const double y : line.y)
        if (std::isfinite(y)) lo = std::min(lo, y), hi = std::max(hi, y);
    if (!(lo <= hi)) lo = 0, hi = 100;
    const double pad = std::max(0.08 * (hi - lo), 0.5);
    lo = std::max(lo - pad, 0.0), hi = std::min(hi + pad, 100.0);
    if (hi - lo < 1) lo = std::max(hi - 1, 0.0), hi = lo + 1;

    const auto& option = result_.options[*x_];
    std::vector<std::size_t> order(at_.size());  // the axis' values from left to right
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](auto a, auto b) { return at_[a] < at_[b]; });
    std::vector<draw::Series> series;
    for (const auto& line : all) {
      auto& s = series.emplace_back(draw::Series{line.label, {}, {}});
      for (const std::size_t i : order) {
        s.x.push_back(at_[i]), s.y.push_back(line.y[i]);
        s.tips.push_back(concat(line.label, ", ", option.name, ' ', option.texts[i], ": ", fixed(line.y[i], 2)));
      }
    }
    draw::line_chart(d, {left + kLeft, top + kTop, kWidth - kLeft - kRight, kHeight - kTop - kBottom}, series,
                     {.title = title,
                      .x = axis_,
                      .y = {.label = "percent", .from = lo, .to = hi},
                      .mark_x = by_number_ ? to_number(result_.own[*x_]) : NAN,  // the model's own value
                      .legend = false,
                      .joined = by_number_,
                      .dots = true});
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
  bool by_number_ = false;
  std::vector<double> at_;  // places of the axis' values
  draw::Axis axis_;
};

}  // namespace d3ad::detail

namespace d3ad {

D3AD_INLINE std::string ablation_plot(const AblationResult& result, const std::string& category) {
  const detail::AblationPlot plot(result, category);
  return plot.drawing().svg(plot.title());
}

}  // namespace d3ad
