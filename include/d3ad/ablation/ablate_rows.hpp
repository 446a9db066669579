#pragma once
// What an ablation has found: a row for each point and protocol, kept on disk as they come, as CSV and as tables.
//
//   AblationRecord record("out/ablation.json", {{"model", sha}, {"data", sha}, {"numbers", "float"}}, attributes);
//   if (!record.has(key)) record.add(key, rows);          replaced atomically: what is there is whole
//   write_atomically("out/ablation.csv", ablation_csv(result));
//   std::string text = ablation_table(result, "paper");   the best row has a *

#include <cmath>
#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/ablation/grid.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/data/table.hpp"
#include "d3ad/pipeline/evaluate.hpp"

namespace d3ad {

// The mean of an attribute over the test images: all, the good and the faulty ones. NaN if there are none.
struct AblationMean {
  double all = anomaly::kUnknown, good = anomaly::kUnknown, faulty = anomaly::kUnknown;
};

struct AblationRow {
  std::vector<std::string> values;  // of the grid's options
  MetricRow metrics;                // of the whole category, under one protocol
  std::vector<AblationMean> means;  // of the method's brief attributes (T̂, for example)
};

struct AblationResult {
  std::vector<AblationGrid::Option> options;
  std::vector<std::string> own;       // the model's own values of them
  std::vector<Attribute> attributes;  // the method's brief ones
  std::vector<AblationRow> rows;      // of the finished points in the grid's order, each protocol's
  std::size_t points = 0, done = 0;   // of the grid
  std::size_t reconstructed = 0;      // images that were analysed to get there
  std::vector<std::string> skipped;   // sentences about images that could not be read
};

// The values of a mean, each with what its column's name adds to the attribute's.
struct AblationMeanField {
  const char* suffix;
  double AblationMean::*value;
};
inline constexpr AblationMeanField kAblationMeans[] = {
    {"", &AblationMean::all}, {"_good", &AblationMean::good}, {"_faulty", &AblationMean::faulty}};

// Those of a method's attributes that stand beside each score.
std::vector<Attribute> brief_attributes(const std::vector<Attribute>& all);

// The rows that are finished, in a file that also says what they belong to.
class AblationRecord {
 public:
  // belongs: texts by "model", "data" and "numbers". Throws d3ad::Error if the file's are others.
  // attributes: the brief ones of the method.
  AblationRecord(std::filesystem::path file, const nlohmann::json& belongs, std::vector<Attribute> attributes);

  // Sentences about images that could not be read and count for no row; kept with the next one.
  void set_left_out(const std::vector<std::string>& sentences) { json_["left_out"] = sentences; }
  std::vector<std::string> left_out() const;

  bool has(const std::string& point) const { return json_["rows"].contains(point); }
  std::vector<AblationRow> rows(const std::string& point) const;
  void add(const std::string& point, const std::vector<AblationRow>& rows);

 private:
  std::filesystem::path file_;
  std::vector<Attribute> attributes_;
  nlohmann::json json_;
};

std::string ablation_csv(const AblationResult& result);

// What rows are compared by: the mean of image AUROC, pixel AUROC and PRO, of those that are known.
double ablation_merit(const MetricRow& row);

// The rows of one protocol as text, percent; the best has a * in front.
std::string ablation_table(const AblationResult& result, const std::string& protocol);

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/ablation/ablate_rows-inl.hpp"
#endif
