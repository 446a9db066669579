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
  AblationRecord(std::filesystem::path file, const nlohmann::json& belongs) : file_(std::move(file)) {
    json_ = {{"format", 1},
             {"belongs", belongs},
             {"left_out", std::vector<std::string>()},
             {"rows", nlohmann::json::object()}};
    if (!std::filesystem::exists(file_)) return;
    const auto found = nlohmann::json::parse(read_file(file_, std::size_t{64} << 20), nullptr, false);
    D3AD_CHECK(found.is_object() && found.contains("format") && found.contains("belongs") && found.contains("rows") &&
                   found["belongs"].is_object() && found["rows"].is_object(),
               "'", file_.string(), "' is not an ablation's record; delete it, or choose another folder");
    for (const auto& [key, words] : {std::pair{"model", "of another model"}, std::pair{"data", "of other images"},
                                     std::pair{"numbers", "computed in another --precision"}})
      D3AD_CHECK(found["belongs"].value(key, "") == belongs.value(key, ""), "'", file_.string(), "' holds rows ", words,
                 "; choose another folder, or delete the file to start afresh");
    json_["rows"] = found["rows"], json_["left_out"] = found.value("left_out", nlohmann::json::array());
  }

  // Sentences about images that could not be read and count for no row; kept with the next one.
  void set_left_out(const std::vector<std::string>& sentences) { json_["left_out"] = sentences; }
  std::vector<std::string> left_out() const {
    std::vector<std::string> out;
    for (const auto& sentence : json_["left_out"])
      if (sentence.is_string()) out.push_back(sentence.get<std::string>());
    return out;
  }

  bool has(const std::string& point) const { return json_["rows"].contains(point); }
  std::vector<AblationRow> rows(const std::string& point) const {
    std::vector<AblationRow> out;
    try {
      for (const auto& j : json_["rows"].at(point)) {
        auto& row = out.emplace_back();
        row.metrics.category = j.at("category").get<std::string>(), row.metrics.defect = "all";
        row.metrics.protocol = j.at("protocol").get<std::string>();
        row.metrics.images = j.at("images").get<int>();
        const auto value = [&j](const char* key) {
          return j.at(key).is_null() ? anomaly::kUnknown : j.at(key).get<double>();
        };
        for (const auto& mean : kAblationMeans) row.*mean.value = value(mean.key);
        for (const Metric& m : kMetrics) row.metrics.*m.value = value(m.key);
      }
    } catch (const nlohmann::json::exception& error) {
      fail("'", file_.string(), "' is not an ablation's record (", error.what(), "); delete it");
    }
    return out;
  }
  void add(const std::string& point, const std::vector<AblationRow>& rows) {
    auto list = nlohmann::json::array();
    const auto known = [](double value) { return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(); };
    for (const auto& row : rows) {
      nlohmann::json j = {
          {"category", row.metrics.category}, {"protocol", row.metrics.protocol}, {"images", row.metrics.images}};
      for (const auto& mean : kAblationMeans) j[mean.key] = known(row.*mean.value);
      for (const Metric& m : kMetrics) j[m.key] = known(row.metrics.*m.value);
      list.push_back(std::move(j));
    }
    json_["rows"][point] = std::move(list);
    write_atomically(file_, json_.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  }

 private:
  std::filesystem::path file_;
  nlohmann::json json_;
};

inline std::string ablation_csv(const AblationResult& result) {
  std::vector<std::string> header{"category"};
  for (const auto& option : result.options) header.push_back(option.name);
  header.insert(header.end(), {"protocol", "images"});
  for (const auto& mean : kAblationMeans) header.push_back(mean.key);
  for (const Metric& m : kMetrics) header.push_back(m.key);
  std::string out = csv_row(header);
  for (const auto& row : result.rows) {
    std::vector<std::string> fields{row.metrics.category};
    fields.insert(fields.end(), row.values.begin(), row.values.end());
    fields.insert(fields.end(), {row.metrics.protocol, std::to_string(row.metrics.images)});
    for (const auto& mean : kAblationMeans) fields.push_back(number(row.*mean.value));
    for (const Metric& m : kMetrics) fields.push_back(number(row.metrics.*m.value));
    out += csv_row(fields);
  }
  return out;
}

// What rows are compared by: the mean of image AUROC, pixel AUROC and PRO, of those that are known.
inline double ablation_merit(const MetricRow& row) {
  double sum = 0;
  int count = 0;
  for (const double v : {row.i_auroc, row.p_auroc, row.pro})
    if (std::isfinite(v)) sum += v, ++count;
  return count ? sum / count : -1;
}

// The rows of one protocol as text, percent; the best has a * in front.
inline std::string ablation_table(const AblationResult& result, const std::string& protocol) {
  const AblationRow* best = nullptr;
  for (const auto& row : result.rows)
    if (row.metrics.protocol == protocol && (!best || ablation_merit(row.metrics) > ablation_merit(best->metrics)))
      best = &row;
  std::vector<std::vector<std::string>> table{{""}};
  for (const auto& option : result.options) table.front().push_back(option.name);
  table.front().push_back("T̂");
  for (const Metric& m : kMetrics) table.front().push_back(m.title);
  for (const auto& row : result.rows) {
    if (row.metrics.protocol != protocol) continue;
    table.push_back({&row == best ? "*" : ""});
    table.back().insert(table.back().end(), row.values.begin(), row.values.end());
    table.back().push_back(fixed(row.T_hat, 0));
    for (const Metric& m : kMetrics) table.back().push_back(percent(row.metrics.*m.value));
  }
  return align(table);
}

}  // namespace d3ad
