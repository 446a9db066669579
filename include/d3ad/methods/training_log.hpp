#pragma once
// How a training went: rows of means over some steps each, kept in the checkpoint, written as a table, as a curve and
// for TensorBoard.
//
//   TrainingLog log(total, batch);                                    // steps; images a step
//   log.step({.number = 1, .loss = 0.3, .gradient_norm = 1.2, .learning_rate = 1e-4});
//   log.write_csv("loss.csv");  log.write_curve("loss.png");
//   log.write_events("events.out.tfevents.1.unet", "unet/");
//
// Rows end at steps that depend on the total alone, and json() keeps the steps since the last row: a training that was
// stopped and resumed has the rows of an uninterrupted one, except for times and rates.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "d3ad/core/compiled.hpp"
#include "d3ad/core/file.hpp"
#include "d3ad/data/table.hpp"
#include "d3ad/draw/chart.hpp"
#include "d3ad/methods/event_file.hpp"

namespace d3ad {

class TrainingLog {
 public:
  struct Step {
    std::int64_t number;  // 1-based
    double loss, gradient_norm, learning_rate;
  };
  struct Row {
    std::int64_t step;
    double loss, gradient_norm, learning_rate, images_per_second;
    double wall_time;  // seconds since 1970
  };

  TrainingLog(std::int64_t total, std::int64_t images_a_step);

  void step(const Step& s);
  const std::vector<Row>& rows() const { return rows_; }

  nlohmann::json json() const;
  // Goes on from what json() wrote; from nothing if it is something else.
  void read(const nlohmann::json& all);

  void write_csv(const std::filesystem::path& path) const;
  void write_curve(const std::filesystem::path& path) const;
  // Tags are the columns of the table, after `group`. A file of an earlier part of this log grows, so that TensorBoard
  // follows it; without a row yet there is none.
  void write_events(const std::filesystem::path& path, const std::string& group) const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Open {  // sums over the steps since the last row
    std::int64_t steps = 0;
    double loss = 0, gradient_norm = 0, seconds = 0;
  };

  std::int64_t total_, every_;
  double images_;
  std::vector<Row> rows_;
  Open open_;
  Clock::time_point before_ = Clock::now();
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/methods/training_log-inl.hpp"
#endif
