#pragma once
// Evaluation of a model on a test set: the metrics of METHOD.md, section 8, under both protocols.
//
//   auto result = evaluate(detector, dataset, {.batch = 4});
//   result.rows      // per protocol: the whole category, then each defect type against the good images
//   result.images    // per image: label, T̂, score under both protocols
//
//   paper        the maps' ranges come from the whole test set (METHOD.md, section 7): comparable with the paper
//   calibrated   ranges and threshold come from good training images: what `detect` does with a single image
//
// Maps and masks are compared at the maps' resolution (Detection::map), to which masks are resized as images are: with
// tiles that is the image scaled by image_size / tile, its own resolution where the two are equal. The maps of the
// whole test set are kept, for the paper's protocol: some 25 bytes for each of their pixels.
//
// Several processes (options.group) take turns in computing batches; rank 0 gathers what they find, in the images'
// order, and has the same result as one process, bit for bit. The others return nothing.
//
// And, where options.baselines asks for them, two detectors without diffusion (methods/baselines.hpp):
//
//   baseline_mean_image, baseline_vae

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/anomaly/metrics.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/data/dataset.hpp"
#include "d3ad/data/image_loader.hpp"
#include "d3ad/methods/baselines.hpp"
#include "d3ad/parallel/group.hpp"
#include "d3ad/parallel/packet.hpp"
#include "d3ad/pipeline/detector.hpp"

namespace d3ad {

struct MetricRow {
  std::string category, defect, protocol;  // defect "all": the whole category
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

struct ImageRow {
  std::string file, defect;
  bool anomalous = false, faulty = false;  // faulty: the calibrated verdict
  int T_hat = 0;
  float score = 0, paper_score = 0;  // calibrated, paper's protocol
};

// What is drawn of a category under one protocol.
struct CurveRow {
  std::string protocol;
  anomaly::Curve image_roc, pixel_roc, pro;
};

struct EvaluationResult {
  std::vector<MetricRow> rows;
  std::vector<CurveRow> curves;
  std::vector<ImageRow> images;
  std::vector<std::string> skipped;  // sentences about images that could not be read
};

// In the order they are reported in.
inline constexpr const char* kProtocols[] = {"paper", "calibrated", "baseline_mean_image", "baseline_vae"};

// What the calibrated verdicts come to.
struct VerdictCounts {
  int good = 0, faulty = 0, alarms = 0, found = 0;  // alarms: good images called faulty; found: faulty ones
};
VerdictCounts count_verdicts(const std::vector<ImageRow>& images);

struct EvaluationOptions {
  int batch = 4;  // images computed together; with tiles the detector's own batch of them, and image by image
  bool baselines = false;
  std::function<void(std::int64_t done, std::int64_t total)> progress = [](std::int64_t, std::int64_t) {};
  std::function<bool()> stop = [] { return false; };
  // Called for each image with its result, for pictures.
  std::function<void(const Sample&, const Detection&)> each = [](const Sample&, const Detection&) {};
  Group* group = &Group::alone();
};

namespace detail {

// What the metrics need to know of one image.
struct Judged {
  const ImageRow* row;
  float score;
  std::vector<float> map;
  std::vector<std::uint8_t> mask;  // empty: good, or no mask
  bool pixels = true;              // counts for pixels: good images, and faulty ones with a mask
  std::int64_t height = 0, width = 0;
};

// curves: filled if it is not null
MetricRow metric_row(const std::vector<const Judged*>& set, CurveRow* curves = nullptr);

}  // namespace detail

// Throws Interrupted if options.stop() says so.
template <class Device>
EvaluationResult evaluate(Detector<Device>& detector, const Dataset& dataset, const EvaluationOptions& options);

// The mean over categories of their "all" rows, a row for each protocol; metrics unknown for a category are left out.
std::vector<MetricRow> mean_rows(const std::vector<MetricRow>& rows);

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/pipeline/evaluate-inl.hpp"
#endif
