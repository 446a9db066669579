#pragma once
// Settings: every number a training or a detection depends on, with its JSON form.
//
//   Settings s = Settings::small();            // learns on two cores in minutes; Settings::paper() is the paper's
//   s.eta2 = 7;
//   s.check();                                 // throws a sentence where a value makes no sense
//   nlohmann::json j = s;  s = j.get<Settings>();
//
// The names are the command line's (without dashes) and METHOD's symbols. A model keeps the settings it was made with.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "d3ad/core/check.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/data/tile.hpp"

namespace d3ad {

struct Settings {
  std::string preset = "small";

  // Data and networks
  int image_size = 256;
  int tile = 0;                // side of the tiles that images are cut in, pixels of the image; 0: whole images
  double tile_overlap = 0.25;  // share of a tile's side that lies over the next one
  int base = 32;               // UNet
  std::vector<int> multipliers{1, 2, 2};
  int res_blocks = 1;
  std::vector<int> attention{2, 4};  // downsampling factors
  int heads = 4;
  std::string augment = "none";  // none, flip (left-right), dihedral (8 turns and mirrors)
  double held_back = 0.2;        // share of the good images that only ranges and threshold are learned from

  // Training of the UNet
  int iterations = 3000;  // of one batch each; 0: epochs decides
  int epochs = 0;
  int batch = 16;
  double learning_rate = 2e-4;
  double weight_decay = 0.01;
  double ema = 0.999;          // 0: none. Used from step t as min(ema, (1 + t) / (10 + t))
  int warmup = 0;              // steps of linear warm-up
  bool cosine_decay = false;   // to zero at the end
  double clip = 0;             // largest norm of the gradient, 0: none
  int accumulate = 1;          // micro-batches a step
  bool checkpointing = false;  // recompute activations in backward
  std::uint64_t seed = 0;

  // Domain adaptation
  int gamma = 0;  // epochs
  double adapt_learning_rate = 1e-4;

  // Implicit conditioning
  int k = 20;
  int bins = 10;
  int T_max = 400;      // the paper's is 80; why not here: bench/README.md
  bool dynamic = true;  // false: T_max for every image

  // Scaling and denoising
  int steps = 10;
  double eta = 0;                 // DDIM
  double eta2 = 0;                // guidance; the paper's is 4
  double omega = 0;               // 0: noiseless scaling, 1: ordinary noising
  bool sample_posterior = false;  // draw the VAE's latent instead of taking its mean

  // Map and score
  double lambda = 0.85;
  double sigma = 4;
  std::vector<int> map_layers{2, 3};
  int dic_layer = 2;
  double false_alarm_rate = 0.05;  // that the threshold aims at on nominal images

  std::string weights = "float";  // how a detector keeps the networks' weights: float or bfloat16

  static Settings small() { return {}; }
  static Settings paper() {
    Settings s;
    s.preset = "paper";
    s.base = 192;
    s.multipliers = {1, 2, 2, 4, 4};
    s.res_blocks = 2;
    s.attention = {1, 2, 4, 8};
    s.heads = 8;
    s.iterations = 0;
    s.epochs = 300;
    s.batch = 30;
    s.learning_rate = 1e-4;
    s.ema = 0;
    s.T_max = 80;
    s.eta2 = 4;
    s.held_back = 0;  // the paper learns from all images; it has no threshold
    return s;
  }
  static Settings named(const std::string& preset) {
    if (preset == "small") return small();
    if (preset == "paper") return paper();
    fail("preset '", preset, "' is not known; expected small or paper");
  }

  void check() const {
    const auto positive = [](const char* what, double value, double most) {
      D3AD_CHECK(value > 0 && value <= most, what, " is ", value, ", expected more than 0 and at most ", most);
    };
    const auto fraction = [](const char* what, double value) {
      D3AD_CHECK(value >= 0 && value <= 1, what, " is ", value, ", expected 0 to 1");
    };
    D3AD_CHECK(image_size >= 64 && image_size <= 2048 && image_size % 32 == 0, "image_size is ", image_size,
               ", expected a multiple of 32 from 64 to 2048");
    D3AD_CHECK(tile == 0 || (tile >= 32 && tile <= 16384), "tile is ", tile,
               ", expected 0 (whole images) or 32 to 16384 pixels");
    D3AD_CHECK(tile_overlap >= 0 && tile_overlap <= 0.75, "tile_overlap is ", tile_overlap, ", expected 0 to 0.75");
    D3AD_CHECK(iterations >= 0 && epochs >= 0 && (iterations > 0) != (epochs > 0),
               "one of iterations and epochs has to be more than 0 and the other 0; they are ", iterations, " and ",
               epochs);
    positive("batch", batch, 4096);
    positive("learning_rate", learning_rate, 1);
    positive("adapt_learning_rate", adapt_learning_rate, 1);
    fraction("weight_decay", weight_decay);
    D3AD_CHECK(ema >= 0 && ema < 1, "ema is ", ema, ", expected 0 (none) to below 1");
    D3AD_CHECK(warmup >= 0, "warmup is ", warmup, ", expected 0 or more steps");
    D3AD_CHECK(clip >= 0, "clip is ", clip, ", expected 0 (none) or more");
    positive("accumulate", accumulate, 4096);
    D3AD_CHECK(batch % accumulate == 0, "accumulate is ", accumulate, ", which does not divide the batch of ", batch);
    D3AD_CHECK(gamma >= 0 && gamma <= 100, "gamma is ", gamma, ", expected 0 to 100 epochs");
    positive("k", k, 1e6);
    D3AD_CHECK(bins >= 2 && bins <= 1000, "bins is ", bins, ", expected 2 to 1000");
    D3AD_CHECK(T_max >= 10 && T_max <= 1000, "T_max is ", T_max, ", expected 10 to 1000");
    D3AD_CHECK(steps >= 1 && steps <= 1000, "steps is ", steps, ", expected 1 to 1000");
    D3AD_CHECK(eta >= 0 && eta <= 1, "eta is ", eta, ", expected 0 to 1");
    D3AD_CHECK(eta2 >= 0 && eta2 <= 1000, "eta2 is ", eta2, ", expected 0 to 1000");
    fraction("omega", omega);
    fraction("lambda", lambda);
    positive("sigma", sigma, 100);
    D3AD_CHECK(!map_layers.empty(), "map_layers is empty, expected one or more of 1, 2, 3");
    for (const int layer : map_layers)
      D3AD_CHECK(layer >= 1 && layer <= 3, "map_layers holds ", layer, ", expected 1, 2 or 3");
    D3AD_CHECK(dic_layer >= 1 && dic_layer <= 3, "dic_layer is ", dic_layer, ", expected 1, 2 or 3");
    D3AD_CHECK(false_alarm_rate >= 0 && false_alarm_rate < 1, "false_alarm_rate is ", false_alarm_rate,
               ", expected 0 to below 1");
    D3AD_CHECK(augment == "none" || augment == "flip" || augment == "dihedral", "augment is '", augment,
               "', expected none, flip or dihedral");
    D3AD_CHECK(held_back >= 0 && held_back <= 0.9, "held_back is ", held_back, ", expected 0 (none) to 0.9");
    D3AD_CHECK(weights == "float" || weights == "bfloat16", "weights is '", weights, "', expected float or bfloat16");
  }
};

void to_json(nlohmann::json& j, const Settings& s);
void from_json(const nlohmann::json& j, Settings& s);

// How images are cut under these settings.
inline Tiling tiling(const Settings& s) { return Tiling(s.image_size, s.tile, s.tile_overlap); }

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/model/settings-inl.hpp"
#endif
