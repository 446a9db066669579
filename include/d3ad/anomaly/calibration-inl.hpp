#pragma once
// Definitions of anomaly/calibration.hpp. Included by it unless they are compiled.

#include <nlohmann/json.hpp>

#include "d3ad/anomaly/calibration.hpp"

namespace d3ad::anomaly::detail {

// P(T <= t) of Student's distribution with df degrees of freedom, t >= 0 (Abramowitz and Stegun 26.7.3, 26.7.4).
inline double student_t_cdf(double t, int df) {
  const double angle = std::atan(t / std::sqrt(df)), s = std::sin(angle), c = std::cos(angle);
  double term = df % 2 ? c : 1, sum = df == 1 ? 0 : term;
  for (int k = df % 2 ? 3 : 2; k <= df - 2; k += 2) term *= c * c * (k - 1) / k, sum += term;
  constexpr double kPi = 3.14159265358979323846;
  return 0.5 + 0.5 * (df % 2 ? 2 / kPi * (angle + s * sum) : s * sum);
}

// The t that P(T <= t) = p belongs to, p in [0.5, 1).
inline double student_t_quantile(double p, int df) {
  double lo = 0, hi = 1;
  while (student_t_cdf(hi, df) < p && hi < 1e12) hi *= 2;
  for (int i = 0; i < 200 && hi - lo > 1e-12 * hi; ++i) {
    const double middle = 0.5 * (lo + hi);
    (student_t_cdf(middle, df) < p ? lo : hi) = middle;
  }
  return 0.5 * (lo + hi);
}

}  // namespace d3ad::anomaly::detail

namespace d3ad::anomaly {

D3AD_INLINE float upper_limit(std::vector<float> values, double rate) {
  D3AD_CHECK(!values.empty() && rate >= 0 && rate < 1, "upper limit: a rate of ", rate, " and ", values.size(),
             " values, expected 0 to below 1 and one or more");
  std::sort(values.begin(), values.end());
  const auto n = static_cast<double>(values.size());
  const auto rank = static_cast<std::size_t>(std::max(std::ceil((n + 1) * (1 - rate) - 1e-9), 1.0));
  if (rank <= values.size()) return values[rank - 1];
  if (rate == 0 || values.size() < 2 || values.front() <= 0) return values.back();
  double mean = 0, squares = 0;
  for (const float v : values) mean += std::log(double{v}) / n;
  for (const float v : values) squares += (std::log(double{v}) - mean) * (std::log(double{v}) - mean);
  const int df = static_cast<int>(values.size()) - 1;
  const double t = detail::student_t_quantile(std::max(1 - rate, 0.5), df);
  const double limit = std::exp(mean + t * std::sqrt(squares / df * (1 + 1 / n)));
  return std::isfinite(limit) ? std::max(values.back(), static_cast<float>(std::min(limit, 1e30))) : values.back();
}

D3AD_INLINE Ranges Calibration::ranges_of(const std::vector<std::string>& maps) const {
  Ranges out;
  for (const auto& name : maps) {
    const auto at = ranges.find(name);
    D3AD_CHECK(at != ranges.end(), "calibration: '", name, "' is missing");
    out.push_back(at->second);
  }
  for (const auto& [name, range] : ranges)
    D3AD_CHECK(std::find(maps.begin(), maps.end(), name) != maps.end(), "calibration: '", name, "' is not known");
  return out;
}

D3AD_INLINE void to_json(nlohmann::json& j, const Calibration& c) {
  j = {{"threshold", c.threshold}, {"false_alarm_rate", c.false_alarm_rate},
       {"lambda", c.lambda},       {"sigma", c.sigma},
       {"images", c.images},       {"scores", c.scores}};
  for (const auto& [name, range] : c.ranges) j[name] = {range.lo, range.hi};
}

}  // namespace d3ad::anomaly

namespace d3ad::anomaly::detail {

inline float calibration_number(const nlohmann::json& j, const std::string& what, double least, double most) {
  D3AD_CHECK(j.is_number(), "calibration: ", what, " is not a number");
  const double value = j.get<double>();
  D3AD_CHECK(value >= least && value <= most, "calibration: ", what, " is ", value, ", expected ", least, " to ", most);
  return static_cast<float>(value);
}

}  // namespace d3ad::anomaly::detail

namespace d3ad::anomaly {

D3AD_INLINE void from_json(const nlohmann::json& j, Calibration& out) {
  D3AD_CHECK(j.is_object(), "calibration: it is not a JSON object");
  static constexpr const char* kFields[] = {"threshold", "false_alarm_rate", "lambda", "sigma", "images", "scores"};
  for (const char* field : kFields) D3AD_CHECK(j.contains(field), "calibration: '", field, "' is missing");
  constexpr double kLargest = std::numeric_limits<float>::max();
  const auto number = [&](const char* name, double least, double most) {
    return detail::calibration_number(j.at(name), name, least, most);
  };
  Calibration c;
  for (const auto& item : j.items()) {  // whatever is none of the fields is the range of a map
    const std::string& name = item.key();
    const auto& pair = item.value();
    if (std::find(std::begin(kFields), std::end(kFields), name) != std::end(kFields)) continue;
    D3AD_CHECK(pair.is_array() && pair.size() == 2, "calibration: ", name, " is not a pair of numbers");
    const float lo = detail::calibration_number(pair[0], name, -kLargest, kLargest);
    c.ranges[name] = {lo, detail::calibration_number(pair[1], name, double{lo}, kLargest)};
  }
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
