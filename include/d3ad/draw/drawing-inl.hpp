#pragma once
// Definitions of draw/drawing.hpp. Included by it unless they are compiled.

#include "d3ad/draw/drawing.hpp"

namespace d3ad::draw {

D3AD_INLINE DrawingFormat drawing_format(const std::filesystem::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  D3AD_CHECK(ending == ".png" || ending == ".svg", "cannot write a figure to '", path.string(),
             "': its name has to end in .png or .svg");
  return ending == ".svg" ? DrawingFormat::svg : DrawingFormat::png;
}

D3AD_INLINE void write_drawing(const std::filesystem::path& path, const Drawing& drawing, const std::string& title) {
  if (drawing_format(path) == DrawingFormat::svg)
    write_atomically(path, std::string_view(drawing.svg(title)));
  else
    write_png(path, drawing.image());
}

}  // namespace d3ad::draw

namespace d3ad::draw {

D3AD_INLINE Drawing::Drawing(double width, double height) : width_(width), height_(height) {
  constexpr double kLargest = 16000;  // of a side; a PNG has twice as many pixels
  D3AD_CHECK(width >= 1 && height >= 1 && width <= kLargest && height <= kLargest, "drawing: ", width, " x ", height,
             " units, expected 1 to ", kLargest, "; show fewer or smaller pictures");
}

D3AD_INLINE void Drawing::rectangle(double x, double y, double w, double h, Ink fill, std::string tip) {
  items_.emplace_back(Rectangle{x, y, w, h, fill, std::move(tip)});
}

D3AD_INLINE void Drawing::line(Points points, Ink colour, double thick, bool dashed) {
  items_.emplace_back(Line{std::move(points), colour, thick, dashed});
}

D3AD_INLINE void Drawing::dot(double x, double y, double radius, Ink colour, std::string tip) {
  items_.emplace_back(Dot{x, y, radius, colour, std::move(tip)});
}

D3AD_INLINE void Drawing::text(double x, double y, std::string words, TextStyle style) {
  items_.emplace_back(Text{x, y, std::move(words), style});
}

D3AD_INLINE void Drawing::picture(double x, double y, double w, double h, Image image) {
  items_.emplace_back(Picture{x, y, w, h, std::move(image)});
}

D3AD_INLINE std::string Drawing::svg(const std::string& title) const {
  const std::string w = number(width_), h = number(height_);
  return concat("<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"", w,
                "\" height=\"", h, "\" viewBox=\"0 0 ", w, " ", h,
                "\" role=\"img\" font-family=\"Helvetica, Arial, sans-serif\">\n<title>", html_escape(title),
                "</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n", shapes(), "</svg>\n");
}

D3AD_INLINE std::string Drawing::page_svg(const std::string& title) const {
  return concat("<svg viewBox=\"0 0 ", number(width_), " ", number(height_), "\" role=\"img\" aria-label=\"",
                html_escape(title), "\">\n", shapes(), "</svg>\n");
}

D3AD_INLINE Image Drawing::image(double scale) const {
  Image out =
      white_image(static_cast<int>(std::lround(width_ * scale)), static_cast<int>(std::lround(height_ * scale)));
  for (const auto& item : items_) std::visit([&](const auto& i) { paint(out, i, scale); }, item);
  return out;
}

D3AD_INLINE std::string Drawing::shape(const char* tag, const Ink& ink) {
  return concat("<", tag, *ink.role ? concat(" class=\"", ink.role, "\"") : "");
}

D3AD_INLINE std::string Drawing::hex(const Ink& ink) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out = "#";
  for (const auto v : ink.colour) out += kDigits[v >> 4], out += kDigits[v & 15];
  return out;
}

D3AD_INLINE std::string Drawing::close(const char* tag, const std::string& tip) {
  return tip.empty() ? "/>" : concat("><title>", html_escape(tip), "</title></", tag, ">");
}

D3AD_INLINE std::string Drawing::shapes() const {
  std::string out;
  for (const auto& item : items_) out += std::visit([](const auto& i) { return to_svg(i); }, item) + "\n";
  return out;
}

D3AD_INLINE std::string Drawing::to_svg(const Rectangle& r) {
  return concat(shape("rect", r.fill), " x=\"", places(r.x), "\" y=\"", places(r.y), "\" width=\"", places(r.w),
                "\" height=\"", places(r.h), "\" fill=\"", hex(r.fill), "\"", close("rect", r.tip));
}

D3AD_INLINE std::string Drawing::to_svg(const Line& l) {
  std::string points;
  for (const auto& p : l.points) points += places(p.first) + "," + places(p.second) + " ";
  if (!points.empty()) points.pop_back();
  return concat(shape("polyline", l.colour), " points=\"", points, "\" fill=\"none\" stroke=\"", hex(l.colour),
                "\" stroke-width=\"", places(l.thick), "\"",
                l.dashed ? concat(" stroke-dasharray=\"", places(kDash), " ", places(kGap), "\"") : "",
                " stroke-linejoin=\"round\"/>");
}

D3AD_INLINE std::string Drawing::to_svg(const Dot& d) {
  return concat(shape("circle", d.colour), " cx=\"", places(d.x), "\" cy=\"", places(d.y), "\" r=\"", places(d.radius),
                "\" fill=\"", hex(d.colour), "\"", close("circle", d.tip));
}

D3AD_INLINE std::string Drawing::to_svg(const Text& t) {
  static constexpr const char* kAnchors[] = {"start", "middle", "end"};
  const std::string x = places(t.x), y = places(t.y);
  return concat(shape("text", t.style.colour), " x=\"", x, "\" y=\"", y, "\" font-size=\"", places(t.style.size),
                "\" text-anchor=\"", kAnchors[static_cast<int>(t.style.anchor)], "\" fill=\"", hex(t.style.colour),
                "\"", t.style.bold ? " font-weight=\"bold\"" : "",
                t.style.turned ? concat(" transform=\"rotate(-90 ", x, " ", y, ")\"") : "", ">", html_escape(t.words),
                "</text>");
}

D3AD_INLINE std::string Drawing::to_svg(const Picture& p) {
  return concat("<image x=\"", places(p.x), "\" y=\"", places(p.y), "\" width=\"", places(p.w), "\" height=\"",
                places(p.h), "\" preserveAspectRatio=\"none\" xlink:href=\"data:image/png;base64,",
                base64(encode_png(p.image)), "\"/>");
}

D3AD_INLINE Drawing::Box Drawing::box(double x, double y, double w, double h, double scale) {
  const auto at = [scale](double v) { return static_cast<int>(std::lround(v * scale)); };
  return {at(x), at(y), at(x + w) - at(x), at(y + h) - at(y)};
}

D3AD_INLINE void Drawing::paint(Image& out, const Rectangle& r, double scale) {
  const Box b = box(r.x, r.y, r.w, r.h, scale);
  fill_rectangle(out, b.x, b.y, b.w, b.h, r.fill.colour);
}

D3AD_INLINE void Drawing::paint(Image& out, const Line& l, double scale) {
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

D3AD_INLINE void Drawing::paint(Image& out, const Dot& d, double scale) {
  stroke(out, d.x * scale, d.y * scale, d.x * scale, d.y * scale, d.radius * scale, d.colour.colour);
}

D3AD_INLINE void Drawing::paint(Image& out, const Text& t, double scale) {
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

D3AD_INLINE void Drawing::paint(Image& out, const Picture& p, double scale) {
  const Box b = box(p.x, p.y, p.w, p.h, scale);
  if (b.w <= 0 || b.h <= 0) return;
  const Image fitted = to_rgb(resize(p.image, b.w, b.h));
  for (int y = std::max(b.y, 0); y < std::min(b.y + b.h, out.height); ++y)
    for (int x = std::max(b.x, 0); x < std::min(b.x + b.w, out.width); ++x)
      std::copy_n(fitted.at(x - b.x, y - b.y), 3, out.at(x, y));
}

}  // namespace d3ad::draw
