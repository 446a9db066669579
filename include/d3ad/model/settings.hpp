#pragma once
// Settings: every number a training or a detection depends on, in groups, each described once (option.hpp).
//
//   Settings s = Settings::small();            // learns on two cores in minutes; Settings::paper() is the paper's
//   s.denoising.eta2 = 7;
//   s.check();                                 // throws an Error with name, value and range if one is out of its range
//   for (const Option& o : options_of(s)) use(o.name(), o.text(), o.range_text(), o.info().help);
//
// A field's default stands at the field, all else in its group's describe() (settings-inl.hpp). To add an option, add both;
// JSON (settings_json.hpp), the command line and the ablation follow. A model keeps the settings it was made with.
//
// data, map.sigma, threshold, seed and weights are every method's. The other groups are D3AD's; another method has its
// own options (model/method_info.hpp), and D3AD's mean nothing to it:
//
//   Settings s = Settings::of_method("vae_only");
//   s.own.get<VaeOnlySettings>().layers = {1, 2};

#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "d3ad/core/compiled.hpp"
#include "d3ad/data/tile.hpp"
#include "d3ad/model/method_info.hpp"
#include "d3ad/model/option.hpp"

namespace d3ad {

struct DataSettings {
  int image_size = 256;
  int tile = 0;
  double tile_overlap = 0.25;
  std::string augment = "none";
  double held_back = 0.2;

  // augmented: whether the method has a use for augmentation.
  void describe(OptionTable& table, bool augmented = true);
};

struct UNetSettings {
  int base = 32;
  std::vector<int> multipliers{1, 2, 2};
  int res_blocks = 1;
  std::vector<int> attention{2, 4};
  int heads = 4;

  void describe(OptionTable& table);
};

struct TrainingSettings {
  int iterations = 3000;
  int epochs = 0;
  int batch = 16;
  double learning_rate = 2e-4;
  double weight_decay = 0.01;
  double ema = 0.999;
  int warmup = 0;
  bool cosine_decay = false;
  double clip = 0;
  int accumulate = 1;
  bool checkpointing = false;

  void describe(OptionTable& table);
};

struct AdaptationSettings {
  int gamma = 0;
  double learning_rate = 1e-4;

  void describe(OptionTable& table);
};

struct ConditioningSettings {
  int k = 20;
  int bins = 10;
  int T_max = 400;
  bool dynamic = true;
  int layer = 2;

  void describe(OptionTable& table);
};

struct DenoisingSettings {
  int steps = 10;
  double eta = 0;
  double eta2 = 0;
  double omega = 0;
  bool sample_posterior = false;

  void describe(OptionTable& table);
};

struct MapSettings {
  double lambda = 0.85;
  double sigma = 4;
  std::vector<int> layers{2, 3};

  void describe(OptionTable& table);
  void describe_blur(OptionTable& table);  // sigma alone
};

struct ThresholdSettings {
  double false_alarm_rate = 0.05;

  void describe(OptionTable& table);
};

struct Settings {
  std::string preset = "small";  // what the others started from; not an option of the table
  std::string method = "d3ad";   // likewise
  DataSettings data;
  UNetSettings unet;
  TrainingSettings training;
  std::uint64_t seed = 0;
  AdaptationSettings adaptation;
  ConditioningSettings conditioning;
  DenoisingSettings denoising;
  MapSettings map;
  ThresholdSettings threshold;
  std::string weights = "float";
  MethodSettings own;  // of a method other than d3ad

  bool of_d3ad() const { return method == "d3ad"; }
  // Which pretrained networks the method needs.
  bool needs_vae() const { return of_d3ad() || method_info(method).needs_vae; }
  bool needs_extractor() const { return of_d3ad() || method_info(method).needs_extractor; }
  static Settings small() { return {}; }
  static Settings paper();
  // small or paper; an Error if it is another.
  static Settings named(const std::string& preset);
  // Those of a method; an Error if it is not known.
  static Settings of_method(const std::string& method, const std::string& preset = "small");

  void describe(OptionTable& table);

  // Throws an Error that names the setting, its value and what was expected.
  void check() const;
};

// If only one of the two lengths of training was given, it replaces the other, which becomes 0. given("epochs") says
// whether it was.
template <class Given>
void replace_length(Settings& s, Given&& given) {
  if (!s.of_d3ad()) return;
  const bool iterations = given("iterations"), epochs = given("epochs");
  if (iterations && !epochs && s.training.iterations != 0) s.training.epochs = 0;
  if (epochs && !iterations && s.training.epochs != 0) s.training.iterations = 0;
}

// Gives `to` the values that `from` has of the options which both have and `which` names (a predicate of an Option).
template <class Which>
void take_options(Settings& to, Settings from, Which&& which) {
  const OptionTable options = options_of(to);
  for (const auto& option : options_of(from))
    if (const auto* own = options.find(option.name()); own && which(option)) own->set(option.name(), option.text());
}

// The defaults of a method, and their descriptions.
struct DescribedSettings {
  std::string method;
  Settings defaults;
  OptionTable options;
};
// Of every method that is known at the first call, D3AD's first.
const std::list<DescribedSettings>& described_settings();
// An option by its name, of the first method that has it; null if none has.
const Option* find_described(const std::string& name);

// How images are cut under these settings.
inline Tiling tiling(const Settings& s) { return Tiling(s.data.image_size, s.data.tile, s.data.tile_overlap); }

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/model/settings-inl.hpp"
#endif
