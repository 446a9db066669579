// Drawings: what is drawn is in the SVG and in the pixels; the font of strokes; charts; names of files.

#include "d3ad/draw/drawing.hpp"

#include <doctest/doctest.h>

#include "d3ad/draw/chart.hpp"
#include "support/temporary_folder.hpp"

namespace drawing_test {

using namespace d3ad;
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
Image white(int w, int h) {
  Image image(w, h, 3);
  std::fill(image.pixels.begin(), image.pixels.end(), std::uint8_t{255});
  return image;
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
  CHECK(contains(svg, "data:image/png;base64," + detail::base64(encode_png(photo)) + "\"/>"));
  CHECK(svg.starts_with("<svg xmlns="));
  CHECK(svg.ends_with("</svg>\n"));
  CHECK(contains(refusal([] { Drawing(1e6, 10); }), "show fewer or smaller pictures"));
  CHECK(contains(refusal([] { Drawing(10, NAN); }), "drawing"));
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
  const double width = stroke_font::width("HOH", 20);
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

TEST_CASE("the font of strokes has what labels need, and a box for what it has not") {
  const auto drawn = [](const char* text) {
    Image page = white(60, 40);
    stroke_font::draw(page, text, {.x = 10, .y = 30, .size = 20}, {0, 0, 0});
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
  CHECK(stroke_font::width("T̂", 20) == stroke_font::width("T", 20));
  CHECK(stroke_font::width("", 20) == 0);
  CHECK(stroke_font::width("mm", 20) > stroke_font::width("ii", 20));
  // Bold is bolder, and twice the size has about four times the ink.
  const auto ink = [](double size, bool bold) {
    Image page = white(200, 80);
    stroke_font::draw(page, "Hamburg", {.x = 5, .y = 60, .size = size, .bold = bold}, {0, 0, 0});
    return dark(page);
  };
  CHECK(ink(20, true) > ink(20, false));
  CHECK(ink(40, false) > 2.5 * ink(20, false));
}

TEST_CASE("a chart of lines shows its points, and series without any are not in the legend") {
  Drawing d(400, 300);
  chart::lines(d, {60, 50, 300, 200}, {{"full", {0, 0.5, 1}, {10, 30, 20}}, {"empty", {0, 1}, {NAN, NAN}}},
               {.title = "t", .x_label = "x", .y_label = "percent", .x_ticks = {0, 0.5, 1}});
  const auto svg = d.svg("");
  CHECK(contains(svg, ">full</text>"));
  CHECK_FALSE(contains(svg, "empty"));
  CHECK_FALSE(contains(svg, "nan"));
  for (const char* text : {">0.5</text>", ">percent</text>", ">x</text>", ">t</text>"}) CHECK(contains(svg, text));
  // The middle point is in the middle, the highest at the top.
  const auto image = d.image(1);
  CHECK(at(image, 210, 60) == chart::colour(0));
  Drawing odd(400, 300);
  chart::lines(odd, {60, 50, 300, 200}, {}, {});
  chart::lines(odd, {60, 50, 300, 200}, {{"one", {5}, {5}}}, {});
  chart::lines(odd, {60, 50, 300, 200}, {{"flat", {1, 2}, {1e9, 1e9}}}, {});
  CHECK_FALSE(contains(odd.svg(""), "nan"));
}

TEST_CASE("bars are as high as their numbers") {
  Drawing d(400, 300);
  chart::bars(d, {60, 50, 300, 200}, {{"a (3)", {0, 50, 100}, {"0 of 3", "", ""}}, {"b (1)", {100, 0, 0}}},
              {"1", "2", "3"}, {.y_to = 100, .sub_names = {"20", "30", "40"}});
  const auto image = d.image(1);
  // Of each group of 100 units the bars take 40, from 10 on: b's first, a's second and third.
  CHECK(count(image, chart::colour(0)) == doctest::Approx(40 * 100 + 40 * 200 + 12 * 8).epsilon(0.05));
  CHECK(count(image, chart::colour(1)) == doctest::Approx(40 * 200 + 12 * 8).epsilon(0.05));
  CHECK(contains(d.svg(""), "<title>0 of 3</title>"));
  CHECK(contains(d.svg(""), ">40</text>"));
  CHECK(contains(refusal([&] { chart::bars(d, {0, 0, 1, 1}, {}, {}, {}); }), "nothing to draw"));
}

TEST_CASE("the bar of colours runs over the whole scale, and marks the threshold where it is on it") {
  Drawing d(300, 40), outside(300, 40);
  chart::colour_bar(d, 10, 10, 1, 3, 2);
  chart::colour_bar(outside, 10, 10, 1, 3, 4);
  const auto image = d.image(1);
  for (std::size_t c = 0; c < 3; ++c) {  // to what resizing the strip mixes
    CHECK(std::abs(at(image, 10, 12)[c] - heat_colour(0)[c]) < 10);
    CHECK(std::abs(at(image, 229, 12)[c] - heat_colour(1)[c]) < 10);
  }
  CHECK(at(image, 120, 15) == Colour{0, 200, 60});
  CHECK(count(outside.image(1), {0, 200, 60}) == 0);
  CHECK(contains(d.svg(""), ">2.5</text>"));
  chart::colour_bar(d, 10, 10, 1, 1, 1);  // no range
  CHECK_FALSE(contains(d.svg(""), "nan"));
}

TEST_CASE("a drawing goes to the file its name asks for") {
  const test::TemporaryFolder folder;
  Drawing d(20, 10);
  d.rectangle(0, 0, 20, 10, {7, 8, 9});
  write_drawing(folder / "a.PNG", d, "t");
  write_drawing(folder / "a.svg", d, "t");
  const Image read = read_image(folder / "a.PNG");
  CHECK(read.width == 40);
  CHECK(count(read, {7, 8, 9}) == 40 * 20);
  CHECK(read_file(folder / "a.svg", 1 << 20) == d.svg("t"));
  for (const char* name : {"a.jpg", "a", "a.svg.gz", ".png"})
    CHECK(contains(refusal([&] { write_drawing(folder / name, d, "t"); }), "has to end in .png or .svg"));
  CHECK(folder.entries() == 2);
}

}  // namespace drawing_test
