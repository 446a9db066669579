#pragma once
// What an ablation has found: a row for each point and protocol, kept on disk as they come, as CSV and as tables.
//
//   AblationRecord record("out/ablation.json", {{"model", sha}, {"data", sha}, {"numbers", "float"}});
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

struct AblationRow {
  std::vector<std::string> values;  // of the grid's options
  MetricRow metrics;                // of the whole category, under one protocol
  // Means of T̂ over the test images: all, the good and the faulty ones. NaN where there are none.
  double T_hat = anomaly::kUnknown, T_hat_good = anomaly::kUnknown, T_hat_faulty = anomaly::kUnknown;
};

struct AblationResult {
  std::vector<Grid::Option> options;
  std::vector<std::string> own;      // the model's own values of them
  std::vector<AblationRow> rows;     // of the finished points in the grid's order, each protocol's
  std::size_t points = 0, done = 0;  // of the grid
  std::size_t reconstructed = 0;     // images that were denoised to get there
  std::vector<std::string> skipped;  // sentences about images that could not be read
};

inline constexpr const char* kAblationProtocols[] = {"paper", "calibrated"};

// A row's means of T̂ by name.
struct AblationMean {
  const char* key;
  double AblationRow::*value;
};
inline constexpr AblationMean kAblationMeans[] = {{"T_hat", &AblationRow::T_hat},
                                                  {"T_hat_good", &AblationRow::T_hat_good},
                                                  {"T_hat_faulty", &AblationRow::T_hat_faulty}};

// The rows that are finished, in a file that also says what they belong to.
class AblationRecord {
 public:
  // belongs: texts by "model", "data" and "numbers". Throws d3ad::Error where the file's are others.
  AblationRecord(std::filesystem::path file, const nlohmann::json& belongs);

  // Sentences about images that could not be read and count for no row; kept with the next one.
  void set_left_out(const std::vector<std::string>& sentences) { json_["left_out"] = sentences; }
  std::vector<std::string> left_out() const;

  bool has(const std::string& point) const { return json_["rows"].contains(point); }
  std::vector<AblationRow> rows(const std::string& point) const;
  void add(const std::string& point, const std::vector<AblationRow>& rows);

 private:
  std::filesystem::path file_;
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
