#pragma once
// Metrics (METHOD.md, section 8): how well scores separate faulty from good, for images and for pixels.
//
//   auto m = anomaly::rank_metrics(scores, labels);         // m.auroc, m.average_precision, m.f1_youden, m.f1_max ...
//
//   anomaly::PixelScores pixels;                            // of a whole test set
//   pixels.add(map, mask, h, w);                            // image by image; an empty mask: nothing is faulty
//   auto p = pixels.metrics();                              // p.rank.auroc ..., p.pro_200, p.aupro
//   Curve c = pixels.roc_curve();                           // for drawing; pro_curve() likewise
//
// Scores equal to a threshold count as above it; equal scores are one threshold. A metric is NaN if one of the classes
// is missing (no faulty or no good image or pixel), and so it is for an empty set.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "d3ad/anomaly/ranking.hpp"
#include "d3ad/anomaly/regions.hpp"
#include "d3ad/core/compiled.hpp"

namespace d3ad::anomaly {

inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

struct RankMetrics {
  std::int64_t positives = 0, negatives = 0;
  double auroc = kUnknown;
  double average_precision = kUnknown;  // sum over thresholds of (R_n - R_n-1) P_n
  double f1_youden = kUnknown;          // at the threshold of the largest TPR - FPR, the highest one of several
  double youden_threshold = kUnknown;   // infinite if calling nothing positive is best
  double f1_max = kUnknown;
  double f1_max_threshold = kUnknown;
};

RankMetrics rank_metrics(const Ranking& ranking);

// labels: not 0 if positive.
RankMetrics rank_metrics(std::span<const float> scores, std::span<const std::uint8_t> labels);

// Points of a curve from left to right, thinned to what a drawing shows.
struct Curve {
  std::vector<double> x, y;

  // Keeps (a, b) if it is far enough from the last point, or `last`.
  void add(double a, double b, bool last) {
    constexpr double kStep = 1.0 / 200;
    if (!last && !x.empty() && std::abs(a - x.back()) + std::abs(b - y.back()) < kStep) return;
    x.push_back(a), y.push_back(b);
  }
};

// True positive rate over false positive rate; empty if one of the classes is missing. The ranking is sorted.
Curve roc_curve(const Ranking& ranking);

struct PixelMetrics {
  RankMetrics rank;
  std::int64_t regions = 0;
  double pro_200 = kUnknown;  // per-region overlap as published
  double aupro = kUnknown;    // the same, exact
};

// Largest false positive rate that per-region overlap looks at.
inline constexpr double kProLimit = 0.3;

class PixelScores {
 public:
  // map, mask: h rows of w pixels; mask not 0 where faulty. Each 8-connected region of the mask counts for itself.
  void add(std::span<const float> map, std::span<const std::uint8_t> mask, std::int64_t h, std::int64_t w);

  PixelMetrics metrics();

  Curve roc_curve();
  // Mean overlap of the regions over false positive rate, to the limit of 0.3 and the first point beyond it.
  Curve pro_curve();

 private:
  // What a pixel adds to the mean over regions of the share of a region that is found.
  double share(std::size_t positive) const;

  // 200 thresholds at equal distances from the lowest score, below the highest; scores strictly above them count. Of
  // the points with FPR < 0.3 the area under overlap over FPR, divided by the largest of these FPRs. If they span no
  // width (all 0, or one point) it is the largest overlap among them, and NaN if there is none at all.
  double pro_200() const;

  // Every distinct score is a threshold; the curve is cut at FPR 0.3 by interpolation and the area divided by 0.3.
  double aupro() const;

  Ranking ranking_;
  std::vector<std::int64_t> region_sizes_;
  std::vector<std::int32_t> region_;  // scratch
};

}  // namespace d3ad::anomaly

#if D3AD_DEFINITIONS
#include "d3ad/anomaly/metrics-inl.hpp"
#endif
