#pragma once
// Metrics (METHOD 8): how well scores separate faulty from good, for images and for pixels.
//
//   auto m = anomaly::rank_metrics(scores, labels);         // m.auroc, m.average_precision, m.f1_youden, m.f1_max ...
//
//   anomaly::PixelScores pixels;                            // of a whole test set
//   pixels.add(map, mask, h, w);                            // image by image; an empty mask: nothing is faulty
//   auto p = pixels.metrics();                              // p.rank.auroc ..., p.pro_200, p.aupro
//   Curve c = pixels.roc_curve();                           // for drawing; pro_curve() likewise
//
// Scores equal to a threshold count as above it, ties are one threshold. What cannot be said is NaN: every metric where
// one of the classes is missing (no faulty or no good image or pixel), which includes an empty set.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "d3ad/anomaly/ranking.hpp"
#include "d3ad/anomaly/regions.hpp"

namespace d3ad::anomaly {

inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

struct RankMetrics {
  std::int64_t positives = 0, negatives = 0;
  double auroc = kUnknown;
  double average_precision = kUnknown;  // sum over thresholds of (R_n - R_n-1) P_n
  double f1_youden = kUnknown;          // at the threshold of the largest TPR - FPR, the highest one of several
  double youden_threshold = kUnknown;   // infinite where calling nothing positive is best
  double f1_max = kUnknown;
  double f1_max_threshold = kUnknown;
};

inline RankMetrics rank_metrics(const Ranking& ranking) {
  RankMetrics m;
  m.positives = ranking.positives(), m.negatives = ranking.negatives();
  if (ranking.one_class()) return m;
  const auto positives = static_cast<double>(m.positives), negatives = static_cast<double>(m.negatives);

  double area = 0, precision_sum = 0, youden = 0, tp_before = 0, fp_before = 0;
  m.f1_youden = 0, m.youden_threshold = std::numeric_limits<double>::infinity();
  m.f1_max = -1;
  ranking.descend([&](const Ranking::Point& p) {
    const auto tp = static_cast<double>(p.true_positives), fp = static_cast<double>(p.false_positives);
    area += (fp - fp_before) * (tp + tp_before) / 2;
    precision_sum += (tp - tp_before) * (tp / (tp + fp));
    const double f1 = 2 * tp / (tp + fp + positives);
    const double gain = tp / positives - fp / negatives;
    if (gain > youden) youden = gain, m.f1_youden = f1, m.youden_threshold = double{p.threshold};
    if (f1 > m.f1_max) m.f1_max = f1, m.f1_max_threshold = double{p.threshold};
    tp_before = tp, fp_before = fp;
  });
  m.auroc = area / (positives * negatives);
  m.average_precision = precision_sum / positives;
  return m;
}

// labels: not 0 where positive.
inline RankMetrics rank_metrics(std::span<const float> scores, std::span<const std::uint8_t> labels) {
  D3AD_CHECK(scores.size() == labels.size(), "metrics: ", scores.size(), " scores and ", labels.size(), " labels");
  Ranking ranking;
  for (std::size_t i = 0; i < scores.size(); ++i) ranking.add(scores[i], labels[i] != 0);
  ranking.sort();
  return rank_metrics(ranking);
}

// Points of a curve from left to right, thinned to what a drawing shows.
struct Curve {
  std::vector<double> x, y;

  // Keeps (a, b) where it is far enough from the last point, or `last`.
  void add(double a, double b, bool last) {
    constexpr double kStep = 1.0 / 200;
    if (!last && !x.empty() && std::abs(a - x.back()) + std::abs(b - y.back()) < kStep) return;
    x.push_back(a), y.push_back(b);
  }
};

// True positive rate over false positive rate; empty where one of the classes is missing. The ranking is sorted.
inline Curve roc_curve(const Ranking& ranking) {
  Curve curve;
  if (ranking.one_class()) return curve;
  const auto positives = static_cast<double>(ranking.positives()), negatives = static_cast<double>(ranking.negatives());
  curve.add(0, 0, true);
  ranking.descend([&](const Ranking::Point& p) {
    curve.add(static_cast<double>(p.false_positives) / negatives, static_cast<double>(p.true_positives) / positives,
              p.false_positives == ranking.negatives() && p.true_positives == ranking.positives());
  });
  return curve;
}

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
  void add(std::span<const float> map, std::span<const std::uint8_t> mask, std::int64_t h, std::int64_t w) {
    D3AD_CHECK(h >= 0 && w >= 0 && static_cast<std::int64_t>(map.size()) == h * w, "metrics: a map of ", map.size(),
               " pixels is not ", h, " x ", w);
    if (mask.empty()) {
      for (const float score : map) ranking_.add(score, false);
      return;
    }
    const int count = label_regions(mask, h, w, region_);
    const std::size_t before = region_sizes_.size();
    region_sizes_.resize(before + static_cast<std::size_t>(count), 0);
    for (std::size_t i = 0; i < map.size(); ++i) {
      if (!region_[i]) {
        ranking_.add(map[i], false);
        continue;
      }
      const std::size_t number = before + static_cast<std::size_t>(region_[i]) - 1;
      ++region_sizes_[number];
      ranking_.add(map[i], true, static_cast<std::uint32_t>(number));
    }
  }

  PixelMetrics metrics() {
    ranking_.sort();
    PixelMetrics m;
    m.rank = rank_metrics(ranking_);
    m.regions = static_cast<std::int64_t>(region_sizes_.size());
    if (ranking_.one_class()) return m;
    m.pro_200 = pro_200();
    m.aupro = aupro();
    return m;
  }

  Curve roc_curve() {
    ranking_.sort();
    return anomaly::roc_curve(ranking_);
  }
  // Mean overlap of the regions over false positive rate, to the limit of 0.3 and the first point beyond it.
  Curve pro_curve() {
    ranking_.sort();
    Curve curve;
    if (ranking_.one_class()) return curve;
    const auto negatives = static_cast<double>(ranking_.negatives());
    double overlap = 0, fpr = 0;
    curve.add(0, 0, true);
    ranking_.descend([&](const Ranking::Point& p) {
      if (fpr > kProLimit) return;
      for (std::size_t i = p.first; i < p.last; ++i) overlap += share(i);
      fpr = static_cast<double>(p.false_positives) / negatives;
      curve.add(fpr, overlap, fpr > kProLimit);
    });
    return curve;
  }

 private:
  // What a pixel adds to the mean over regions of the share of a region that is found.
  double share(std::size_t positive) const {
    return 1.0 /
           (static_cast<double>(region_sizes_[ranking_.group(positive)]) * static_cast<double>(region_sizes_.size()));
  }

  // 200 thresholds at equal distances from the lowest score, below the highest; scores strictly above them count. Of
  // the points with FPR < 0.3 the area under overlap over FPR, divided by the largest of these FPRs. Where they span no
  // width (all 0, or one point) it is the largest overlap among them, and NaN where there is none at all.
  double pro_200() const {
    constexpr int kThresholds = 200;
    const double lo = ranking_.lowest(), step = (double{ranking_.highest()} - lo) / kThresholds;
    if (!(step > 0)) return kUnknown;
    const auto negatives = static_cast<double>(ranking_.negatives());
    double overlap = 0, area = 0, smallest_fpr = 0, fpr_before = 0, overlap_before = kUnknown;
    std::size_t found = 0;
    // From the highest threshold down, so that overlap only grows.
    for (int i = kThresholds - 1; i >= 0; --i) {
      const double threshold = lo + i * step;
      for (;
           found < static_cast<std::size_t>(ranking_.positives()) && double{ranking_.positive_score(found)} > threshold;
           ++found)
        overlap += share(found);
      const double fpr = static_cast<double>(ranking_.negatives_above(threshold)) / negatives;
      if (!(fpr < kProLimit)) break;
      if (i == kThresholds - 1) {
        smallest_fpr = fpr;
      } else {
        area += (fpr - fpr_before) * (overlap + overlap_before) / 2;
      }
      fpr_before = fpr, overlap_before = overlap;
    }
    return fpr_before > smallest_fpr ? area / fpr_before : overlap_before;
  }

  // Every distinct score is a threshold; the curve is cut at FPR 0.3 by interpolation and the area divided by 0.3.
  double aupro() const {
    const auto negatives = static_cast<double>(ranking_.negatives());
    double overlap = 0, fpr = 0, area = 0;
    ranking_.descend([&](const Ranking::Point& p) {
      if (fpr >= kProLimit) return;
      const double fpr_before = fpr, overlap_before = overlap;
      for (std::size_t i = p.first; i < p.last; ++i) overlap += share(i);
      fpr = static_cast<double>(p.false_positives) / negatives;
      double end = fpr, end_overlap = overlap;
      if (fpr > kProLimit) {
        end = kProLimit;
        end_overlap += (overlap_before - overlap) * (fpr - kProLimit) / (fpr - fpr_before);
      }
      area += (end - fpr_before) * (end_overlap + overlap_before) / 2;
    });
    return area / kProLimit;
  }

  Ranking ranking_;
  std::vector<std::int64_t> region_sizes_;
  std::vector<std::int32_t> region_;  // scratch
};

}  // namespace d3ad::anomaly
