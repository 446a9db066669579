#pragma once
// The models of an ablation: the one it starts from, and those that points ask for whose options enter before
// detection, made from it stage by stage in a work folder and kept there.
//
//   AblationModels<Cpu> models(ctx, "model", "out/work", dataset, events);
//   std::filesystem::path folder = models.folder(point);        trains, adapts and calibrates what is not there yet
//
// If a stage's options are the model's own, so is its result. Other settings of training, or another VAE: d3ad train
// with these and the model's own otherwise. Another extractor or gamma: d3ad adapt. Another T_max, k ...: d3ad
// calibrate. Files that a stage does not write are hard links, so that a network is on disk once.

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "d3ad/ablation/grid.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/pipeline/train.hpp"

namespace d3ad {

template <class Device>
class AblationModels {
 public:
  AblationModels(Context<Device>& ctx, std::filesystem::path model, std::filesystem::path work, const Dataset& dataset,
                 TrainEvents events);

  const ModelConfig& config() const { return config_; }

  // Refuses points whose files are not there or are no such network, before anything is computed.
  void check(const std::vector<AblationPoint>& points);

  // What points have in common whose results up to a stage are the same; texts that order as points should follow each
  // other.
  std::string key(const AblationPoint& point, Stage upto);

  // Whether the point's options of this stage are others than the model's.
  bool changes(const AblationPoint& point, Stage stage);
  // The first stage that has to be repeated; detect at the latest.
  Stage changed(const AblationPoint& point);

  // What the point changes of the model up to a stage, as JSON: {"eta2":4.0,"lambda":0.5}. Networks by their checksums.
  std::string difference(const AblationPoint& point, Stage upto = Stage::mix);

  // Where the model of a stage that the point changes lies or will lie.
  std::filesystem::path place(const AblationPoint& point, Stage stage);

  // The finished model of a point.
  std::filesystem::path folder(const AblationPoint& point);

 private:
  // The checksum of the point's network, which has to be one of its kind.
  std::string vae_of(const AblationPoint& p);
  std::string extractor_of(const AblationPoint& p);
  template <class Compute>
  const std::string& checksum(const std::string& path, Compute&& compute);

  // The model's settings, with the point's up to a stage.
  Settings settings(const AblationPoint& point, Stage upto) const;

  TrainRequest request(const AblationPoint& point, Stage stage, const std::filesystem::path& to) const;

  void train(const AblationPoint& point, const std::filesystem::path& to);

  // d3ad adapt or calibrate on a copy of the model at `from`, which is at `to` when it is finished.
  void later(const AblationPoint& point, Stage stage, const std::filesystem::path& from,
             const std::filesystem::path& to);

  Context<Device>& ctx_;
  std::filesystem::path model_, work_;
  TrainEvents events_;
  ModelConfig config_;
  std::vector<std::filesystem::path> good_;
  std::string category_;
  std::map<std::string, std::string> checksums_;
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/ablation/ablate_models-inl.hpp"
#endif
