// The report's parts: text that is safe in HTML, base64, charts; curves whose areas are the metrics.

#include "d3ad/report/report.hpp"

#include <doctest/doctest.h>

#include "support/temporary_folder.hpp"

namespace report_test {

using namespace d3ad;
using test::contains;

namespace {

double area(const anomaly::Curve& c) {
  double sum = 0;
  for (std::size_t i = 1; i < c.x.size(); ++i) sum += (c.x[i] - c.x[i - 1]) * (c.y[i] + c.y[i - 1]) / 2;
  return sum;
}

}  // namespace

TEST_CASE("text is escaped for HTML, bytes become base64") {
  CHECK(html_escape("<a href=\"x\">&") == "&lt;a href=&quot;x&quot;&gt;&amp;");
  // RFC 4648, section 10.
  for (const auto& [plain, coded] : std::vector<std::pair<std::string, std::string>>{
           {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"foobar", "Zm9vYmFy"}})
    CHECK(detail::base64(plain) == coded);
  CHECK(detail::base64(std::string("\xff\xfe", 2)) == "//4=");
}

TEST_CASE("the areas under the drawn curves are the metrics") {
  const Rng rng(3, 1);
  anomaly::PixelScores pixels;
  anomaly::Ranking ranking;
  for (std::uint64_t n = 0; n < 4; ++n) {
    std::vector<float> map(64 * 64);
    std::vector<std::uint8_t> mask(map.size());
    for (std::size_t i = 0; i < map.size(); ++i) {
      mask[i] = n > 0 && i / 64 > 20 && i / 64 < 40 && i % 64 > 20 && i % 64 < 40;
      map[i] = rng.uniform(n * map.size() + i) + (mask[i] ? 0.4f : 0.0f);
      ranking.add(map[i], mask[i] != 0);
    }
    pixels.add(map, mask, 64, 64);
  }
  ranking.sort();
  const auto m = pixels.metrics();
  CHECK(area(pixels.roc_curve()) == doctest::Approx(m.rank.auroc).epsilon(0.002));
  CHECK(area(anomaly::roc_curve(ranking)) == doctest::Approx(m.rank.auroc).epsilon(0.002));
  const auto pro = pixels.pro_curve();
  CHECK(area(pro) / anomaly::kProLimit == doctest::Approx(m.aupro).epsilon(0.01));
  CHECK(pro.x.size() < 500);
  CHECK(pro.x.back() > anomaly::kProLimit);
  anomaly::Ranking one;
  one.add(1, true);
  one.sort();
  CHECK(anomaly::roc_curve(one).x.empty());
}

TEST_CASE("charts hold their labels, escaped, and only finite numbers") {
  const auto chart = svg::lines({{"a<b", {0, 1, 2}, {1, NAN, 3}}},
                                {.title = "T & t", .x_label = "x", .y_label = "y", .mark_label = ""});
  CHECK(contains(chart, "T &amp; t"));
  CHECK(contains(chart, "a&lt;b"));
  CHECK_FALSE(contains(chart, "nan"));
  CHECK_FALSE(contains(chart, "inf"));
  CHECK(svg::lines({{"empty", {}, {}}}, {.title = "t", .x_label = "", .y_label = "", .mark_label = ""}).empty());
  // A log axis of one value, and of zero.
  const auto flat = svg::lines({{"s", {1, 1}, {0, 0}}},
                               {.title = "t", .x_label = "", .y_label = "", .log_y = true, .mark_label = ""});
  CHECK_FALSE(contains(flat, "nan"));
  // Losses over more than a decade: round numbers, not powers of some fraction.
  const auto decades = svg::lines({{"s", {0, 1}, {0.01, 1.5}}},
                                  {.title = "t", .x_label = "", .y_label = "", .log_y = true, .mark_label = ""});
  for (const char* tick : {">0.01<", ">0.05<", ">0.2<", ">1<"}) CHECK(contains(decades, tick));
  const auto bars = svg::bars({{"good", {1, 5}}, {"faulty", {0, 2}}}, {"20", "30"},
                              {.title = "T", .x_label = "", .y_label = "", .mark_label = ""});
  CHECK(contains(bars, "<title>good, 30: 5</title>"));
  CHECK_THROWS_AS(svg::bars({}, {}, {}), Error);
}

}  // namespace report_test
