// The report's parts: text that is safe in HTML, base64; curves whose areas are the metrics.

#include "d3ad/report/report.hpp"

#include <doctest/doctest.h>

namespace report_test {

using namespace d3ad;

namespace {

double area(const anomaly::Curve& c) {
  double sum = 0;
  for (std::size_t i = 1; i < c.x.size(); ++i) sum += (c.x[i] - c.x[i - 1]) * (c.y[i] + c.y[i - 1]) / 2;
  return sum;
}

}  // namespace

TEST_CASE("text is escaped for HTML, bytes become base64") {
  CHECK(draw::html_escape("<a href=\"x\">&") == "&lt;a href=&quot;x&quot;&gt;&amp;");
  // RFC 4648, section 10.
  for (const auto& [plain, coded] : std::vector<std::pair<std::string, std::string>>{
           {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"foobar", "Zm9vYmFy"}})
    CHECK(draw::base64(plain) == coded);
  CHECK(draw::base64(std::string("\xff\xfe", 2)) == "//4=");
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

}  // namespace report_test
