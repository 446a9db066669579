#pragma once
// Definitions of anomaly/metrics.hpp. Included by it unless they are compiled.

#include "d3ad/anomaly/metrics.hpp"

namespace d3ad::anomaly {

D3AD_INLINE RankMetrics rank_metrics(const Ranking& ranking) {
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

D3AD_INLINE RankMetrics rank_metrics(std::span<const float> scores, std::span<const std::uint8_t> labels) {
  D3AD_CHECK(scores.size() == labels.size(), "metrics: ", scores.size(), " scores and ", labels.size(), " labels");
  Ranking ranking;
  for (std::size_t i = 0; i < scores.size(); ++i) ranking.add(scores[i], labels[i] != 0);
  ranking.sort();
  return rank_metrics(ranking);
}

D3AD_INLINE Curve roc_curve(const Ranking& ranking) {
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

}  // namespace d3ad::anomaly

namespace d3ad::anomaly {

D3AD_INLINE void PixelScores::add(std::span<const float> map, std::span<const std::uint8_t> mask, std::int64_t h,
                                  std::int64_t w) {
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

D3AD_INLINE PixelMetrics PixelScores::metrics() {
  ranking_.sort();
  PixelMetrics m;
  m.rank = rank_metrics(ranking_);
  m.regions = static_cast<std::int64_t>(region_sizes_.size());
  if (ranking_.one_class()) return m;
  m.pro_200 = pro_200();
  m.aupro = aupro();
  return m;
}

D3AD_INLINE Curve PixelScores::roc_curve() {
  ranking_.sort();
  return anomaly::roc_curve(ranking_);
}

D3AD_INLINE Curve PixelScores::pro_curve() {
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

D3AD_INLINE double PixelScores::share(std::size_t positive) const {
  return 1.0 /
         (static_cast<double>(region_sizes_[ranking_.group(positive)]) * static_cast<double>(region_sizes_.size()));
}

D3AD_INLINE double PixelScores::pro_200() const {
  constexpr int kThresholds = 200;
  const double lo = ranking_.lowest(), step = (double{ranking_.highest()} - lo) / kThresholds;
  if (!(step > 0)) return kUnknown;
  const auto negatives = static_cast<double>(ranking_.negatives());
  double overlap = 0, area = 0, smallest_fpr = 0, fpr_before = 0, overlap_before = kUnknown;
  std::size_t found = 0;
  // From the highest threshold down, so that overlap only grows.
  for (int i = kThresholds - 1; i >= 0; --i) {
    const double threshold = lo + i * step;
    for (; found < static_cast<std::size_t>(ranking_.positives()) && double{ranking_.positive_score(found)} > threshold;
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

D3AD_INLINE double PixelScores::aupro() const {
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

}  // namespace d3ad::anomaly
