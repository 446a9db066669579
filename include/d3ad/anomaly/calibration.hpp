#pragma once
// Calibration: what nominal images alone say about the maps' ranges and about the score that separates good from
// faulty.
//
//   std::vector<anomaly::MapPair> pairs = ...;                       // raw maps of good images (anomaly/map.hpp)
//   auto c = anomaly::calibrate(ctx, pairs, {.lambda = 0.85f, .sigma = 4, .false_alarm_rate = 0.05f});
//   nlohmann::json j = c;   c = j.get<anomaly::Calibration>();       // Error with a sentence where j is not one
//
// The threshold is the quantile 1 - false_alarm_rate of the nominal images' scores, interpolated as numpy.quantile
// does: about that share of good images is called faulty. From few images it is little more than their largest score.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/anomaly/map.hpp"
#include "d3ad/anomaly/score.hpp"

namespace d3ad::anomaly {

struct Calibration {
  Ranges ranges;        // of the raw maps
  float threshold = 0;  // scores above it are faulty
  float false_alarm_rate = 0;
  float lambda = 0, sigma = 0;  // of the maps the scores were taken from
  int images = 0;               // nominal images it was learned from
  std::vector<float> scores;    // theirs, ascending
};

struct CalibrationOptions {
  float lambda = 0.85f, sigma = 4, false_alarm_rate = 0.05f;
};

// Linear interpolation between the sorted values; q in [0, 1].
inline float quantile(std::vector<float> values, double q) {
  D3AD_CHECK(!values.empty() && q >= 0 && q <= 1, "quantile: ", q, " of ", values.size(), " values");
  std::sort(values.begin(), values.end());
  const double at = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  const double part = at - static_cast<double>(below);
  return static_cast<float>(double{values[below]} + part * (double{values[above]} - double{values[below]}));
}

template <class Device>
Calibration calibrate(Context<Device>& ctx, const std::vector<MapPair>& nominal, CalibrationOptions options) {
  D3AD_CHECK(!nominal.empty(), "calibration: there are no nominal images");
  D3AD_CHECK(options.false_alarm_rate >= 0 && options.false_alarm_rate < 1, "calibration: a false alarm rate of ",
             options.false_alarm_rate, ", expected 0 to below 1");
  Calibration c;
  c.ranges = ranges_of(nominal);
  c.lambda = options.lambda, c.sigma = options.sigma, c.false_alarm_rate = options.false_alarm_rate;
  c.images = static_cast<int>(nominal.size());
  for (const auto& pair : nominal)
    c.scores.push_back(anomaly::scores(ctx, combine(ctx, pair, c.ranges, c.lambda, c.sigma)).front());
  std::sort(c.scores.begin(), c.scores.end());
  c.threshold = quantile(c.scores, 1.0 - double{c.false_alarm_rate});
  return c;
}

inline void to_json(nlohmann::json& j, const Calibration& c) {
  j = {{"latent", {c.ranges.latent.lo, c.ranges.latent.hi}},
       {"feature", {c.ranges.feature.lo, c.ranges.feature.hi}},
       {"threshold", c.threshold},
       {"false_alarm_rate", c.false_alarm_rate},
       {"lambda", c.lambda},
       {"sigma", c.sigma},
       {"images", c.images},
       {"scores", c.scores}};
}

namespace detail {

inline float calibration_number(const nlohmann::json& j, const std::string& what, double least, double most) {
  D3AD_CHECK(j.is_number(), "calibration: ", what, " is not a number");
  const double value = j.get<double>();
  D3AD_CHECK(value >= least && value <= most, "calibration: ", what, " is ", value, ", expected ", least, " to ", most);
  return static_cast<float>(value);
}

}  // namespace detail

inline void from_json(const nlohmann::json& j, Calibration& out) {
  D3AD_CHECK(j.is_object(), "calibration: it is not a JSON object");
  static constexpr const char* kFields[] = {"latent", "feature", "threshold", "false_alarm_rate",
                                            "lambda", "sigma",   "images",    "scores"};
  for (const char* field : kFields) D3AD_CHECK(j.contains(field), "calibration: '", field, "' is missing");
  for (const auto& item : j.items())
    D3AD_CHECK(std::find(std::begin(kFields), std::end(kFields), item.key()) != std::end(kFields), "calibration: '",
               item.key(), "' is not known");

  constexpr double kLargest = std::numeric_limits<float>::max();
  const auto number = [&](const char* name, double least, double most) {
    return detail::calibration_number(j.at(name), name, least, most);
  };
  const auto range = [&](const char* name) {
    const auto& pair = j.at(name);
    D3AD_CHECK(pair.is_array() && pair.size() == 2, "calibration: ", name, " is not a pair of numbers");
    const float lo = detail::calibration_number(pair[0], name, -kLargest, kLargest);
    return Range{lo, detail::calibration_number(pair[1], name, double{lo}, kLargest)};
  };
  Calibration c;
  c.ranges = {range("latent"), range("feature")};
  c.threshold = number("threshold", -kLargest, kLargest);
  c.false_alarm_rate = number("false_alarm_rate", 0, 1);
  c.lambda = number("lambda", 0, 1);
  c.sigma = number("sigma", 0, 1e4);
  D3AD_CHECK(j.at("images").is_number_integer(), "calibration: images is not a whole number");
  c.images = static_cast<int>(number("images", 1, 1e9));
  D3AD_CHECK(j.at("scores").is_array() && j.at("scores").size() == static_cast<std::size_t>(c.images),
             "calibration: scores is not a list of ", c.images, " numbers");
  for (const auto& score : j.at("scores"))
    c.scores.push_back(detail::calibration_number(score, "scores", -kLargest, kLargest));
  D3AD_CHECK(std::is_sorted(c.scores.begin(), c.scores.end()), "calibration: scores are not in ascending order");
  out = std::move(c);
}

}  // namespace d3ad::anomaly
