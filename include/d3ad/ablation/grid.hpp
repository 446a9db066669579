#pragma once
// The grid of an ablation: options with several values each, and the points that are all their combinations.
//
//   AblationGrid grid({"eta2=0,4,7", "lambda=0.5:1:0.05", "map_layers=2,2+3"});       Error with a sentence if one is wrong
//   for (const AblationPoint& p : grid.points(model_settings)) use(p.settings, p.values)     3 x 11 x 2 of them
//
// Options are all settings that change what is measured, with their names on the command line, and `vae` and
// `extractor`, whose values are files, or the word "model" for the model's own. A range from:to:step holds both ends.
// Values that are lists themselves have + for the comma.
//
// Stage (model/option.hpp) says where an option enters. Points with the same values up to a stage share its result.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/core/compiled.hpp"
#include "d3ad/data/table.hpp"
#include "d3ad/model/option.hpp"
#include "d3ad/model/settings_json.hpp"
#include "d3ad/weights/nearest_names.hpp"

namespace d3ad {

// All options of settings, those of the method's own among them, as one flat object; and the preset.
nlohmann::json flat_settings(const Settings& settings);

// Where an option of a grid enters: a setting as it is described, a network's file with what is made from it.
Stage stage_of(const std::string& option);

struct AblationPoint {
  std::vector<std::string> values;  // of the grid's options, as text
  Settings settings;                // the model's, except for the options
  std::string vae, extractor;       // files; empty: the model's own
};

class AblationGrid {
 public:
  struct Option {
    std::string name;                // as Settings has it; or vae, extractor
    std::vector<std::string> texts;  // of the values, shortest form
    std::vector<nlohmann::json> values;
    Stage stage() const { return stage_of(name); }
    bool numeric() const { return values.front().is_number(); }
  };
  static constexpr std::size_t kMostPoints = 2000;

  explicit AblationGrid(const std::vector<std::string>& options);

  const std::vector<Option>& options() const { return options_; }
  // Names an option can have.
  static const std::vector<std::string>& names();

  // A value as the grid writes it.
  static std::string text(const nlohmann::json& value);

  // All combinations over the settings of a model, the last option's values next to each other. Error if the
  // settings of one make no sense.
  std::vector<AblationPoint> points(const Settings& model) const;

 private:
  void add(const std::string& text);

  // A value, or a range of them.
  void add_values(Option& option, const std::string& said, const std::string& word) const;

  Settings checked(Settings settings, const Settings& model) const;

  std::vector<Option> options_;
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/ablation/grid-inl.hpp"
#endif
