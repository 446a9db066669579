#pragma once
// An image's score is the largest value of its anomaly map; it is faulty if that is above the threshold.
//
//   std::vector<float> s = anomaly::scores(ctx, map);          // map [n, h, w, 1]
//   bool faulty = anomaly::faulty(s[0], calibration.threshold);

#include <cmath>
#include <cstddef>
#include <vector>

#include "d3ad/backend/ops.hpp"
#include "d3ad/core/value.hpp"

namespace d3ad::anomaly {

// An Error if one of a batch's scores is not a number.
inline void check_scores(const std::vector<float>& scores) {
  for (std::size_t i = 0; i < scores.size(); ++i)
    D3AD_CHECK(std::isfinite(scores[i]), "score: the anomaly map of image ", i + 1, " of the batch is not finite (",
               scores[i], "); are a network's weights damaged?");
}

template <class Device>
std::vector<float> scores(Context<Device>& ctx, const Value<float, Device>& map) {
  auto largest = make_value<float>(ctx, {.n = map.shape().n});
  ops::max_per_image(ctx, largest.view(), map.view());
  std::vector<float> host(static_cast<std::size_t>(map.shape().n));
  copy_to_host(host.data(), View<const float, Device>(largest.view()));
  check_scores(host);
  return host;
}

// Above, not at: with a false alarm rate of 0 the threshold is the largest nominal score, and that image was good.
inline bool faulty(float score, float threshold) { return score > threshold; }

}  // namespace d3ad::anomaly
