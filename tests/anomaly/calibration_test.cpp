// Calibration: ranges and threshold from nominal images, and its JSON form.

#include "d3ad/anomaly/calibration.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "d3ad/anomaly/calibration-inl.hpp"
#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/core/rng.hpp"
#include "support/compare.hpp"

namespace calibration_test {

using namespace d3ad;
using anomaly::Calibration;
using anomaly::RawMaps;

namespace {

std::vector<RawMaps> nominal(int count) {
  std::vector<RawMaps> all;
  for (int i = 0; i < count; ++i) {
    const auto maps = test::random({2, 24, 20, 1}, static_cast<std::uint64_t>(i) + 1);
    all.push_back({24, 20, {{maps.data(), maps.data() + 480}, {maps.data() + 480, maps.data() + 960}}});
    for (float& v : all.back().maps[1]) v *= 0.1f * static_cast<float>(i + 1);
  }
  return all;
}

anomaly::CalibrationOptions d3ad_options(float lambda = 0.85f, float sigma = 4, float rate = 0.05f) {
  return {.maps = {"latent", "feature"}, .lambda = lambda, .sigma = sigma, .false_alarm_rate = rate};
}

Calibration calibrated(const std::vector<RawMaps>& images, const anomaly::CalibrationOptions& options,
                       int threads = 2) {
  Context<Cpu> ctx({.threads = threads});
  return anomaly::calibrate(images, options, [&](const RawMaps& raw, const anomaly::Ranges& ranges) {
    return anomaly::scores(ctx, anomaly::combine(ctx, raw, ranges, options.lambda, options.sigma)).front();
  });
}
Calibration calibrated(int count, const anomaly::CalibrationOptions& options = d3ad_options(), int threads = 2) {
  return calibrated(nominal(count), options, threads);
}

}  // namespace

TEST_CASE("Student's t has the quantiles of the tables") {
  using anomaly::detail::student_t_quantile;
  CHECK(student_t_quantile(0.95, 1) == doctest::Approx(6.313752).epsilon(1e-6));
  CHECK(student_t_quantile(0.95, 2) == doctest::Approx(2.919986).epsilon(1e-6));
  CHECK(student_t_quantile(0.99, 5) == doctest::Approx(3.364930).epsilon(1e-6));
  CHECK(student_t_quantile(0.975, 10) == doctest::Approx(2.228139).epsilon(1e-6));
  CHECK(student_t_quantile(0.999, 29) == doctest::Approx(3.396240).epsilon(1e-6));
  CHECK(student_t_quantile(0.5, 3) == doctest::Approx(0).epsilon(1e-6));
}

TEST_CASE("the upper limit is a rank where there are enough values, a prediction bound where there are few") {
  std::vector<float> hundred;
  for (int i = 100; i >= 1; --i) hundred.push_back(static_cast<float>(i));
  CHECK(anomaly::upper_limit(hundred, 0.05) == 96.0f);  // the 96th of 101 places
  CHECK(anomaly::upper_limit(hundred, 0.5) == 51.0f);
  CHECK(anomaly::upper_limit(hundred, 0.99) == 2.0f);
  CHECK(anomaly::upper_limit(hundred, 0) == 100.0f);
  // ln: 0, 1, 2 -> mean 1, deviation 1; t(0.95, 2) = 2.92: exp(1 + 2.919986 sqrt(4/3))
  const std::vector<float> three{std::exp(2.0f), 1, std::exp(1.0f)};
  CHECK(anomaly::upper_limit(three, 0.05) == doctest::Approx(std::exp(1 + 2.919986 * std::sqrt(4.0 / 3))));
  CHECK(anomaly::upper_limit(three, 0.01) > anomaly::upper_limit(three, 0.05));
  CHECK(anomaly::upper_limit({2, 2, 2}, 0.05) == doctest::Approx(2));
  CHECK(anomaly::upper_limit({7}, 0.3) == 7.0f);
  CHECK(anomaly::upper_limit({-1, 3}, 0.05) == 3.0f);
  CHECK(anomaly::upper_limit({1e-30f, 1e30f}, 0.001) <= 1.1e30f);
  CHECK_THROWS_AS(anomaly::upper_limit({}, 0.5), Error);
  CHECK_THROWS_AS(anomaly::upper_limit({1}, 1), Error);
}

TEST_CASE("of new values of the same kind, no more than the promised share exceeds the upper limit") {
  // Log-normal scores: 400 calibrations of a few values, each asked about 50 new ones.
  const Rng rng(5, Rng::stream("calibration_test"));
  std::uint64_t next = 0;
  const auto score = [&] { return std::exp(0.3f * rng.normal(next++)); };
  for (const int count : {3, 6, 20, 60}) {
    CAPTURE(count);
    int above = 0;
    for (int round = 0; round < 400; ++round) {
      std::vector<float> values;
      for (int i = 0; i < count; ++i) values.push_back(score());
      const float limit = anomaly::upper_limit(values, 0.05);
      for (int i = 0; i < 50; ++i) above += score() > limit;
    }
    CHECK(above / 20000.0 < 0.058);  // 0.05 and what chance adds
    CHECK(above / 20000.0 > 0.02);   // and not for being useless
  }
}

TEST_CASE("calibrate takes ranges and threshold from the nominal images") {
  const auto images = nominal(11);
  const auto c = calibrated(11, d3ad_options(0.85f, 4, 0.2f));
  float lo = INFINITY, hi = -INFINITY;
  for (const auto& image : images)
    for (const float v : image.maps[1]) lo = std::min(lo, v), hi = std::max(hi, v);
  CHECK(c.ranges.at("feature").lo == lo);
  CHECK(c.ranges.at("feature").hi == hi);
  CHECK(c.images == 11);
  REQUIRE(c.scores.size() == 11);
  CHECK(c.threshold == c.scores[9]);  // the 10th of 12 places
  CHECK(std::count_if(c.scores.begin(), c.scores.end(), [&](float s) { return anomaly::faulty(s, c.threshold); }) == 1);
  const auto strict = calibrated(11, d3ad_options(0.85f, 4, 0));
  CHECK(strict.threshold == strict.scores.back());
  CHECK(calibrated(11, d3ad_options(0.5f)).threshold != calibrated(11).threshold);
  CHECK(calibrated(11, d3ad_options(0.85f, 2)).threshold != calibrated(11).threshold);
  CHECK(calibrated(11, d3ad_options(), 1).scores == calibrated(11, d3ad_options(), 4).scores);
  CHECK(calibrated(1).threshold == calibrated(1).scores[0]);

  CHECK_THROWS_AS(calibrated({}, d3ad_options()), Error);
  CHECK_THROWS_AS(calibrated(images, d3ad_options(0.85f, 4, 1)), Error);
  CHECK_THROWS_AS(calibrated(images, {.maps = {"latent"}}), Error);  // they have two raw maps
}

TEST_CASE("a calibration comes back from its JSON text exactly") {
  const auto c = calibrated(7);
  const nlohmann::json j = c;
  const auto again = nlohmann::json::parse(j.dump(2)).get<Calibration>();
  CHECK(again.ranges.at("latent").lo == c.ranges.at("latent").lo);
  CHECK(again.ranges.at("latent").hi == c.ranges.at("latent").hi);
  CHECK(again.ranges.at("feature").lo == c.ranges.at("feature").lo);
  CHECK(again.ranges.at("feature").hi == c.ranges.at("feature").hi);
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
    const auto with_ranges = [&] { j.get<Calibration>().ranges_of({"latent", "feature"}); };
    CHECK_THROWS_WITH_AS(with_ranges(), doctest::Contains("is missing"), Error);
    refused(item.key().c_str(), nullptr, item.key().c_str());  // also what a NaN is written as
    refused(item.key().c_str(), "text", item.key().c_str());
    refused(item.key().c_str(), nlohmann::json::object(), item.key().c_str());
  }
  refused("extra", 1, "extra is not a pair of numbers");
  CHECK_THROWS_WITH_AS(calibrated(3).ranges_of({"latent"}), doctest::Contains("'feature' is not known"), Error);
  const auto in_order = calibrated(3).ranges_of({"feature", "latent"});
  CHECK(in_order[1].hi == calibrated(3).ranges.at("latent").hi);
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

}  // namespace calibration_test
