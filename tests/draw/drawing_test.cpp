// Drawings: what is drawn is in the SVG and in the pixels; the font; names of files; numbers in every locale.

#include "d3ad/draw/drawing.hpp"

#include <doctest/doctest.h>

#include "support/locale.hpp"
#include "support/temporary_folder.hpp"

namespace drawing_test {

using namespace d3ad;
using draw::Anchor, draw::Colour, draw::Drawing;
using test::contains, test::refusal;

namespace {

int count(const Image& image, Colour colour) {
  int n = 0;
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x) n += std::equal(colour.begin(), colour.end(), image.at(x, y));
  return n;
}
Colour at(const Image& image, int x, int y) { return {image.at(x, y)[0], image.at(x, y)[1], image.at(x, y)[2]}; }
int dark(const Image& image) {
  int n = 0;
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) n += image.pixels[i] < 128;
  return n;
}

}  // namespace

TEST_CASE("a drawing has the same in SVG and in pixels") {
  const Colour blue{0, 0, 200}, red{200, 0, 0};
  Drawing d(60, 40);
  d.rectangle(10, 5, 20, 10, blue, "a < b");
  d.line({{0, 30}, {60, 30}}, red, 2);
  Image photo(2, 1, 1);
  photo.pixels = {0, 100};
  d.picture(40, 5, 2, 1, photo);
  d.dot(50, 20, 3, blue);
  const Image image = d.image(2);
  CHECK(image.width == 120);
  CHECK(image.height == 80);
  CHECK(at(image, 0, 0) == Colour{255, 255, 255});
  CHECK(at(image, 20, 10) == blue);
  CHECK(at(image, 59, 29) == blue);
  CHECK(at(image, 60, 29) == Colour{255, 255, 255});
  CHECK(at(image, 50, 60) == red);
  CHECK(at(image, 80, 10) == Colour{0, 0, 0});
  CHECK(at(image, 83, 11) == Colour{100, 100, 100});
  CHECK(at(image, 100, 40) == blue);

  const std::string svg = d.svg("T & t");
  CHECK(contains(svg, "<title>T &amp; t</title>"));
  CHECK(contains(svg,
                 "<rect x=\"10\" y=\"5\" width=\"20\" height=\"10\" fill=\"#0000c8\"><title>a &lt; b</title></rect>"));
  CHECK(contains(svg, "<polyline points=\"0,30 60,30\""));
  CHECK(contains(svg, "<circle cx=\"50\" cy=\"20\" r=\"3\""));
  // The picture is in it whole, in its own size.
  CHECK(contains(svg, "data:image/png;base64," + draw::base64(encode_png(photo)) + "\"/>"));
  CHECK(svg.starts_with("<svg xmlns="));
  CHECK(svg.ends_with("</svg>\n"));
  CHECK(contains(refusal([] { Drawing(1e6, 10); }), "show fewer or smaller pictures"));
  CHECK(contains(refusal([] { Drawing(10, NAN); }), "drawing"));
}

TEST_CASE("a page may have its own colours for what has a role, and says the size itself") {
  Drawing d(60, 40);
  d.rectangle(1, 2, 3, 4, {9, 9, 9, "s0"}, "tip");
  d.line({{0, 0}, {5, 5}}, draw::kGrid);
  d.dot(5, 6, 1, {9, 9, 9, "s1"}, "a & b");
  d.text(7, 8, "words", {.colour = draw::kSoft});
  const auto svg = d.svg("t"), page = d.page_svg("a \"t\"");
  for (const char* part :
       {"<rect class=\"s0\" x=\"1\"", "<polyline class=\"grid\" points=\"0,0 5,5\" fill=\"none\" stroke",
        "<circle class=\"s1\" cx=\"5\"", "<title>a &amp; b</title></circle>", "<text class=\"soft\" x=\"7\""}) {
    CAPTURE(part);
    CHECK(contains(svg, part));
    CHECK(contains(page, part));
  }
  CHECK(page.starts_with("<svg viewBox=\"0 0 60 40\" role=\"img\" aria-label=\"a &quot;t&quot;\">"));
  CHECK_FALSE(contains(page, "http"));
  CHECK_FALSE(contains(page, "100%"));
}

TEST_CASE("the numbers of a drawing are the same in every locale") {
  const auto drawn = [] {
    Drawing d(1234.5, 40);
    d.rectangle(1000.25, 2.5, 1.5, 4000, {9, 9, 9});
    d.line({{0.5, 0.25}, {1e4, 5}}, {1, 2, 3}, 1.5, true);
    d.dot(0.125, 1e5, 1.25, {1, 2, 3});
    d.text(0.5, 0.5, "words", {.size = 11.5, .turned = true});
    return d.svg("t") + d.page_svg("t");
  };
  const auto plain = drawn();
  CHECK(contains(plain, "viewBox=\"0 0 1234.5 40\""));
  CHECK(contains(plain, "points=\"0.5,0.25 10000,5\""));
  const test::CommaLocale other;
  CHECK(drawn() == plain);
}

TEST_CASE("what reaches over the border of a drawing is cut off") {
  Drawing d(10, 10);
  d.rectangle(-5, -5, 8, 8, {1, 2, 3});
  d.picture(8, 8, 10, 10, Image(4, 4, 3));
  d.line({{-100, 5}, {100, 5}}, {9, 9, 9}, 1);
  d.text(-20, 5, "text that is long", {.size = 20});
  d.picture(2, 2, 0.1, 0.1, Image(4, 4, 3));  // smaller than a pixel
  CHECK(d.image(1).width == 10);
}

TEST_CASE("a dashed line has gaps") {
  Drawing whole(100, 10), dashed(100, 10);
  whole.line({{0, 5}, {100, 5}}, {0, 0, 0}, 2);
  dashed.line({{0, 5}, {50, 5}, {100, 5}}, {0, 0, 0}, 2, true);
  const int all = dark(whole.image(1)), some = dark(dashed.image(1));
  CHECK(some < all - 20);
  CHECK(some > all / 3);
  CHECK(contains(dashed.svg(""), "stroke-dasharray=\"5 4\""));
}

TEST_CASE("text stands where it was put, whatever its anchor and direction") {
  const auto box = [](const Drawing& d) {
    const Image image = d.image(1);
    int x0 = image.width, x1 = -1, y0 = image.height, y1 = -1;
    for (int y = 0; y < image.height; ++y)
      for (int x = 0; x < image.width; ++x)
        if (image.at(x, y)[0] < 200)
          x0 = std::min(x0, x), x1 = std::max(x1, x), y0 = std::min(y0, y), y1 = std::max(y1, y);
    return std::array<int, 4>{x0, x1, y0, y1};
  };
  const double width = draw::font::width("HOH", 20);
  for (const auto& [anchor, left] :
       {std::pair{Anchor::start, 100.0}, {Anchor::middle, 100 - width / 2}, {Anchor::end, 100 - width}}) {
    Drawing d(200, 100);
    d.text(100, 50, "HOH", {.size = 20, .anchor = anchor});
    const auto b = box(d);
    CHECK(std::abs(b[0] - left) <= 2);
    CHECK(std::abs(b[1] - (left + width)) <= 2);
    CHECK(std::abs(b[2] - (50 - 0.72 * 20)) <= 2);
    CHECK(std::abs(b[3] - 50) <= 2);
  }
  Drawing turned(100, 100);
  turned.text(50, 50, "HOH", {.size = 20, .anchor = Anchor::middle, .turned = true});
  const auto b = box(turned);
  CHECK(std::abs(b[1] - 50) <= 2);
  CHECK(std::abs(b[2] - (50 - width / 2)) <= 2);
  CHECK(std::abs(b[3] - (50 + width / 2)) <= 2);
  CHECK(contains(turned.svg(""), "rotate(-90 50 50)"));
}

TEST_CASE("the font has what labels need, and a box for what it has not") {
  const auto drawn = [](const char* text) {
    Image page = draw::white_image(60, 40);
    draw::font::draw(page, text, {.x = 10, .y = 30, .size = 20}, {0, 0, 0});
    return page.pixels;
  };
  const auto box = drawn("\xF0\x9F\x98\x80");
  for (const char* sign : {"A", "z", "5", ".", "%", "ω", "α", "ᾱ", "√", "ε", "–", "…", "&", "[", "I", "l"}) {
    CAPTURE(sign);
    CHECK(drawn(sign) != box);
    CHECK(drawn(sign) != drawn(" "));
  }
  CHECK(drawn("\xff") == box);  // no UTF-8
  CHECK(drawn("\xe2\x88") != drawn(""));
  CHECK(drawn("T̂") != drawn("T"));
  CHECK(draw::font::width("T̂", 20) == draw::font::width("T", 20));
  CHECK(draw::font::width("", 20) == 0);
  CHECK(draw::font::width("mm", 20) > draw::font::width("ii", 20));
  // Bold is bolder, and twice the size has about four times the ink.
  const auto ink = [](double size, bool bold) {
    Image page = draw::white_image(200, 80);
    draw::font::draw(page, "Hamburg", {.x = 5, .y = 60, .size = size, .bold = bold}, {0, 0, 0});
    return dark(page);
  };
  CHECK(ink(20, true) > ink(20, false));
  CHECK(ink(40, false) > 2.5 * ink(20, false));
}

TEST_CASE("a drawing goes to the file its name asks for") {
  const test::TemporaryFolder folder;
  Drawing d(20, 10);
  d.rectangle(0, 0, 20, 10, {7, 8, 9});
  draw::write_drawing(folder / "a.PNG", d, "t");
  draw::write_drawing(folder / "a.svg", d, "t");
  const Image read = read_image(folder / "a.PNG");
  CHECK(read.width == 40);
  CHECK(count(read, {7, 8, 9}) == 40 * 20);
  CHECK(read_file(folder / "a.svg", 1 << 20) == d.svg("t"));
  for (const char* name : {"a.jpg", "a", "a.svg.gz", ".png"})
    CHECK(contains(refusal([&] { draw::write_drawing(folder / name, d, "t"); }), "has to end in .png or .svg"));
  CHECK(folder.entries() == 2);
}

}  // namespace drawing_test
