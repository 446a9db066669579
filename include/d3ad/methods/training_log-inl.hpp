#pragma once
// Definitions of methods/training_log.hpp. Included by it unless they are compiled.

#include <nlohmann/json.hpp>

#include "d3ad/methods/training_log.hpp"

namespace d3ad {

D3AD_INLINE TrainingLog::TrainingLog(std::int64_t total, std::int64_t images_a_step)
    : total_(total),
      every_(std::max<std::int64_t>(1, std::min<std::int64_t>(50, total / 20))),
      images_(static_cast<double>(images_a_step)) {}

D3AD_INLINE void TrainingLog::step(const Step& s) {
  const auto now = Clock::now();
  open_.seconds += std::chrono::duration<double>(now - before_).count();
  before_ = now;
  open_.loss += s.loss, open_.gradient_norm += s.gradient_norm, ++open_.steps;
  if (s.number % every_ != 0 && s.number != total_) return;
  const auto n = static_cast<double>(open_.steps);
  const std::chrono::duration<double> wall = std::chrono::system_clock::now().time_since_epoch();
  rows_.push_back({s.number, open_.loss / n, open_.gradient_norm / n, s.learning_rate,
                   n * images_ / std::max(open_.seconds, 1e-9), wall.count()});
  open_ = {};
}

D3AD_INLINE nlohmann::json TrainingLog::json() const {
  nlohmann::json all = nlohmann::json::array();
  for (const auto& r : rows_)
    all.push_back({r.step, r.loss, r.gradient_norm, r.learning_rate, r.images_per_second, r.wall_time});
  return {{"rows", all}, {"open", {open_.steps, open_.loss, open_.gradient_norm, open_.seconds}}};
}

D3AD_INLINE void TrainingLog::read(const nlohmann::json& all) {
  try {
    std::vector<Row> rows;
    for (const auto& r : all.at("rows")) rows.push_back({r.at(0), r.at(1), r.at(2), r.at(3), r.at(4), r.at(5)});
    const auto& open = all.at("open");
    open_ = {open.at(0), open.at(1), open.at(2), open.at(3)};
    rows_ = std::move(rows);
  } catch (const nlohmann::json::exception&) {
    open_ = {};
  }
}

D3AD_INLINE void TrainingLog::write_csv(const std::filesystem::path& path) const {
  std::string csv = "step,loss,gradient_norm,learning_rate,images_per_second\n";
  for (const auto& r : rows_)
    csv += concat(r.step, ',', number(r.loss), ',', number(r.gradient_norm), ',', number(r.learning_rate), ',',
                  number(r.images_per_second), '\n');
  write_atomically(path, csv);
}

D3AD_INLINE void TrainingLog::write_curve(const std::filesystem::path& path) const {
  draw::Series series{.label = "training loss", .x = {}, .y = {}};
  for (const auto& r : rows_) series.x.push_back(static_cast<double>(r.step)), series.y.push_back(r.loss);
  draw::Drawing d(480, 270);
  draw::line_chart(
      d, draw::inside(d), {series},
      {.title = "UNet: mean squared error of the noise", .x = {.label = "step"}, .y = {.label = "loss", .log = true}});
  write_png(path, d.image());
}

D3AD_INLINE void TrainingLog::write_events(const std::filesystem::path& path, const std::string& group) const {
  if (rows_.empty()) return;
  EventFile events(rows_.front().wall_time);
  for (const auto& r : rows_)
    events.add(r.wall_time, r.step,
               {{group + "loss", r.loss},
                {group + "gradient_norm", r.gradient_norm},
                {group + "learning_rate", r.learning_rate},
                {group + "images_per_second", r.images_per_second}});
  write_growing(path, events.bytes());
}

}  // namespace d3ad
