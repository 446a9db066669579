// Calibration: ranges and threshold from nominal images, and its JSON form.

#include "d3ad/anomaly/calibration.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "d3ad/backend/cpu/context.hpp"
#include "support/compare.hpp"

using namespace d3ad;
using anomaly::Calibration;
using anomaly::MapPair;

namespace {

std::vector<MapPair> nominal(int count) {
  std::vector<MapPair> pairs;
  for (int i = 0; i < count; ++i) {
    const auto maps = test::random({2, 24, 20, 1}, static_cast<std::uint64_t>(i) + 1);
    pairs.push_back({24, 20, {maps.data(), maps.data() + 480}, {maps.data() + 480, maps.data() + 960}});
    for (float& v : pairs.back().feature) v *= 0.1f * static_cast<float>(i + 1);
  }
  return pairs;
}

Calibration calibrated(int count, anomaly::CalibrationOptions options = {}, int threads = 2) {
  Context<Cpu> ctx({.threads = threads});
  return anomaly::calibrate(ctx, nominal(count), options);
}

}  // namespace

TEST_CASE("quantile interpolates as numpy.quantile") {
  CHECK(anomaly::quantile({3, 1, 2, 4}, 0) == 1.0f);
  CHECK(anomaly::quantile({3, 1, 2, 4}, 1) == 4.0f);
  CHECK(anomaly::quantile({3, 1, 2, 4}, 0.5) == 2.5f);
  CHECK(anomaly::quantile({3, 1, 2, 4}, 0.9) == doctest::Approx(3.7));
  CHECK(anomaly::quantile({7}, 0.3) == 7.0f);
  CHECK_THROWS_AS(anomaly::quantile({}, 0.5), Error);
  CHECK_THROWS_AS(anomaly::quantile({1}, 1.5), Error);
}

TEST_CASE("calibrate takes ranges and threshold from the nominal images") {
  const auto pairs = nominal(11);
  const auto c = calibrated(11, {.false_alarm_rate = 0.2f});
  float lo = INFINITY, hi = -INFINITY;
  for (const auto& p : pairs)
    for (const float v : p.feature) lo = std::min(lo, v), hi = std::max(hi, v);
  CHECK(c.ranges.feature.lo == lo);
  CHECK(c.ranges.feature.hi == hi);
  CHECK(c.images == 11);
  REQUIRE(c.scores.size() == 11);
  CHECK(c.threshold == doctest::Approx(c.scores[8]));
  // Two of eleven lie above: about the rate asked for.
  CHECK(std::count_if(c.scores.begin(), c.scores.end(),
                      [&](float s) { return anomaly::faulty(s, c.threshold + 1e-6f); }) == 2);
  const auto strict = calibrated(11, {.false_alarm_rate = 0});
  CHECK(strict.threshold == strict.scores.back());
  CHECK(calibrated(11, {.lambda = 0.5f}).threshold != calibrated(11).threshold);
  CHECK(calibrated(11, {.sigma = 2}).threshold != calibrated(11).threshold);
  CHECK(calibrated(11, {}, 1).scores == calibrated(11, {}, 4).scores);
  CHECK(calibrated(1).threshold == calibrated(1).scores[0]);

  Context<Cpu> ctx;
  CHECK_THROWS_AS(anomaly::calibrate(ctx, {}, {}), Error);
  CHECK_THROWS_AS(anomaly::calibrate(ctx, pairs, {.false_alarm_rate = 1}), Error);
}

TEST_CASE("a calibration comes back from its JSON text exactly") {
  const auto c = calibrated(7);
  const nlohmann::json j = c;
  const auto again = nlohmann::json::parse(j.dump(2)).get<Calibration>();
  CHECK(again.ranges.latent.lo == c.ranges.latent.lo);
  CHECK(again.ranges.latent.hi == c.ranges.latent.hi);
  CHECK(again.ranges.feature.lo == c.ranges.feature.lo);
  CHECK(again.ranges.feature.hi == c.ranges.feature.hi);
  CHECK(again.threshold == c.threshold);
  CHECK(again.false_alarm_rate == c.false_alarm_rate);
  CHECK(again.lambda == c.lambda);
  CHECK(again.sigma == c.sigma);
  CHECK(again.images == c.images);
  CHECK(again.scores == c.scores);
}

TEST_CASE("a damaged calibration is refused with the field's name") {
  const nlohmann::json good = calibrated(3);
  const auto refused = [&](const char* field, nlohmann::json value, const char* why) {
    auto j = good;
    j[field] = std::move(value);
    CHECK_THROWS_WITH_AS(j.get<Calibration>(), doctest::Contains(why), Error);
  };
  for (const auto& item : good.items()) {
    CAPTURE(item.key());
    auto j = good;
    j.erase(item.key());
    CHECK_THROWS_WITH_AS(j.get<Calibration>(), doctest::Contains("is missing"), Error);
    refused(item.key().c_str(), nullptr, item.key().c_str());  // also what a NaN is written as
    refused(item.key().c_str(), "text", item.key().c_str());
    refused(item.key().c_str(), nlohmann::json::object(), item.key().c_str());
  }
  refused("extra", 1, "'extra' is not known");
  refused("latent", {2, 1}, "latent");
  refused("latent", {0, 1, 2}, "latent");
  refused("feature", {0, 1e60}, "feature");
  refused("threshold", 1e60, "threshold");
  refused("lambda", 1.5, "lambda");
  refused("sigma", -1, "sigma");
  refused("false_alarm_rate", -0.1, "false_alarm_rate");
  refused("images", 0, "images");
  refused("images", 2.5, "images");
  refused("images", 4, "scores");
  refused("scores", {3, 2, 1}, "ascending");
  CHECK_THROWS_AS(nlohmann::json::array().get<Calibration>(), Error);
}
