#pragma once
// Definitions of model/settings.hpp: what is said of every option, once. Included by it unless they are compiled.

#include "d3ad/core/check.hpp"
#include "d3ad/model/settings.hpp"

namespace d3ad {

D3AD_INLINE void DataSettings::describe(OptionTable& table, bool augmented) {
  table.group("Data", Stage::train);
  table.add(image_size, {.name = "image_size",
                         .help = "Side of the square that images are resized to",
                         .least = 64,
                         .most = 2048,
                         .multiple = 32,
                         .unit = "pixels"});
  table.add(tile, {.name = "tile",
                   .help = "Side of the tiles that images are cut into before they are resized",
                   .least = 32,
                   .most = 16384,
                   .zero = "whole images",
                   .unit = "pixels"});
  table.add(tile_overlap, {.name = "tile_overlap",
                           .help = "Fraction of a tile's side that overlaps the next tile",
                           .least = 0,
                           .most = 0.75,
                           .also_at_detection = true});
  if (augmented)
    table.add(augment, {.name = "augment",
                        .help = "Augmentation of the good images for training: flip mirrors them left to right, "
                                "dihedral turns and mirrors them in eight ways",
                        .words = {"none", "flip", "dihedral"}});
  table.add(held_back, {.name = "held_back",
                        .help = "Fraction of the good images that are held out of training; the maps' ranges and the "
                                "threshold are learned from them",
                        .least = 0,
                        .most = 0.9,
                        .zero = "all images count for both",
                        .paper = "0",
                        .reason = "a threshold has to be learned from images that were not trained on"});
}

D3AD_INLINE void UNetSettings::describe(OptionTable& table) {
  constexpr const char* kSmall = "a smaller UNet trains on two cores in minutes";
  table.group("UNet", Stage::train);
  table.add(base, {.name = "base",
                   .help = "Base channels",
                   .least = 32,
                   .most = 4096,
                   .multiple = 32,
                   .paper = "192",
                   .reason = kSmall});
  table.add(multipliers, {.name = "multipliers",
                          .help = "Channel multiplier of each level, with commas between",
                          .least = 1,
                          .most = 64,
                          .paper = "1,2,2,4,4",
                          .reason = kSmall});
  table.add(res_blocks, {.name = "res_blocks",
                         .help = "Residual blocks in each level",
                         .least = 1,
                         .most = 16,
                         .paper = "2",
                         .reason = kSmall});
  table.add(attention, {.name = "attention",
                        .help = "Downsampling factors that have attention, with commas between; powers of two",
                        .least = 1,
                        .most = 128,
                        .may_be_empty = true,
                        .paper = "1,2,4,8",
                        .reason = kSmall});
  table.add(heads, {.name = "heads",
                    .help = "Attention heads, which have to divide the base channels",
                    .least = 1,
                    .most = 4096,
                    .paper = "8",
                    .reason = kSmall});
}

D3AD_INLINE void TrainingSettings::describe(OptionTable& table) {
  constexpr const char* kShort = "a short training takes minutes on two cores";
  table.group("Training of the UNet", Stage::train);
  table.add(iterations, {.name = "iterations",
                         .help = "Length of the training, in steps of one batch each",
                         .least = 0,
                         .zero = "epochs decides",
                         .unit = "steps",
                         .paper = "0",
                         .reason = kShort});
  table.add(epochs, {.name = "epochs",
                     .help = "Length of the training, in rounds over the good images",
                     .least = 0,
                     .zero = "iterations decides",
                     .unit = "epochs",
                     .paper = "300",
                     .reason = kShort});
  table.add(batch, {.name = "batch",
                    .help = "Batch size, in images (tiles for tiled models)",
                    .least = 1,
                    .most = 4096,
                    .paper = "30",
                    .reason = kShort});
  table.add(learning_rate, {.name = "learning_rate",
                            .help = "Learning rate of AdamW",
                            .most = 1,
                            .above = 0,
                            .paper = "0.0001",
                            .reason = "a short training needs larger steps"});
  table.add(weight_decay, {.name = "weight_decay", .help = "Weight decay of AdamW", .least = 0, .most = 1});
  table.add(ema, {.name = "ema",
                  .help = "Decay of the averaged weights; step t uses min(ema, (1 + t) / (10 + t))",
                  .least = 0,
                  .below = 1,
                  .zero = "no average",
                  .paper = "0",
                  .reason = "averaged weights are steadier after a short training"});
  table.add(warmup, {.name = "warmup",
                     .help = "Steps over which the learning rate rises linearly",
                     .least = 0,
                     .zero = "none",
                     .unit = "steps"});
  table.add(cosine_decay, {.name = "cosine_decay", .help = "Decay of the learning rate to zero along half a cosine"});
  table.add(clip, {.name = "clip", .help = "Largest norm of the gradient", .least = 0, .zero = "no limit"});
  table.add(accumulate, {.name = "accumulate",
                         .help = "Micro-batches that each batch is split into, to save memory; a divisor of the "
                                 "batch size",
                         .least = 1,
                         .most = 4096});
  table.add(checkpointing,
            {.name = "checkpointing", .help = "Recompute activations in the backward pass, to save memory"});
}

D3AD_INLINE void AdaptationSettings::describe(OptionTable& table) {
  table.group("Domain adaptation", Stage::adapt);
  table.add(gamma, {.name = "gamma",
                    .help = "Epochs of domain adaptation of the feature extractor",
                    .least = 0,
                    .most = 100,
                    .zero = "none",
                    .unit = "epochs"});
  table.add(learning_rate, {.name = "adapt_learning_rate",
                            .help = "Learning rate of AdamW for the feature extractor",
                            .most = 1,
                            .above = 0});
}

D3AD_INLINE void ConditioningSettings::describe(OptionTable& table) {
  table.group("Implicit conditioning", Stage::calibrate);
  table.add(
      k,
      {.name = "k", .help = "Nearest good images over which an image's distance is averaged", .least = 1, .most = 1e6});
  table.add(bins, {.name = "bins", .help = "Bins of the distances", .least = 2, .most = 1000});
  table.add(T_max, {.name = "T_max",
                    .help = "Largest noise level, in steps of the diffusion",
                    .least = 10,
                    .most = 1000,
                    .paper = "80",
                    .reason = "large faults are repaired only from higher noise levels (see bench/README.md)"});
  table.add(dynamic, {.name = "dynamic", .help = "Choose the noise level for each image; false uses T_max for all"});
  table.add(layer, {.name = "dic_layer",
                    .help = "Layer of the feature extractor whose features give the distance",
                    .least = 1,
                    .most = 3});
}

D3AD_INLINE void DenoisingSettings::describe(OptionTable& table) {
  table.group("Denoising", Stage::detect);
  table.add(steps, {.name = "steps", .help = "Denoising steps", .least = 1, .most = 1000});
  table.add(eta, {.name = "eta", .help = "Randomness of the sampler", .least = 0, .most = 1, .zero = "DDIM"});
  table.add(eta2, {.name = "eta2",
                   .help = "Strength of the guidance towards the input",
                   .least = 0,
                   .most = 1000,
                   .zero = "none",
                   .paper = "4",
                   .reason = "guidance overshoots at noise levels above the paper's"});
  table.add(omega, {.name = "omega",
                    .help = "Fraction of the noise added at the start; 1 is ordinary noising",
                    .least = 0,
                    .most = 1,
                    .zero = "noiseless scaling"});
  table.add(sample_posterior, {.name = "sample_posterior",
                               .help = "Draw the VAE's latent from its distribution instead of taking its mean"});
}

D3AD_INLINE void MapSettings::describe(OptionTable& table) {
  table.group("Anomaly map", Stage::mix);
  table.add(
      lambda,
      {.name = "lambda", .help = "Weight of the latent map; the feature map has the rest", .least = 0, .most = 1});
  describe_blur(table);
  table.stage(Stage::map);
  table.add(layers, {.name = "map_layers",
                     .help = "Layers of the feature extractor that the feature map compares, with commas between",
                     .least = 1,
                     .most = 3});
}

D3AD_INLINE void MapSettings::describe_blur(OptionTable& table) {
  table.group("Anomaly map", Stage::mix);
  table.add(sigma, {.name = "sigma",
                    .help = "Standard deviation of the map's Gaussian blur",
                    .most = 100,
                    .above = 0,
                    .unit = "pixels"});
}

D3AD_INLINE void ThresholdSettings::describe(OptionTable& table) {
  table.group("Threshold", Stage::threshold);
  table.add(false_alarm_rate, {.name = "false_alarm_rate",
                               .help = "Target false-alarm rate: the fraction of good images flagged as faulty",
                               .least = 0,
                               .below = 1});
}

D3AD_INLINE void Settings::describe(OptionTable& table) {
  data.describe(table, of_d3ad());
  if (of_d3ad()) {
    unet.describe(table);
    training.describe(table);
    adaptation.describe(table);
    conditioning.describe(table);
    denoising.describe(table);
    map.describe(table);
  } else {
    own.describe(table);
    map.describe_blur(table);
  }
  threshold.describe(table);
  table.group("General", Stage::train);
  table.add(seed, {.name = "seed", .help = "Seed of everything that is random"});
  if (!needs_vae() && !needs_extractor()) return;
  table.stage(Stage::detect);
  table.add(weights, {.name = "weights",
                      .help = "Type in which detection keeps the networks' weights; bfloat16 halves their memory, is "
                              "slower and rounds",
                      .words = {"float", "bfloat16"}});
}

D3AD_INLINE Settings Settings::paper() {
  Settings s;
  s.preset = "paper";
  options_of(s).set_paper();
  return s;
}
D3AD_INLINE Settings Settings::named(const std::string& preset) {
  if (preset == "small") return small();
  if (preset == "paper") return paper();
  fail("preset '", preset, "' is not known; expected small or paper");
}
D3AD_INLINE Settings Settings::of_method(const std::string& method, const std::string& preset) {
  if (method == "d3ad") return named(preset);
  Settings s;
  s.method = method, s.own = method_info(method).settings;
  s.preset = named(preset).preset;
  if (preset == "paper") options_of(s).set_paper();
  return s;
}

D3AD_INLINE void Settings::check() const {
  auto copy = *this;  // a table refers to what can be changed
  options_of(copy).check();
  if (!of_d3ad()) return;
  D3AD_CHECK((training.iterations > 0) != (training.epochs > 0),
             "one of iterations and epochs has to be more than 0 and the other 0; they are ", training.iterations,
             " and ", training.epochs);
  D3AD_CHECK(training.batch % training.accumulate == 0, "accumulate is ", training.accumulate,
             ", which does not divide the batch of ", training.batch);
}

D3AD_INLINE const std::list<DescribedSettings>& described_settings() {
  static const auto all = [] {
    std::vector<std::string> names{"d3ad"};
    for (const auto& name : method_names())
      if (name != "d3ad") names.push_back(name);
    std::list<DescribedSettings> made;  // descriptions refer to settings, which do not move in a list
    for (const auto& name : names) {
      auto& one = made.emplace_back(DescribedSettings{name, Settings::of_method(name), {}});
      one.options = options_of(one.defaults);
    }
    return made;
  }();
  return all;
}

D3AD_INLINE const Option* find_described(const std::string& name) {
  for (const auto& one : described_settings())
    if (const auto* found = one.options.find(name)) return found;
  return nullptr;
}

}  // namespace d3ad
