#pragma once
// Definitions of ablation/ablate_rows.hpp. Included by it unless they are compiled.

#include "d3ad/ablation/ablate_rows.hpp"

namespace d3ad {

D3AD_INLINE std::vector<Attribute> brief_attributes(const std::vector<Attribute>& all) {
  std::vector<Attribute> brief;
  for (const auto& a : all)
    if (a.brief) brief.push_back(a);
  return brief;
}

D3AD_INLINE std::string ablation_csv(const AblationResult& result) {
  std::vector<std::string> header{"category"};
  for (const auto& option : result.options) header.push_back(option.name);
  header.insert(header.end(), {"protocol", "images"});
  for (const auto& attribute : result.attributes)
    for (const auto& mean : kAblationMeans) header.push_back(attribute.name + mean.suffix);
  for (const Metric& m : kMetrics) header.push_back(m.key);
  std::string out = csv_row(header);
  for (const auto& row : result.rows) {
    std::vector<std::string> fields{row.metrics.category};
    fields.insert(fields.end(), row.values.begin(), row.values.end());
    fields.insert(fields.end(), {row.metrics.protocol, std::to_string(row.metrics.images)});
    for (const auto& of : row.means)
      for (const auto& mean : kAblationMeans) fields.push_back(number(of.*mean.value));
    for (const Metric& m : kMetrics) fields.push_back(number(row.metrics.*m.value));
    out += csv_row(fields);
  }
  return out;
}

D3AD_INLINE double ablation_merit(const MetricRow& row) {
  double sum = 0;
  int count = 0;
  for (const double v : {row.i_auroc, row.p_auroc, row.pro})
    if (std::isfinite(v)) sum += v, ++count;
  return count ? sum / count : -1;
}

D3AD_INLINE std::string ablation_table(const AblationResult& result, const std::string& protocol) {
  const AblationRow* best = nullptr;
  for (const auto& row : result.rows)
    if (row.metrics.protocol == protocol && (!best || ablation_merit(row.metrics) > ablation_merit(best->metrics)))
      best = &row;
  std::vector<std::vector<std::string>> table{{""}};
  for (const auto& option : result.options) table.front().push_back(option.name);
  for (const auto& attribute : result.attributes) table.front().push_back(attribute.title);
  for (const Metric& m : kMetrics) table.front().push_back(m.title);
  for (const auto& row : result.rows) {
    if (row.metrics.protocol != protocol) continue;
    table.push_back({&row == best ? "*" : ""});
    table.back().insert(table.back().end(), row.values.begin(), row.values.end());
    for (std::size_t a = 0; a < row.means.size(); ++a)
      table.back().push_back(fixed(row.means[a].all, result.attributes[a].whole ? 0 : 3));
    for (const Metric& m : kMetrics) table.back().push_back(percent(row.metrics.*m.value));
  }
  return align_columns(table);
}

D3AD_INLINE AblationRecord::AblationRecord(std::filesystem::path file, const nlohmann::json& belongs,
                                           std::vector<Attribute> attributes)
    : file_(std::move(file)), attributes_(std::move(attributes)) {
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
                                   std::pair{"numbers", "computed in another precision"}})
    D3AD_CHECK(found["belongs"].value(key, "") == belongs.value(key, ""), "'", file_.string(), "' holds rows ", words,
               "; choose another folder, or delete the file to start afresh");
  json_["rows"] = found["rows"], json_["left_out"] = found.value("left_out", nlohmann::json::array());
}

D3AD_INLINE std::vector<std::string> AblationRecord::left_out() const {
  std::vector<std::string> out;
  for (const auto& sentence : json_["left_out"])
    if (sentence.is_string()) out.push_back(sentence.get<std::string>());
  return out;
}

D3AD_INLINE std::vector<AblationRow> AblationRecord::rows(const std::string& point) const {
  std::vector<AblationRow> out;
  try {
    for (const auto& j : json_["rows"].at(point)) {
      auto& row = out.emplace_back();
      row.metrics.category = j.at("category").get<std::string>(), row.metrics.defect = "all";
      row.metrics.protocol = j.at("protocol").get<std::string>();
      row.metrics.images = j.at("images").get<int>();
      const auto value = [&j](const std::string& key) {
        return j.at(key).is_null() ? anomaly::kUnknown : j.at(key).get<double>();
      };
      for (const auto& attribute : attributes_) {
        auto& of = row.means.emplace_back();
        for (const auto& mean : kAblationMeans) of.*mean.value = value(attribute.name + mean.suffix);
      }
      for (const Metric& m : kMetrics) row.metrics.*m.value = value(m.key);
    }
  } catch (const nlohmann::json::exception& error) {
    fail("'", file_.string(), "' is not an ablation's record (", error.what(), "); delete it");
  }
  return out;
}

D3AD_INLINE void AblationRecord::add(const std::string& point, const std::vector<AblationRow>& rows) {
  auto list = nlohmann::json::array();
  const auto known = [](double value) { return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(); };
  for (const auto& row : rows) {
    nlohmann::json j = {
        {"category", row.metrics.category}, {"protocol", row.metrics.protocol}, {"images", row.metrics.images}};
    for (std::size_t a = 0; a < row.means.size(); ++a)
      for (const auto& mean : kAblationMeans) j[attributes_[a].name + mean.suffix] = known(row.means[a].*mean.value);
    for (const Metric& m : kMetrics) j[m.key] = known(row.metrics.*m.value);
    list.push_back(std::move(j));
  }
  json_["rows"][point] = std::move(list);
  write_atomically(file_, json_.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace d3ad
