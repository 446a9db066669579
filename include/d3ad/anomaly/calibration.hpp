#pragma once
// Calibration: the maps' ranges and the threshold that separates good from faulty, learned from good images only.
//
//   std::vector<anomaly::RawMaps> raw = ...;                         // of good images (anomaly/map.hpp)
//   const auto score = [&](const anomaly::RawMaps& one, const anomaly::Ranges& ranges) { return ...; };
//   auto c = anomaly::calibrate(raw, {.maps = {"latent", "feature"}, .false_alarm_rate = 0.05f}, score);
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
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/anomaly/map.hpp"
#include "d3ad/anomaly/score.hpp"
#include "d3ad/core/compiled.hpp"

namespace d3ad::anomaly {

struct Calibration {
  std::map<std::string, Range> ranges;  // of the raw maps, by their names
  float threshold = 0;                  // scores above it are faulty
  float false_alarm_rate = 0;
  float lambda = 1, sigma = 0;  // of the maps the scores were taken from; lambda is 1 if they are mixed of one map
  int images = 0;               // nominal images it was learned from
  std::vector<float> scores;    // theirs, ascending

  // In the order of a method's maps; Error if one is missing, or if there are others.
  Ranges ranges_of(const std::vector<std::string>& maps) const;
};

struct CalibrationOptions {
  std::vector<std::string> maps;  // names of the raw maps, in their order
  float lambda = 1, sigma = 4;    // what score() uses, for the record
  float false_alarm_rate = 0.05f;
};

// A limit that the next value of the same kind exceeds with a probability of at most `rate`. If there are enough values
// (rate >= 1 / (n + 1)), it is one of them, whatever their distribution (a conformal bound): the ceil((n + 1)(1 -
// rate))-th smallest. If there are fewer, their logarithms are assumed to be normally distributed and the limit is
// their prediction bound, mean + t deviation sqrt(1 + 1/n), at least the largest value; t grows fast if there are few
// values. A single value is its own limit, because nothing is known of the spread. If a value is not positive, or if
// the rate is 0, the limit is the largest value.
float upper_limit(std::vector<float> values, double rate);

// score(raw, ranges): an image's score from its raw maps, scaled to these ranges.
template <class Score>
Calibration calibrate(const std::vector<RawMaps>& nominal, const CalibrationOptions& options, Score&& score) {
  D3AD_CHECK(!nominal.empty(), "calibration: there are no nominal images");
  D3AD_CHECK(options.false_alarm_rate >= 0 && options.false_alarm_rate < 1, "calibration: a false alarm rate of ",
             options.false_alarm_rate, ", expected 0 to below 1");
  const Ranges ranges = anomaly::ranges_of(nominal);
  D3AD_CHECK(ranges.size() == options.maps.size(), "calibration: images have ", ranges.size(), " raw maps, expected ",
             options.maps.size());
  Calibration c;
  for (std::size_t k = 0; k < ranges.size(); ++k) c.ranges[options.maps[k]] = ranges[k];
  c.lambda = options.lambda, c.sigma = options.sigma, c.false_alarm_rate = options.false_alarm_rate;
  c.images = static_cast<int>(nominal.size());
  for (const auto& raw : nominal) c.scores.push_back(score(raw, ranges));
  check_scores(c.scores);
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
