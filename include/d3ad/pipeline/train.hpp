#pragma once
// Training: from a folder of good images to a finished model folder, in stages that can be stopped and resumed.
//
//   Trainer<Cpu> trainer(ctx, request, events);
//   trainer.run();                 // all stages; throws Interrupted after saving when events.stop() says so
//
// A method (Settings::method) learns in its own stages (D3AD: encode, train, adapt, condition; methods/d3ad/learner.hpp).
// The last one is the same for all:
//
//   calibrate  ranges of the maps and the threshold, on good images that were held back from all of the above
//
// DataSettings::held_back is the share of them; which ones depends on the seed and the number of images. With 0 all
// images take part in everything, and the threshold comes from images that were learned from: too low if they are few.
//
// With DataSettings::tile images are cut in tiles (data/tile.hpp), and what is said of images holds for tiles. Images
// are held back as a whole, and their tiles' maps are stitched before they calibrate.
//
// Several processes (a Group) share the work. Rank 0 alone reads checkpoints, writes files and reports.
//
// adapt() and calibrate() run the later stages alone on a model whose earlier ones are done. Every file is replaced
// atomically; config.json comes last.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/anomaly/calibration.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/data/dataset.hpp"
#include "d3ad/data/good_images.hpp"
#include "d3ad/methods/learners.hpp"
#include "d3ad/methods/tiles.hpp"
#include "d3ad/model/model_folder.hpp"
#include "d3ad/parallel/group.hpp"
#include "d3ad/parallel/packet.hpp"

namespace d3ad {

template <class Device>
class Trainer {
 public:
  Trainer(Context<Device>& ctx, TrainRequest request, TrainEvents events, Group& group = Group::alone());

  // All stages.
  void run();

  // Domain adaptation and what follows on a finished model, starting again from the extractor it was trained with.
  void adapt();

  // The stages after it on a finished model.
  void calibrate();

 private:
  const Settings& settings() const { return request_.settings; }
  const Tiling& tiling() const { return good_->tiling(); }
  Learning<Device> learning() { return {ctx_, group_, request_, events_, *good_, folder_}; }

  void open_networks();

  // The networks of a finished model; its settings hold except if the request's are for later stages.
  // What the stages before `before` have learned is read.
  void reopen(Stage before);

  // The method learns, then it is calibrated and the model is finished.
  void learn(Stage from);
  std::vector<anomaly::RawMaps> held_back_maps();
  void write_model(const std::vector<anomaly::RawMaps>& maps);

  void write_config();
  // And copies the VAE if that was asked for.
  void describe_vae(ModelConfig& config) const;

  Context<Device>& ctx_;
  Group& group_;
  TrainRequest request_;
  std::optional<GoodImages> good_;
  TrainEvents events_;
  ModelFolder folder_;
  FolderLock lock_;
  std::shared_ptr<PretrainedNetworks<Device>> networks_;
  std::unique_ptr<Method<Device>> method_;
  std::filesystem::path extractor_source_;
  std::string extractor_sha256_;
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/pipeline/train-inl.hpp"
#endif
