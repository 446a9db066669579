#pragma once
// Evaluation of a model on a test set: the metrics of METHOD.md, section 8, under both protocols (pipeline/metrics.hpp).
//
//   auto result = evaluate(detector, dataset, {.batch = 4});
//   result.rows      // per method and protocol: the whole category, then each defect type against the good images
//   result.images    // per image: label, attributes, score under both protocols
//
// Maps and masks are compared at the maps' resolution (Detection::map): with tiles that is the image scaled by image_size
// / tile, its own resolution if the two are equal. The maps of the whole test set are kept, for the paper's protocol:
// some 25 bytes for each of their pixels.
//
// Several processes (options.group) take turns in computing batches; rank 0 gathers what they find, in the images'
// order, and has the same result as one process, bit for bit. The others return nothing.
//
// If options.baselines asks for it, the baselines (pipeline/baselines.hpp) look at the same images. Their rows have the
// paper's protocol alone: nothing is calibrated for them.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/core/compiled.hpp"
#include "d3ad/data/dataset.hpp"
#include "d3ad/parallel/group.hpp"
#include "d3ad/pipeline/detector.hpp"
#include "d3ad/pipeline/metrics.hpp"

namespace d3ad {

struct ImageRow {
  std::string file, defect;
  bool anomalous = false, faulty = false;  // faulty: the calibrated verdict
  std::vector<float> attributes = {};      // as EvaluationResult::attributes describes them
  float score = 0, paper_score = 0;        // calibrated, paper's protocol
};

struct EvaluationResult {
  std::vector<MetricRow> rows;
  std::vector<CurveRow> curves;
  std::vector<ImageRow> images;
  std::vector<Attribute> attributes;  // the method's
  std::vector<std::string> skipped;   // sentences about images that could not be read
};

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

// Throws Interrupted if options.stop() says so.
template <class Device>
EvaluationResult evaluate(Detector<Device>& detector, const Dataset& dataset, const EvaluationOptions& options);

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/pipeline/evaluate-inl.hpp"
#endif
