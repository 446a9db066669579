#pragma once
// The metrics of a set of images (METHOD.md, section 8), as rows for tables and curves for charts.
//
//   std::vector<const LabelledMap*> set = ...;          // maps with what is known of their images
//   MetricRow row = metric_row(set);
//   for (const Metric& m : kMetrics) use(m.title, row.*m.value);
//
// Maps and masks are compared at the maps' resolution, to which masks are resized as images are.

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/anomaly/metrics.hpp"
#include "d3ad/core/compiled.hpp"

namespace d3ad {

// The protocols in the order they are reported in.
//
//   paper        the maps' ranges come from the whole test set (METHOD.md, section 7): comparable with the paper
//   calibrated   ranges and threshold come from good training images: what `detect` does with a single image
inline constexpr const char* kProtocols[] = {"paper", "calibrated"};

struct MetricRow {
  std::string category, defect;  // defect "all": the whole category
  std::string method, protocol;
  int images = 0;
  double i_auroc = anomaly::kUnknown, p_auroc = anomaly::kUnknown, pro = anomaly::kUnknown, aupro = anomaly::kUnknown,
         i_ap = anomaly::kUnknown, p_ap = anomaly::kUnknown, i_f1max = anomaly::kUnknown, p_f1max = anomaly::kUnknown;
};

// The metrics of a row, in the order they are reported in: as files and as tables name them.
struct Metric {
  const char *key, *title;
  double MetricRow::*value;
};
inline constexpr Metric kMetrics[] = {{"i_auroc", "I-AUROC", &MetricRow::i_auroc},
                                      {"p_auroc", "P-AUROC", &MetricRow::p_auroc},
                                      {"pro", "PRO", &MetricRow::pro},
                                      {"aupro", "AUPRO", &MetricRow::aupro},
                                      {"i_ap", "I-AP", &MetricRow::i_ap},
                                      {"p_ap", "P-AP", &MetricRow::p_ap},
                                      {"i_f1max", "I-F1max", &MetricRow::i_f1max},
                                      {"p_f1max", "P-F1max", &MetricRow::p_f1max}};

// What is drawn of a category by one method under one protocol.
struct CurveRow {
  std::string method, protocol;
  anomaly::Curve image_roc, pixel_roc, pro;
};

// An image's map with its label.
struct LabelledMap {
  bool anomalous = false;
  float score = 0;
  std::vector<float> map;
  std::vector<std::uint8_t> mask;  // empty: good, or no mask
  bool pixels = true;              // counts for pixels: good images, and faulty ones with a mask
  std::int64_t height = 0, width = 0;
};

// curves: filled if it is not null
MetricRow metric_row(const std::vector<const LabelledMap*>& set, CurveRow* curves = nullptr);

// The mean over categories of their "all" rows, a row for each method and protocol, in the order in which methods come;
// metrics unknown for a category are left out.
std::vector<MetricRow> mean_rows(const std::vector<MetricRow>& rows);

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/pipeline/metrics-inl.hpp"
#endif
