#pragma once
// A drawing that becomes an SVG or pixels: rectangles, lines, dots, text and pictures in the order they were added.
//
//   draw::Drawing d(400, 300);                                  // in CSS pixels; a PNG has 2 x 2 pixels for each
//   d.rectangle(10, 10, 80, 20, {31, 119, 180}, "7 images");    // browsers show the text as a tooltip
//   d.text(50, 60, "ω = 0.5", {.size = 12, .anchor = draw::Anchor::middle});      // x and baseline
//   d.picture(10, 80, 128, 128, photo);
//   draw::write_drawing("figure.svg", d, "title");              // or .png; replaces the file atomically
//   page += d.page_svg("title");                                // for an HTML page, in the page's colours
//
// y counts downwards. The background is white; in a page it is the page's. Numbers are the same in every locale.

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "d3ad/core/check.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/core/file.hpp"
#include "d3ad/data/image.hpp"
#include "d3ad/data/resize.hpp"
#include "d3ad/data/table.hpp"
#include "d3ad/draw/font.hpp"
#include "d3ad/draw/markup.hpp"
#include "d3ad/draw/pixels.hpp"

namespace d3ad::draw {

// The letters of an SVG depend on the viewer. They may be wider than those of a PNG by this factor (font::width()).
inline constexpr double kWidestFont = 1.3;

// A colour and, optionally, a role: the class in the SVG, for which the style sheet of a page may have another colour.
struct Ink {
  Colour colour;
  const char* role = "";

  constexpr Ink(Colour c, const char* class_name = "") : colour(c), role(class_name) {}
  constexpr Ink(std::uint8_t r, std::uint8_t g, std::uint8_t b, const char* class_name = "")
      : colour{r, g, b}, role(class_name) {}
};
inline constexpr Ink kText{40, 40, 40}, kInk{60, 60, 60, "ink"}, kSoft{110, 110, 110, "soft"},
    kGrid{226, 226, 226, "grid"}, kMark{120, 120, 120, "mark"};

enum class Anchor { start, middle, end };

class Drawing {
 public:
  struct TextStyle {
    double size = 11;
    Anchor anchor = Anchor::start;
    bool bold = false;
    bool turned = false;  // reads upwards
    Ink colour = kText;
  };
  using Points = std::vector<std::pair<double, double>>;

  Drawing(double width, double height);

  double width() const { return width_; }
  double height() const { return height_; }

  void rectangle(double x, double y, double w, double h, Ink fill, std::string tip = "");
  // A line through the points.
  void line(Points points, Ink colour, double thick = 1, bool dashed = false);
  void dot(double x, double y, double radius, Ink colour, std::string tip = "");
  void text(double x, double y, std::string words, TextStyle style);
  void text(double x, double y, std::string words) { text(x, y, std::move(words), TextStyle()); }
  // Stretched to w x h; grey or RGB.
  void picture(double x, double y, double w, double h, Image image);

  // A complete file. It contains the pictures as PNG, in their own size.
  std::string svg(const std::string& title) const;
  // An element of an HTML page, which sets its size, its background and its font.
  std::string page_svg(const std::string& title) const;

  // In pixels, `scale` of them for a unit.
  Image image(double scale = 2) const;

 private:
  struct Rectangle {
    double x, y, w, h;
    Ink fill;
    std::string tip;
  };
  struct Line {
    Points points;
    Ink colour;
    double thick;
    bool dashed;
  };
  struct Dot {
    double x, y, radius;
    Ink colour;
    std::string tip;
  };
  struct Text {
    double x, y;
    std::string words;
    TextStyle style;
  };
  struct Picture {
    double x, y, w, h;
    Image image;
  };

  static constexpr double kDash = 5, kGap = 4;

  static std::string places(double v) { return number(std::round(v * 100) / 100); }
  // The beginning of an element; a style sheet's colour for its class comes before the attribute's.
  static std::string shape(const char* tag, const Ink& ink);
  static std::string hex(const Ink& ink);
  static std::string close(const char* tag, const std::string& tip);
  std::string shapes() const;
  static std::string to_svg(const Rectangle& r);
  static std::string to_svg(const Line& l);
  static std::string to_svg(const Dot& d);
  static std::string to_svg(const Text& t);
  static std::string to_svg(const Picture& p);

  // The pixels whose centres are in a box: the first ones and their number.
  struct Box {
    int x, y, w, h;
  };
  static Box box(double x, double y, double w, double h, double scale);
  static void paint(Image& out, const Rectangle& r, double scale);
  static void paint(Image& out, const Line& l, double scale);
  static void paint(Image& out, const Dot& d, double scale);
  static void paint(Image& out, const Text& t, double scale);
  static void paint(Image& out, const Picture& p, double scale);

  double width_, height_;
  std::vector<std::variant<Rectangle, Line, Dot, Text, Picture>> items_;
};

// The format that a file's name asks for. Throws if it is neither, so that a program can check it before long work.
enum class DrawingFormat { png, svg };
DrawingFormat drawing_format(const std::filesystem::path& path);

void write_drawing(const std::filesystem::path& path, const Drawing& drawing, const std::string& title);

}  // namespace d3ad::draw

#if D3AD_DEFINITIONS
#include "d3ad/draw/drawing-inl.hpp"
#endif
