#pragma once
// How D3AD learns from good images, in stages that can be stopped and resumed:
//
//   D3adLearner<Cpu> learner(learning, settings, networks, unet, schedule);
//   learner.learn(Stage::train);            // encode, train, adapt; Stage::adapt: adapt alone
//   auto good = learner.condition();
//
//   encode     latents of the good images, once, kept in work/latents.safetensors
//   train      the UNet (diffusion/unet_trainer.hpp), checkpoint in work/
//   adapt      the feature extractor, gamma epochs (anomaly/adapt.hpp)
//   condition  features of the good images and the bins of their distances
//
// Several processes share the work: encoding by images, steps of the UNet by the images of a batch, reconstructions for
// adaptation and conditioning by batches. All but the UNet is computed as by one process, bit for bit. Rank 0 alone
// reads checkpoints, writes files and reports.

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/anomaly/adapt.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/data/image_loader.hpp"
#include "d3ad/data/table.hpp"
#include "d3ad/diffusion/unet_trainer.hpp"
#include "d3ad/methods/d3ad/method.hpp"
#include "d3ad/methods/learning.hpp"
#include "d3ad/methods/training_log.hpp"
#include "d3ad/model/latents.hpp"

namespace d3ad {

template <class Device>
class D3adLearner {
 public:
  // networks: the extractor is fine-tuned in place. unet: made here at Stage::train, else the trained one.
  D3adLearner(Learning<Device>& learning, const Settings& settings, PretrainedNetworks<Device>& networks,
              Loaded<UNet<Device>, Device>& unet, const Schedule& schedule)
      : l_(learning), settings_(settings), networks_(networks), unet_(unet), schedule_(schedule) {}

  void learn(Stage from);
  ImplicitConditioning condition();

 private:
  using V = Value<float, Device>;
  // In this order of names TensorBoard reads them.
  static constexpr const char *kUNetEvents = "events.out.tfevents.1.unet",
                              *kAdaptEvents = "events.out.tfevents.2.adapt";
  const Settings& settings() const { return settings_; }
  D3adAlgorithm<Device> algorithm() const {
    return {*networks_.vae, *unet_, *networks_.extractor, schedule_, settings_};
  }

  void make_unet();

  // ---- latents ----

  // What the latents depend on: the VAE, the images' bytes and how they are read. Rank 0's.
  std::string latents_key() const;

  Latents encode();

  std::filesystem::path latents_path() const { return l_.folder / "work" / "latents.safetensors"; }
  // Latents of an earlier run, if there are the same; only their shape is known yet.
  bool read_latents(Latents& out);
  // Rank 0's latents and their scale for all.
  void share(Latents& latents);

  // ---- the UNet ----

  UNetTrainerOptions trainer_options() const;

  // What a checkpoint belongs to: all that the training of the UNet depends on.
  std::string training_key(const Latents& latents) const;

  void train_unet(const Latents& latents);

  void resume(UNetTrainer<Device>& trainer, const std::filesystem::path& path, const std::string& key,
              TrainingLog& log);

  // ---- domain adaptation ----

  void adapt_extractor();

  // Values of the device on their way between processes.
  static void put(parallel::Packet& packet, const V& x);
  V get(parallel::PacketReader& reader, Shape shape) const;

  // The learned pieces in the order of an epoch of adaptation.
  std::vector<GoodImages::Piece> adapt_order(std::int64_t epoch) const;

  Learning<Device>& l_;
  const Settings& settings_;
  PretrainedNetworks<Device>& networks_;
  Loaded<UNet<Device>, Device>& unet_;
  const Schedule& schedule_;
  std::string latents_key_;
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/methods/d3ad/learner-inl.hpp"
#endif
