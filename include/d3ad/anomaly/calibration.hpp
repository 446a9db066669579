#pragma once
// Calibration: the maps' ranges and the threshold that separates good from faulty, learned from good images only.
//
//   std::vector<anomaly::MapPair> pairs = ...;                       // raw maps of good images (anomaly/map.hpp)
//   auto c = anomaly::calibrate(ctx, pairs, {.lambda = 0.85f, .sigma = 4, .false_alarm_rate = 0.05f});
//   nlohmann::json j = c;   c = j.get<anomaly::Calibration>();       // Error with a sentence if j is not one
//
// The good images should be held-out ones, on which the networks were not trained (train.hpp holds some out). Then they
// are like new good images, and a new good image lies above the threshold with a probability of at most
// false_alarm_rate (upper_limit()).

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/anomaly/map.hpp"
#include "d3ad/anomaly/score.hpp"
#include "d3ad/core/compiled.hpp"

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

// A limit that the next value of the same kind exceeds with a probability of at most `rate`. If there are enough values
// (rate >= 1 / (n + 1)), it is one of them, whatever their distribution (a conformal bound): the ceil((n + 1)(1 -
// rate))-th smallest. If there are fewer, their logarithms are assumed to be normally distributed and the limit is
// their prediction bound, mean + t deviation sqrt(1 + 1/n), at least the largest value; t grows fast if there are few
// values. A single value is its own limit, because nothing is known of the spread. If a value is not positive, or if
// the rate is 0, the limit is the largest value.
float upper_limit(std::vector<float> values, double rate);

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
  c.threshold = upper_limit(c.scores, double{c.false_alarm_rate});
  return c;
}

void to_json(nlohmann::json& j, const Calibration& c);

void from_json(const nlohmann::json& j, Calibration& out);

}  // namespace d3ad::anomaly

#if D3AD_DEFINITIONS
#include "d3ad/anomaly/calibration-inl.hpp"
#endif
