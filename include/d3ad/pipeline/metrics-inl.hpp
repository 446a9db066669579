#pragma once
// Definitions of pipeline/metrics.hpp. Included by it unless they are compiled.

#include <algorithm>

#include "d3ad/pipeline/metrics.hpp"

namespace d3ad {

D3AD_INLINE MetricRow metric_row(const std::vector<const LabelledMap*>& set, CurveRow* curves) {
  MetricRow row;
  row.images = static_cast<int>(set.size());
  anomaly::Ranking images;
  anomaly::PixelScores pixels;
  bool any_mask = false;
  for (const auto* one : set) {
    images.add(one->score, one->anomalous);
    if (!one->pixels) continue;
    any_mask = any_mask || !one->mask.empty();
    pixels.add(one->map, one->mask, one->height, one->width);
  }
  images.sort();
  const auto image = anomaly::rank_metrics(images);
  if (curves) {
    curves->image_roc = anomaly::roc_curve(images);
    if (any_mask) curves->pixel_roc = pixels.roc_curve(), curves->pro = pixels.pro_curve();
  }
  row.i_auroc = image.auroc, row.i_ap = image.average_precision, row.i_f1max = image.f1_max;
  if (!any_mask) return row;
  const auto pixel = pixels.metrics();
  row.p_auroc = pixel.rank.auroc, row.p_ap = pixel.rank.average_precision, row.p_f1max = pixel.rank.f1_max;
  row.pro = pixel.pro_200, row.aupro = pixel.aupro;
  return row;
}

D3AD_INLINE std::vector<MetricRow> mean_rows(const std::vector<MetricRow>& rows) {
  std::vector<MetricRow> out;
  for (const auto& row : rows) {
    const auto of_these = [&row](const MetricRow& r) {
      return r.defect == "all" && r.category != "mean" && r.method == row.method && r.protocol == row.protocol;
    };
    const bool there = std::any_of(out.begin(), out.end(), [&](const MetricRow& r) {
      return r.method == row.method && r.protocol == row.protocol;
    });
    if (there || !of_these(row)) continue;
    MetricRow mean;
    mean.category = "mean", mean.defect = "all", mean.method = row.method, mean.protocol = row.protocol;
    for (const auto& r : rows)
      if (of_these(r)) mean.images += r.images;
    for (const Metric& metric : kMetrics) {
      double sum = 0;
      int count = 0;
      for (const auto& r : rows)
        if (of_these(r) && std::isfinite(r.*metric.value)) sum += r.*metric.value, ++count;
      if (count) mean.*metric.value = sum / count;
    }
    out.push_back(std::move(mean));
  }
  return out;
}

}  // namespace d3ad
