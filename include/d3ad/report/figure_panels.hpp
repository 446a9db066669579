#pragma once
// What figures of pictures share: pictures in rows and columns under titles, and which test images are shown.
//
//   PanelGrid grid{.cell = 128, .columns = {{"input"}, {"heat map"}}};
//   grid.rows.push_back({"scratch/000", "score 0.41", {photo, heat}});
//   draw::Drawing d(grid.width(), grid.height());
//   grid.draw(d, 0, 0);
//
//   auto chosen = choose_samples(dataset, {.images = {"scratch/000"}});      or {.defects = {"scratch"}, .each = 2}

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/core/compiled.hpp"
#include "d3ad/data/dataset.hpp"
#include "d3ad/draw/chart.hpp"
#include "d3ad/weights/nearest_names.hpp"

namespace d3ad {

// What long work tells and asks its caller.
struct FigureWork {
  std::function<void(std::int64_t done, std::int64_t total)> progress = [](std::int64_t, std::int64_t) {};
  std::function<bool()> stop = [] { return false; };

  void step(std::int64_t done, std::int64_t total) const {
    if (stop()) throw Interrupted("figure: stopped; nothing was written");
    progress(done, total);
  }
};

struct PanelGrid {
  struct Column {
    std::string title, note = {};
  };
  struct Row {
    std::string title, note;
    std::vector<std::optional<Image>> panels;  // none: an empty place
  };
  struct ColumnGroup {  // a title over some columns
    std::string title;
    std::size_t first, count;
  };

  double cell = 128;  // longer side of a picture, in units
  std::vector<Column> columns = {};
  std::vector<Row> rows = {};
  std::vector<ColumnGroup> groups = {};

  static constexpr double kGap = 6, kMargin = 10, kLabels = 38;

  double width() const { return column_x(columns.size()) - kGap + kMargin; }
  double height() const { return row_y(rows.size()) - kGap + kMargin; }
  // Where they begin, from the grid's own corner; groups stand further apart.
  double column_x(std::size_t i) const {
    double x = kMargin + kLabels + static_cast<double>(i) * (cell + kGap);
    for (const auto& g : groups) x += (g.first <= i && g.first > 0) ? 2 * kGap : 0;
    return x;
  }
  double row_y(std::size_t i) const { return header() + static_cast<double>(i) * (cell + kGap); }

  void draw(draw::Drawing& d, double x, double y) const {
    for (const auto& g : groups) {
      const double from = x + column_x(g.first), to = x + column_x(g.first + g.count - 1) + cell;
      d.text((from + to) / 2, y + kMargin + 10, g.title, {.size = 12, .anchor = draw::Anchor::middle, .bold = true});
      d.line({{from, y + kMargin + 15}, {to, y + kMargin + 15}}, {150, 150, 150});
    }
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const double middle = x + column_x(i) + cell / 2, bottom = y + header() - 6;
      const bool noted = has_notes();
      d.text(middle, bottom - (noted ? 13 : 0), columns[i].title, {.size = 11, .anchor = draw::Anchor::middle});
      if (noted)
        d.text(middle, bottom, columns[i].note, {.size = 9.5, .anchor = draw::Anchor::middle, .colour = draw::kSoft});
    }
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const Row& row = rows[r];
      D3AD_CHECK(row.panels.size() == columns.size(), "figure: row '", row.title, "' has ", row.panels.size(),
                 " pictures for ", columns.size(), " columns");
      const double top = y + row_y(r), middle = top + cell / 2;
      d.text(x + kMargin + 12, middle, shortened(row.title, 11),
             {.size = 11, .anchor = draw::Anchor::middle, .turned = true});
      d.text(x + kMargin + 26, middle, shortened(row.note, 9.5),
             {.size = 9.5, .anchor = draw::Anchor::middle, .turned = true, .colour = draw::kSoft});
      for (std::size_t c = 0; c < columns.size(); ++c) {
        const double left = x + column_x(c);
        if (row.panels[c])
          place(d, left, top, *row.panels[c]);
        else
          empty(d, left, top);
      }
    }
  }

 private:
  bool has_notes() const {
    return std::any_of(columns.begin(), columns.end(), [](const Column& c) { return !c.note.empty(); });
  }
  double header() const { return kMargin + (groups.empty() ? 0 : 22) + (has_notes() ? 31 : 18); }
  // As large as the cell allows, in its middle.
  void place(draw::Drawing& d, double left, double top, const Image& picture) const {
    const double scale = cell / std::max(picture.width, picture.height);
    const double wide = scale * picture.width, high = scale * picture.height;
    d.picture(left + (cell - wide) / 2, top + (cell - high) / 2, wide, high, picture);
  }
  void empty(draw::Drawing& d, double left, double top) const {
    d.rectangle(left, top, cell, cell, {238, 238, 238});
    d.text(left + cell / 2, top + cell / 2 + 4, "none",
           {.size = 11, .anchor = draw::Anchor::middle, .colour = {130, 130, 130}});
  }
  // As much of a name's end as a row's side has place for.
  std::string shortened(const std::string& text, double size) const {
    std::string out = text;
    while (!out.empty() && draw::kWidestFont * draw::font::width(out, size) > cell) {
      const std::size_t drop = out.starts_with("…") ? std::string("…").size() : 0;
      std::size_t next = drop + 1;
      while (next < out.size() && (static_cast<unsigned char>(out[next]) & 0xc0) == 0x80) ++next;
      out = next < out.size() ? "…" + out.substr(next) : "";
    }
    return out;
  }
};

// A test image's name in figures and on the command line: its kind and its file, without the ending.
inline std::string sample_name(const Sample& sample) { return sample.defect + "/" + sample.image.stem().string(); }

struct SampleChoice {
  std::vector<std::string> images = {};   // names (sample_name(), or the file's with its ending), in this order
  std::vector<std::string> defects = {};  // if no images are named: of these kinds ("good" is one); none: all
  int each = 1;                           // so many of each kind, the first ones by name
};

// Throws if a name is not in the test set, with the nearest ones.
std::vector<Sample> choose_samples(const Dataset& dataset, const SampleChoice& choice);

// The truth of a test image as a picture: its mask, black for a good one, none if a faulty one has no mask.
std::optional<Image> truth_panel(const Sample& sample, int width, int height);

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/report/figure_panels-inl.hpp"
#endif
