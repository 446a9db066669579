// Charts: their points, bars, numbers along the axes, marks and legends, whatever the data and the locale.

#include "d3ad/draw/chart.hpp"

#include <doctest/doctest.h>

#include "support/locale.hpp"
#include "support/temporary_folder.hpp"

namespace chart_test {

using namespace d3ad;
using draw::Colour, draw::Drawing;
using test::contains, test::refusal;

namespace {

int count(const Image& image, Colour colour) {
  int n = 0;
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x) n += std::equal(colour.begin(), colour.end(), image.at(x, y));
  return n;
}
Colour at(const Image& image, int x, int y) { return {image.at(x, y)[0], image.at(x, y)[1], image.at(x, y)[2]}; }
Colour colour(std::size_t series) { return draw::series_ink(series).colour; }

Drawing line_chart(const std::vector<draw::Series>& series, const draw::Axes& axes) {
  Drawing d(420, 260);
  draw::line_chart(d, draw::inside(d), series, axes);
  return d;
}

}  // namespace

TEST_CASE("a chart of lines shows its points, and series without any are not in the legend") {
  Drawing d(400, 300);
  draw::line_chart(d, {60, 50, 300, 200}, {{"full", {0, 0.5, 1}, {10, 30, 20}}, {"empty", {0, 1}, {NAN, NAN}}},
                   {.title = "t",
                    .x = {.label = "x", .ticks = {{0, "0"}, {0.5, "0.5"}, {1, "1"}}},
                    .y = {.label = "percent"},
                    .dots = true});
  const auto svg = d.svg("");
  CHECK(contains(svg, ">full</text>"));
  CHECK_FALSE(contains(svg, "empty"));
  CHECK_FALSE(contains(svg, "nan"));
  for (const char* text : {">0.5</text>", ">percent</text>", ">x</text>", ">t</text>"}) CHECK(contains(svg, text));
  // The middle point is in the middle, the highest at the top.
  const auto image = d.image(1);
  CHECK(at(image, 210, 60) == colour(0));
  Drawing odd(400, 300);
  draw::line_chart(odd, {60, 50, 300, 200}, {}, {});
  draw::line_chart(odd, {60, 50, 300, 200}, {{"one", {5}, {5}}}, {});
  draw::line_chart(odd, {60, 50, 300, 200}, {{"flat", {1, 2}, {1e9, 1e9}}}, {});
  CHECK_FALSE(contains(odd.svg(""), "nan"));
}

TEST_CASE("bars are as high as their numbers") {
  Drawing d(400, 300);
  draw::bar_chart(d, {60, 50, 300, 200}, {{"a (3)", {0, 50, 100}, {"0 of 3", "", ""}}, {"b (1)", {100, 0, 0}}},
                  {"1", "2", "3"}, {.y = {.to = 100}, .sub_names = {"20", "30", "40"}});
  const auto image = d.image(1);
  // Of each group of 100 units the bars take 40, from 10 on: b's first, a's second and third.
  CHECK(count(image, colour(0)) == doctest::Approx(40 * 100 + 40 * 200 + 18 * 8).epsilon(0.05));
  CHECK(count(image, colour(1)) == doctest::Approx(40 * 200 + 18 * 8).epsilon(0.05));
  CHECK(contains(d.svg(""), "<title>0 of 3</title>"));
  CHECK(contains(d.svg(""), ">40</text>"));
  CHECK(contains(refusal([&] { draw::bar_chart(d, {0, 0, 1, 1}, {}, {}, {}); }), "nothing to draw"));
}

TEST_CASE("the bar of colours runs over the whole scale, and marks the threshold where it is on it") {
  Drawing d(300, 40), outside(300, 40);
  draw::colour_bar(d, 10, 10, 1, 3, 2);
  draw::colour_bar(outside, 10, 10, 1, 3, 4);
  const auto image = d.image(1);
  for (std::size_t c = 0; c < 3; ++c) {  // to what resizing the strip mixes
    CHECK(std::abs(at(image, 10, 12)[c] - draw::heat_colour(0)[c]) < 10);
    CHECK(std::abs(at(image, 229, 12)[c] - draw::heat_colour(1)[c]) < 10);
  }
  CHECK(at(image, 120, 15) == Colour{0, 200, 60});
  CHECK(count(outside.image(1), {0, 200, 60}) == 0);
  CHECK(contains(d.svg(""), ">2.5</text>"));
  draw::colour_bar(d, 10, 10, 1, 1, 1);  // no range
  CHECK_FALSE(contains(d.svg(""), "nan"));
}

TEST_CASE("a curve is drawn, whatever the numbers") {
  const auto chart_of = [](std::vector<double> x, std::vector<double> y, bool log_y = false) {
    return line_chart({{"loss", std::move(x), std::move(y)}},
                      {.title = "T & t", .x = {.label = "a<b"}, .y = {.label = "y", .log = log_y}});
  };
  const auto ink = [](const Drawing& d) { return count(d.image(), colour(0)); };
  CHECK(ink(chart_of({0, 1, 2}, {3, 1, 2})) > 500);
  CHECK(ink(chart_of({1, 2, 3}, {1, 0.01, 1e-4}, true)) > 500);
  CHECK(ink(chart_of({1, 2}, {7, 7})) > 100);
  CHECK(ink(chart_of({5}, {5})) > 0);
  CHECK(contains(chart_of({1}, {2}).svg(""), "T &amp; t"));
  CHECK(contains(chart_of({1}, {2}).svg(""), "a&lt;b"));
  for (const bool log_y : {false, true})
    for (const double v : {0.0, -1.0, double{NAN}, double{INFINITY}, 1e-300, 1e300}) {
      CAPTURE(v);
      CAPTURE(log_y);
      const auto svg = chart_of({0, 1, 2}, {v, v, 3}, log_y).svg("");
      CHECK_FALSE(contains(svg, "nan"));
      CHECK_FALSE(contains(svg, "inf"));
    }
}

TEST_CASE("an axis has round numbers, on a logarithmic one too") {
  CHECK(draw::ticks(0, 1, 6) == std::vector<double>{0, 0.2, 0.4, 0.6000000000000001, 0.8, 1});
  const auto texts = [](double lo, double hi, std::size_t most) {
    std::string out;
    for (const double t : draw::log_ticks(lo, hi, most)) out += draw::tick_text(t) + " ";
    return out;
  };
  CHECK(texts(0.01, 1.5, 12) == "0.01 0.02 0.03 0.05 0.07 0.1 0.2 0.3 0.5 0.7 1 ");
  CHECK(texts(0.01, 1.5, 8) == "0.01 0.02 0.05 0.1 0.2 0.5 1 ");
  CHECK(texts(1e-6, 1, 8) == "1e-06 1e-05 0.0001 0.001 0.01 0.1 1 ");
  CHECK(texts(1e-12, 1, 8) == "1e-12 1e-10 1e-08 1e-06 0.0001 0.01 1 ");
  CHECK(texts(4.1, 4.4, 8) == "4.1 4.2 4.3 4.4 ");
  // Losses over more than a decade: round numbers, not powers of some fraction.
  const auto svg = line_chart({{"s", {0, 1}, {0.01, 1.5}}}, {.y = {.log = true}}).svg("");
  for (const char* tick : {">0.01<", ">0.05<", ">0.2<", ">1<"}) CHECK(contains(svg, tick));
}

TEST_CASE("a mark stands where it is on the axis, and is left out beyond it") {
  const auto chart_of = [](double mark) {
    return line_chart({{"s", {0, 10}, {0, 1}}}, {.mark_x = mark, .mark_label = "here"}).svg("");
  };
  CHECK(contains(chart_of(5), "<polyline class=\"mark\" points=\"230,46 230,206\""));
  CHECK(contains(chart_of(5), ">here<"));
  for (const double v : {-1.0, 11.0, double{NAN}}) CHECK_FALSE(contains(chart_of(v), "mark"));
  Drawing d(420, 260);
  draw::bar_chart(d, draw::inside(d), {{"a", {1, 2}}}, {"x", "y"}, {.x = {.from = 0, .to = 1}, .mark_x = 0.5});
  CHECK(contains(d.svg(""), "<polyline class=\"mark\" points=\"230,46 230,206\""));
  draw::bar_chart(d, draw::inside(d), {{"a", {1, 2}}}, {"x", "y"}, {.mark_x = 0.5});  // no axis for it
  CHECK_FALSE(contains(d.svg(""), "nan"));
}

TEST_CASE("a line ends where its axis does") {
  const auto svg =
      line_chart({{"s", {0, 0.5, 2, 3}, {0, 0.5, 2, 1}}}, {.x = {.from = 0, .to = 1}, .y = {.from = 0, .to = 1}})
          .svg("");
  CHECK(contains(svg, "points=\"56,206 230,126 404,46\""));
}

TEST_CASE("series keep their colours, lines beyond these are dashed, and names do not run into each other") {
  std::vector<draw::Series> series;
  for (int i = 0; i < 11; ++i) series.push_back({concat("n", i), {0, 1}, {1.0 * i, i == 1 ? NAN : 2.0}});
  series[0].x.clear();
  const auto svg = line_chart(series, {.x = {.ticks = {{0, "0"}, {0.001, "0.001"}, {1, "1"}}}}).svg("");
  CHECK_FALSE(contains(svg, ">n0<"));
  CHECK(contains(svg, "class=\"s1\""));
  CHECK(contains(svg, ">n10<"));
  CHECK(contains(svg, "<polyline class=\"s0\" points=\"56,"));  // the eleventh has the first one's
  CHECK(contains(svg, "stroke-dasharray"));
  CHECK(contains(svg, ">1</text>"));
  CHECK_FALSE(contains(svg, ">0.001<"));
}

TEST_CASE("points without lines stand side by side and say what they are") {
  const auto svg = line_chart({{"a", {0}, {1}, {"a is 1"}}, {"b", {0}, {1}, {"b is 1"}}},
                              {.x = {.from = -1, .to = 1}, .y = {.from = 0, .to = 2}, .joined = false, .dots = true})
                       .svg("");
  CHECK(contains(svg, "cx=\"225.5\" cy=\"126\""));
  CHECK(contains(svg, "cx=\"234.5\" cy=\"126\""));
  CHECK(contains(svg, "<title>b is 1</title>"));
}

TEST_CASE("bars say their numbers") {
  Drawing d(420, 260);
  draw::bar_chart(d, draw::inside(d), {{"good", {1, 5}}, {"faulty", {0, 2}}}, {"20", "30"}, {.title = "T"});
  CHECK(contains(d.svg(""), "<title>good, 30: 5</title>"));
  CHECK(contains(d.svg(""), ">30</text>"));
  // Bins of a range: round numbers under them.
  Drawing bins(420, 260);
  draw::bar_chart(bins, draw::inside(bins), {{"n", {1, 5}}}, {"0.17", "0.51"}, {.x = {.from = 0, .to = 0.68}});
  CHECK(contains(bins.svg(""), ">0.2</text>"));
  CHECK_FALSE(contains(bins.svg(""), ">0.17</text>"));
}

TEST_CASE("a chart is the same in every locale") {
  const auto drawn = [] {
    Drawing d = line_chart({{"a", {0, 2500.5}, {0.25, 0.75}}}, {.x = {.label = "x"}});
    draw::bar_chart(d, draw::inside(d), {{"n", {1234.5, 0.5}}}, {"1", "2"}, {});
    draw::colour_bar(d, 0.5, 0.5, 0, 1, 0.5f);
    return d.svg("");
  };
  const auto plain = drawn();
  for (const char* part : {">0.4<", ">2000<", "<title>n, 1: 1234.5</title>"}) CHECK(contains(plain, part));
  const test::CommaLocale other;
  CHECK(drawn() == plain);
  CHECK(draw::tick_text(1234567.5) == "1.23457e+06");
  CHECK(draw::tick_text(0.1 + 0.2) == "0.3");
  CHECK(number(1234.5) == "1234.5");
  CHECK(to_number("1234.5") == 1234.5);
}

}  // namespace chart_test
