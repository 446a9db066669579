#pragma once
// How a training went: rows of means over some steps each, kept in the checkpoint, written as a table and as a curve.
//
//   TrainingLog log;
//   log.add({.step = 50, .loss = 0.3, .gradient_norm = 1.2, .learning_rate = 1e-4, .images_per_second = 20});
//   log.write_csv("loss.csv");  log.write_curve("loss.png");

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "d3ad/core/file.hpp"
#include "d3ad/pipeline/plot.hpp"
#include "d3ad/pipeline/table.hpp"

namespace d3ad {

class TrainingLog {
 public:
  struct Row {
    std::int64_t step;
    double loss, gradient_norm, learning_rate, images_per_second;
  };

  void add(Row row) { rows_.push_back(row); }
  const std::vector<Row>& rows() const { return rows_; }

  nlohmann::json json() const {
    nlohmann::json all = nlohmann::json::array();
    for (const auto& r : rows_) all.push_back({r.step, r.loss, r.gradient_norm, r.learning_rate, r.images_per_second});
    return all;
  }
  // Adds what json() wrote; anything else is left out.
  void read(const nlohmann::json& all) {
    if (!all.is_array()) return;
    for (const auto& r : all)
      if (r.is_array() && r.size() == 5) rows_.push_back({r[0], r[1], r[2], r[3], r[4]});
  }

  void write_csv(const std::filesystem::path& path) const {
    std::string csv = "step,loss,gradient_norm,learning_rate,images_per_second\n";
    for (const auto& r : rows_)
      csv += concat(r.step, ',', number(r.loss), ',', number(r.gradient_norm), ',', number(r.learning_rate), ',',
                    number(r.images_per_second), '\n');
    write_atomically(path, csv);
  }
  void write_curve(const std::filesystem::path& path) const {
    plot::Series series{.label = "training loss", .x = {}, .y = {}};
    for (const auto& r : rows_) series.x.push_back(static_cast<double>(r.step)), series.y.push_back(r.loss);
    write_png(path, plot::line_plot({series}, {.title = "UNet: mean squared error of the noise",
                                               .x_label = "step",
                                               .y_label = "loss",
                                               .log_y = true}));
  }

 private:
  std::vector<Row> rows_;
};

}  // namespace d3ad
