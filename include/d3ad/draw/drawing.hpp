#pragma once
// A drawing that becomes an SVG or pixels: rectangles, lines, dots, text and pictures in the order they were added.
//
//   draw::Drawing d(400, 300);                                  // units: CSS pixels of an SVG; a PNG has 2 x 2 for each
//   d.rectangle(10, 10, 80, 20, {31, 119, 180}, "7 images");    // browsers show the text at the pointer
//   d.text(50, 60, "ω = 0.5", {.size = 12, .anchor = draw::Anchor::middle});      // x and baseline
//   d.picture(10, 80, 128, 128, photo);
//   draw::write_drawing("figure.svg", d, "title");              // or .png; atomically
//   page += d.page_svg("title");                                // inside of an HTML page, in the page's colours
//
// y counts downwards. The background is white, in a page the page's. Numbers are written the same in every locale.

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
#include "d3ad/core/file.hpp"
#include "d3ad/data/image.hpp"
#include "d3ad/data/resize.hpp"
#include "d3ad/data/table.hpp"
#include "d3ad/draw/font.hpp"
#include "d3ad/draw/markup.hpp"
#include "d3ad/draw/pixels.hpp"

namespace d3ad::draw {

// The letters of an SVG are the viewer's, and may be so much wider than those of a PNG (font::width()).
inline constexpr double kWidestFont = 1.3;

// A colour, and perhaps a role: the SVG's class, for which the style sheet of a page may have another colour.
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

  Drawing(double width, double height) : width_(width), height_(height) {
    constexpr double kLargest = 16000;  // of the side of a PNG half of it
    D3AD_CHECK(width >= 1 && height >= 1 && width <= kLargest && height <= kLargest, "drawing: ", width, " x ", height,
               " units, expected 1 to ", kLargest, "; show fewer or smaller pictures");
  }

  double width() const { return width_; }
  double height() const { return height_; }

  void rectangle(double x, double y, double w, double h, Ink fill, std::string tip = "") {
    items_.emplace_back(Rectangle{x, y, w, h, fill, std::move(tip)});
  }
  // A line through the points.
  void line(Points points, Ink colour, double thick = 1, bool dashed = false) {
    items_.emplace_back(Line{std::move(points), colour, thick, dashed});
  }
  void dot(double x, double y, double radius, Ink colour, std::string tip = "") {
    items_.emplace_back(Dot{x, y, radius, colour, std::move(tip)});
  }
  void text(double x, double y, std::string words, TextStyle style) {
    items_.emplace_back(Text{x, y, std::move(words), style});
  }
  void text(double x, double y, std::string words) { text(x, y, std::move(words), TextStyle()); }
  // Stretched to w x h; grey or RGB.
  void picture(double x, double y, double w, double h, Image image) {
    items_.emplace_back(Picture{x, y, w, h, std::move(image)});
  }

  // A file of its own. The pictures are in it as PNG, in their own size.
  std::string svg(const std::string& title) const {
    const std::string w = number(width_), h = number(height_);
    return concat("<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"", w,
                  "\" height=\"", h, "\" viewBox=\"0 0 ", w, " ", h,
                  "\" role=\"img\" font-family=\"Helvetica, Arial, sans-serif\">\n<title>", html_escape(title),
                  "</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n", shapes(), "</svg>\n");
  }
  // An element of an HTML page, which says its size, its background and its font.
  std::string page_svg(const std::string& title) const {
    return concat("<svg viewBox=\"0 0 ", number(width_), " ", number(height_), "\" role=\"img\" aria-label=\"",
                  html_escape(title), "\">\n", shapes(), "</svg>\n");
  }

  // As pixels, `scale` of them for a unit.
  Image image(double scale = 2) const {
    Image out =
        white_image(static_cast<int>(std::lround(width_ * scale)), static_cast<int>(std::lround(height_ * scale)));
    for (const auto& item : items_) std::visit([&](const auto& i) { paint(out, i, scale); }, item);
    return out;
  }

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
  static std::string shape(const char* tag, const Ink& ink) {
    return concat("<", tag, *ink.role ? concat(" class=\"", ink.role, "\"") : "");
  }
  static std::string hex(const Ink& ink) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string out = "#";
    for (const auto v : ink.colour) out += kDigits[v >> 4], out += kDigits[v & 15];
    return out;
  }
  static std::string close(const char* tag, const std::string& tip) {
    return tip.empty() ? "/>" : concat("><title>", html_escape(tip), "</title></", tag, ">");
  }
  std::string shapes() const {
    std::string out;
    for (const auto& item : items_) out += std::visit([](const auto& i) { return to_svg(i); }, item) + "\n";
    return out;
  }
  static std::string to_svg(const Rectangle& r) {
    return concat(shape("rect", r.fill), " x=\"", places(r.x), "\" y=\"", places(r.y), "\" width=\"", places(r.w),
                  "\" height=\"", places(r.h), "\" fill=\"", hex(r.fill), "\"", close("rect", r.tip));
  }
  static std::string to_svg(const Line& l) {
    std::string points;
    for (const auto& p : l.points) points += places(p.first) + "," + places(p.second) + " ";
    if (!points.empty()) points.pop_back();
    return concat(shape("polyline", l.colour), " points=\"", points, "\" fill=\"none\" stroke=\"", hex(l.colour),
                  "\" stroke-width=\"", places(l.thick), "\"",
                  l.dashed ? concat(" stroke-dasharray=\"", places(kDash), " ", places(kGap), "\"") : "",
                  " stroke-linejoin=\"round\"/>");
  }
  static std::string to_svg(const Dot& d) {
    return concat(shape("circle", d.colour), " cx=\"", places(d.x), "\" cy=\"", places(d.y), "\" r=\"",
                  places(d.radius), "\" fill=\"", hex(d.colour), "\"", close("circle", d.tip));
  }
  static std::string to_svg(const Text& t) {
    static constexpr const char* kAnchors[] = {"start", "middle", "end"};
    const std::string x = places(t.x), y = places(t.y);
    return concat(shape("text", t.style.colour), " x=\"", x, "\" y=\"", y, "\" font-size=\"", places(t.style.size),
                  "\" text-anchor=\"", kAnchors[static_cast<int>(t.style.anchor)], "\" fill=\"", hex(t.style.colour),
                  "\"", t.style.bold ? " font-weight=\"bold\"" : "",
                  t.style.turned ? concat(" transform=\"rotate(-90 ", x, " ", y, ")\"") : "", ">", html_escape(t.words),
                  "</text>");
  }
  static std::string to_svg(const Picture& p) {
    return concat("<image x=\"", places(p.x), "\" y=\"", places(p.y), "\" width=\"", places(p.w), "\" height=\"",
                  places(p.h), "\" preserveAspectRatio=\"none\" xlink:href=\"data:image/png;base64,",
                  base64(encode_png(p.image)), "\"/>");
  }

  // The whole pixels whose centres are in a box: its first ones and their number.
  struct Box {
    int x, y, w, h;
  };
  static Box box(double x, double y, double w, double h, double scale) {
    const auto at = [scale](double v) { return static_cast<int>(std::lround(v * scale)); };
    return {at(x), at(y), at(x + w) - at(x), at(y + h) - at(y)};
  }
  static void paint(Image& out, const Rectangle& r, double scale) {
    const Box b = box(r.x, r.y, r.w, r.h, scale);
    fill_rectangle(out, b.x, b.y, b.w, b.h, r.fill.colour);
  }
  static void paint(Image& out, const Line& l, double scale) {
    double walked = 0;  // along the line, for its dashes
    for (std::size_t i = 1; i < l.points.size(); ++i) {
      const double x = l.points[i - 1].first, y = l.points[i - 1].second;
      const double dx = l.points[i].first - x, dy = l.points[i].second - y, length = std::hypot(dx, dy);
      double at = 0;
      while (at < length) {
        const double phase = l.dashed ? std::fmod(walked + at, kDash + kGap) : 0;
        const double end = !l.dashed ? length : std::min(length, at + (phase < kDash ? kDash : kDash + kGap) - phase);
        if (phase < kDash)
          stroke(out, (x + dx * at / length) * scale, (y + dy * at / length) * scale, (x + dx * end / length) * scale,
                 (y + dy * end / length) * scale, 0.5 * l.thick * scale, l.colour.colour);
        at = std::max(end, at + 1e-6);
      }
      walked += length;
    }
  }
  static void paint(Image& out, const Dot& d, double scale) {
    stroke(out, d.x * scale, d.y * scale, d.x * scale, d.y * scale, d.radius * scale, d.colour.colour);
  }
  static void paint(Image& out, const Text& t, double scale) {
    const double shift = font::width(t.words, t.style.size) * (t.style.anchor == Anchor::start    ? 0
                                                               : t.style.anchor == Anchor::middle ? 0.5
                                                                                                  : 1);
    font::draw(out, t.words,
               {.x = (t.x - (t.style.turned ? 0 : shift)) * scale,
                .y = (t.y + (t.style.turned ? shift : 0)) * scale,
                .size = t.style.size * scale,
                .bold = t.style.bold,
                .turned = t.style.turned},
               t.style.colour.colour);
  }
  static void paint(Image& out, const Picture& p, double scale) {
    const Box b = box(p.x, p.y, p.w, p.h, scale);
    if (b.w <= 0 || b.h <= 0) return;
    const Image fitted = to_rgb(resize(p.image, b.w, b.h));
    for (int y = std::max(b.y, 0); y < std::min(b.y + b.h, out.height); ++y)
      for (int x = std::max(b.x, 0); x < std::min(b.x + b.w, out.width); ++x)
        std::copy_n(fitted.at(x - b.x, y - b.y), 3, out.at(x, y));
  }

  double width_, height_;
  std::vector<std::variant<Rectangle, Line, Dot, Text, Picture>> items_;
};

// Which of the two a file's name asks for; throws where it is neither, so that it can be said before long work.
enum class DrawingFormat { png, svg };
inline DrawingFormat drawing_format(const std::filesystem::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  D3AD_CHECK(ending == ".png" || ending == ".svg", "cannot write a figure to '", path.string(),
             "': its name has to end in .png or .svg");
  return ending == ".svg" ? DrawingFormat::svg : DrawingFormat::png;
}

inline void write_drawing(const std::filesystem::path& path, const Drawing& drawing, const std::string& title) {
  if (drawing_format(path) == DrawingFormat::svg)
    write_atomically(path, std::string_view(drawing.svg(title)));
  else
    write_png(path, drawing.image());
}

}  // namespace d3ad::draw
