#pragma once
// Definitions of ablation/grid.hpp. Included by it unless they are compiled.

#include <nlohmann/json.hpp>

#include "d3ad/ablation/grid.hpp"
#include "d3ad/model/option_json.hpp"

namespace d3ad {

D3AD_INLINE nlohmann::json flat_settings(const Settings& settings) {
  auto copy = settings;  // a table refers to what can be changed
  nlohmann::json json = {{"preset", settings.preset}};
  write_options(json, options_of(copy));
  return json;
}

D3AD_INLINE Stage stage_of(const std::string& option) {
  if (option == "extractor") return Stage::adapt;
  const auto* found = find_described(option);
  return found ? found->stage() : Stage::train;
}

}  // namespace d3ad

namespace d3ad::detail {

inline std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> out;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t end = std::min(text.find(at, start), text.size());
    out.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return out;
}

// from, from + step, ... to, each rounded to twelve digits, so that 0.1 three times is 0.3. `said` begins sentences.
inline std::vector<std::string> range_values(const std::string& said, const std::vector<std::string>& parts, bool whole,
                                             std::size_t most) {
  D3AD_CHECK(parts.size() == 3, said, ": a range is from:to:step, as 0.5:1:0.05");
  double ends[3];
  for (std::size_t i = 0; i < 3; ++i) {
    ends[i] = number_from_text(said + ":", parts[i]);
    D3AD_CHECK(std::isfinite(ends[i]), said, ": '", parts[i], "' is not a finite number");
    D3AD_CHECK(!whole || ends[i] == std::round(ends[i]), said, ": this option takes whole numbers, not ", parts[i]);
  }
  const auto [from, to, step] = ends;
  D3AD_CHECK(step != 0, said, ": the step is 0");
  const double count = (to - from) / step;
  D3AD_CHECK(count >= 0, said, ": a step of ", parts[2], " does not lead from ", parts[0], " to ", parts[1]);
  D3AD_CHECK(count < static_cast<double>(most), said, ": these are more than ", most, " values");
  const auto text = [](double value) {
    char digits[32];
    std::snprintf(digits, sizeof(digits), "%.12g", value == 0 ? 0.0 : value);
    return std::string(digits);
  };
  D3AD_CHECK(std::abs(count - std::round(count)) < 1e-6, said, ": steps of ", parts[2], " from ", parts[0],
             " do not meet ", parts[1], "; the last would be at ", text(from + std::floor(count) * step));
  std::vector<std::string> out;
  for (int i = 0; i <= static_cast<int>(std::round(count)); ++i) out.push_back(text(from + i * step));
  return out;
}

}  // namespace d3ad::detail

namespace d3ad {

D3AD_INLINE AblationGrid::AblationGrid(const std::vector<std::string>& options) {
  D3AD_CHECK(!options.empty(), "the grid has no option, expected one or more, as eta2=0,4");
  for (const auto& text : options) add(text);
}

D3AD_INLINE const std::vector<std::string>& AblationGrid::names() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names{"extractor", "vae"};
    for (const auto& method : described_settings())
      for (const auto& option : method.options)
        if (option.stage() < Stage::threshold && std::find(names.begin(), names.end(), option.name()) == names.end())
          names.push_back(option.name());
    return names;
  }();
  return kNames;
}

D3AD_INLINE std::string AblationGrid::text(const nlohmann::json& value) {
  if (value.is_number_float()) return number(value.get<double>());
  std::string out = json_text(value);
  if (value.is_array()) std::replace(out.begin(), out.end(), ',', '+');
  return out;
}

D3AD_INLINE std::vector<AblationPoint> AblationGrid::points(const Settings& model) const {
  std::vector<AblationPoint> out{{{}, model, "", ""}};
  auto own = model;
  const OptionTable known = options_of(own);
  for (const auto& option : options_) {
    const bool has = option.name == "vae"         ? model.needs_vae()
                     : option.name == "extractor" ? model.needs_extractor()
                                                  : known.find(option.name) != nullptr;
    D3AD_CHECK(has, "grid: ", option.name, ": the model's method, ", model.method, ", has no such option");
    std::vector<AblationPoint> longer;
    for (std::size_t p = 0; p < out.size(); ++p)
      for (std::size_t v = 0; v < option.values.size(); ++v) {
        longer.push_back(out[p]);
        auto& point = longer.back();
        point.values.push_back(option.texts[v]);
        const std::string file = option.texts[v] == "model" ? "" : option.texts[v];
        if (option.name == "vae")
          point.vae = file;
        else if (option.name == "extractor")
          point.extractor = file;
        else
          set_option(options_of(point.settings).at(option.name), option.values[v]);
      }
    out = std::move(longer);
  }
  for (auto& point : out) point.settings = checked(std::move(point.settings), model);
  return out;
}

D3AD_INLINE void AblationGrid::add(const std::string& text) {
  const auto equals = text.find('=');
  D3AD_CHECK(equals != std::string::npos && equals > 0, "grid: ", text,
             ": expected OPTION=VALUES, as eta2=0,4 or lambda=0.5:1:0.05");
  Option option;
  option.name = text.substr(0, equals);
  while (option.name.starts_with('-')) option.name.erase(0, 1);
  std::replace(option.name.begin(), option.name.end(), '-', '_');
  const std::string said = concat("grid: ", option.name);
  D3AD_CHECK(stage_of(option.name) < Stage::threshold, said,
             ": it moves the threshold and changes nothing of what an ablation measures");
  const auto& known = names();
  D3AD_CHECK(std::find(known.begin(), known.end(), option.name) != known.end(), said, ": no option has this name",
             nearest_names(known, option.name));
  for (const auto& other : options_)
    D3AD_CHECK(other.name != option.name, said, " is given twice; write all values in one, as ", option.name, "=",
               other.texts.front(), ",...");
  D3AD_CHECK(equals + 1 < text.size(), said, "=: there is no value");
  for (const auto& word : detail::split(text.substr(equals + 1), ',')) add_values(option, said, word);
  std::size_t points = option.values.size();
  for (const auto& other : options_) points *= other.values.size();
  D3AD_CHECK(points <= kMostPoints, "the grid has ", points, " points or more, at most ", kMostPoints,
             " are accepted; give fewer values or larger steps");
  options_.push_back(std::move(option));
}

D3AD_INLINE void AblationGrid::add_values(Option& option, const std::string& said, const std::string& word) const {
  D3AD_CHECK(!word.empty(), said, ": a value between its commas is empty");
  Settings scratch;  // of the first method that has the option
  for (const auto& method : described_settings())
    if (method.options.find(option.name)) {
      scratch = method.defaults;
      break;
    }
  const OptionTable settings = options_of(scratch);
  const d3ad::Option* setting = settings.find(option.name);  // null: a file
  std::vector<std::string> words{word};
  if (setting && setting->numeric() && word.find(':') != std::string::npos)
    words = detail::range_values(concat(said, '=', word), detail::split(word, ':'), setting->whole(), kMostPoints);
  for (auto& one : words) {
    nlohmann::json value = one;
    if (setting) {
      if (setting->list()) std::replace(one.begin(), one.end(), '+', ',');
      setting->set(said + ":", one);
      value = option_json(*setting);
    }
    std::string text = AblationGrid::text(value);
    D3AD_CHECK(std::find(option.values.begin(), option.values.end(), value) == option.values.end(), said, ": value ",
               text, " is listed twice");
    option.texts.push_back(std::move(text));
    option.values.push_back(std::move(value));
  }
}

D3AD_INLINE Settings AblationGrid::checked(Settings settings, const Settings& model) const {
  replace_length(settings, [&](const char* name) {
    return std::any_of(options_.begin(), options_.end(), [&](const Option& o) { return o.name == name; });
  });
  settings.check();
  if (!settings.of_d3ad()) return settings;
  // What has no effect is as the model has it: its points are one.
  if (!settings.conditioning.dynamic) {
    settings.conditioning.k = model.conditioning.k;
    settings.conditioning.bins = model.conditioning.bins;
    settings.conditioning.layer = model.conditioning.layer;
  }
  if (settings.adaptation.gamma == 0) settings.adaptation.learning_rate = model.adaptation.learning_rate;
  return settings;
}

}  // namespace d3ad
