#pragma once
// The report: one self-contained HTML page about a model and its test set, which opens anywhere, offline.
//
//   Report report(detector);
//   options.each = [&](const Sample& s, const Detection& d) { report.add(s, d); };
//   auto result = evaluate(detector, dataset, options);
//   write_atomically("report.html", report.html(result, {.program = "d3ad 0.1.0", .data = "mvtec"}));
//
// Metrics with the baselines beside, curves, histograms of scores and attributes (T̂), the training curve, and for every image the
// input, the image as it would be if good, the anomaly map, the overlay and the truth. Pictures are JPEG at the model's
// size (with tiles at most 640 pixels wide and high); all maps have one colour scale, so that a good part looks good.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/core/compiled.hpp"
#include "d3ad/draw/chart.hpp"
#include "d3ad/draw/picture.hpp"
#include "d3ad/pipeline/evaluate.hpp"
#include "d3ad/report/report_page.hpp"

namespace d3ad {

class Report {
 public:
  struct About {
    std::string program;  // name and version
    std::string data;     // where the images are
  };

  template <class Device>
  explicit Report(const Detector<Device>& detector);

  // One image's pictures; in the order of the result's images.
  void add(const Sample& sample, const Detection& d);

  std::string html(const EvaluationResult& result, const About& about) const;

 private:
  std::string panel(const char* caption, const Image& picture) const;

  static std::string tile(const std::string& value, const char* what);
  std::string summary(const EvaluationResult& result) const;

  std::string metrics(const EvaluationResult& result) const;

  // A chart of the page's size.
  template <class Draw>
  static std::string chart(const draw::Axes& axes, Draw&& fill);
  static std::string line_chart(const std::vector<draw::Series>& series, const draw::Axes& axes);
  static std::string bar_chart(const std::vector<draw::Bars>& sets, const std::vector<std::string>& names,
                               const draw::Axes& axes);

  std::string charts(const EvaluationResult& result) const;
  std::string short_name(const CurveRow& row) const;

  std::string score_histogram(const EvaluationResult& result) const;

  // Of the whole attributes that stand beside each score.
  std::string attribute_histograms(const EvaluationResult& result) const;

  std::string training_curve() const;

  std::string gallery(const EvaluationResult& result) const;

  std::string provenance(const EvaluationResult& result, const About& about) const;

  ModelConfig config_;
  anomaly::Calibration calibration_;
  std::filesystem::path folder_;
  int largest_;  // side of a picture
  float brightest_;
  std::vector<std::vector<float>> learned_;  // attributes of the good images
  std::vector<std::string> panels_;
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/report/report-inl.hpp"
#endif
