#pragma once
// Training: from a folder of good images to a finished model folder, in stages that can be stopped and resumed.
//
//   Trainer<Cpu> trainer(ctx, request, events);
//   trainer.run();                 // all stages; throws Interrupted after saving when events.stop() says so
//
//   1 encode     latents of the good images, once, kept in work/latents.safetensors
//   2 train      the UNet (diffusion/unet_trainer.hpp), checkpoint in work/
//   3 adapt      the feature extractor, gamma epochs (anomaly/adapt.hpp)
//   4 condition  features of the good images and the bins of their distances
//   5 calibrate  ranges of the maps and the threshold, on good images that were held back from all of the above
//
// DataSettings::held_back is the share of them; which ones depends on the seed and the number of images. With 0 all images
// take part in everything, and the threshold comes from images that were learned from: too low where they are few.
//
// With DataSettings::tile images are cut in tiles (data/tile.hpp), and what is said of images holds for tiles: each has
// a latent, features, a T̂. Images are held back as a whole, and their tiles' maps are stitched before they calibrate.
//
// Several processes (a Group) share the work: encoding by images, steps of the UNet by the images of a batch (see
// unet_trainer.hpp), reconstructions for adaptation, conditioning and calibration by batches. All but the UNet is
// computed as by one process, bit for bit. Rank 0 alone reads checkpoints, writes files and reports.
//
// adapt() and calibrate() run the later stages alone on a model whose earlier ones are done. Every file is replaced
// atomically; config.json comes last.

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/anomaly/adapt.hpp"
#include "d3ad/anomaly/calibration.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/data/dataset.hpp"
#include "d3ad/data/good_images.hpp"
#include "d3ad/data/image_loader.hpp"
#include "d3ad/data/table.hpp"
#include "d3ad/diffusion/unet_trainer.hpp"
#include "d3ad/methods/d3ad/method.hpp"
#include "d3ad/methods/tile_analysis.hpp"
#include "d3ad/model/latents.hpp"
#include "d3ad/model/model_folder.hpp"
#include "d3ad/parallel/group.hpp"
#include "d3ad/parallel/packet.hpp"
#include "d3ad/pipeline/training_log.hpp"

namespace d3ad {

// What a caller hears while it waits, and how it stops the work.
struct TrainEvents {
  // stage: "encode", "train", ...; done of total; text: the loss, say. Called often.
  std::function<void(const char* stage, std::int64_t done, std::int64_t total, const std::string& text)> progress =
      [](const char*, std::int64_t, std::int64_t, const std::string&) {};
  std::function<void(const std::string&)> note = [](const std::string&) {};  // a sentence for the user
  std::function<bool()> stop = [] { return false; };
};

struct TrainRequest {
  std::string category;
  std::vector<std::filesystem::path> good;  // images
  std::filesystem::path vae, extractor, model;
  Settings settings;
  bool copy_vae = false;
  double checkpoint_seconds = 60;
};

template <class Device>
class Trainer {
 public:
  Trainer(Context<Device>& ctx, TrainRequest request, TrainEvents events, Group& group = Group::alone());

  // All stages.
  void run();

  // Stage 3 to 5 on a finished model, starting again from the extractor it was trained with.
  void adapt();

  // Stages 4 and 5 on a finished model.
  void calibrate();

 private:
  using V = Value<float, Device>;
  // In this order of names TensorBoard reads them.
  static constexpr const char *kUNetEvents = "events.out.tfevents.1.unet",
                              *kAdaptEvents = "events.out.tfevents.2.adapt";
  static constexpr int kBatch = 8;  // images or tiles computed together after the UNet's training
  const Settings& settings() const { return request_.settings; }
  const Tiling& tiling() const { return good_->tiling(); }
  Method<Device> method() const { return {*vae_, *unet_, *extractor_, schedule_, request_.settings}; }

  // All processes stop where one of them is asked to.
  void stop_here(const char* stage) const { stop_here(stage, group_.any(events_.stop())); }
  void stop_here(const char* stage, bool now) const;

  void open_networks();

  // The networks of a finished model; its settings hold except where the request's are for later stages.
  void reopen();

  // ---- 1: latents ----

  // What the latents depend on: the VAE, the images' bytes and how they are read. Rank 0's.
  std::string latents_key() const;

  Latents encode();

  std::filesystem::path latents_path() const { return folder_ / "work" / "latents.safetensors"; }
  // Latents of an earlier run, if there are the same; only their shape is known yet.
  bool read_latents(Latents& out);
  // Rank 0's latents and their scale for all.
  void share(Latents& latents);

  // ---- 2: the UNet ----

  UNetTrainerOptions trainer_options() const;

  // What a checkpoint belongs to: all that the training of the UNet depends on.
  std::string training_key(const Latents& latents) const;

  void train_unet(const Latents& latents);

  void resume(UNetTrainer<Device>& trainer, const std::filesystem::path& path, const std::string& key,
              TrainingLog& log);

  // ---- 3: domain adaptation ----

  void adapt_extractor();

  // Values of the device on their way between processes.
  static void put(parallel::Packet& packet, const V& x);
  V get(parallel::PacketReader& reader, Shape shape) const;

  // The learned pieces in the order of an epoch of adaptation.
  std::vector<GoodImages::Piece> adapt_order(std::int64_t epoch) const;

  // ---- 4 and 5: conditioning, calibration, and the model is finished ----

  // Calls visit(packet, first, n) for `total` images or pieces in batches, and read(reader) with what it packed, in the
  // order of the batches. Processes take turns; `everywhere`: all read, else rank 0 only.
  template <class Visit, class Read>
  void each_batch(const char* stage, std::size_t total, std::int64_t batch, bool everywhere, Visit&& visit,
                  Read&& read);

  void finish();

  void write_model(const ImplicitConditioning& conditioning, const std::vector<anomaly::MapPair>& maps);

  void write_config();

  Context<Device>& ctx_;
  Group& group_;
  TrainRequest request_;
  std::optional<GoodImages> good_;
  TrainEvents events_;
  ModelFolder folder_;
  FolderLock lock_;
  Schedule schedule_;
  Loaded<Autoencoder<Device>, Device> vae_;
  Loaded<ResNet<Device>, Device> extractor_;
  Loaded<UNet<Device>, Device> unet_;
  std::filesystem::path extractor_source_;
  std::string extractor_sha256_, latents_key_;
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/pipeline/train-inl.hpp"
#endif
