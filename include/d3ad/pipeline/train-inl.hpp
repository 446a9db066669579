#pragma once
// Definitions of pipeline/train.hpp. Included by it unless they are compiled.

#include <nlohmann/json.hpp>

#include "d3ad/model/settings_json.hpp"
#include "d3ad/pipeline/train.hpp"

namespace d3ad {

template <class Device>
Trainer<Device>::Trainer(Context<Device>& ctx, TrainRequest request, TrainEvents events, Group& group)
    : ctx_(ctx), group_(group), request_(std::move(request)), events_(std::move(events)), folder_(request_.model) {
  request_.settings.check();
  D3AD_CHECK(!request_.good.empty(), "training: there are no good images");
  group_.agree(nlohmann::json(request_.settings).dump(), "settings");
  std::string images;
  for (const auto& path : request_.good) images += path.string() + '\n';
  group_.agree(images, "good images");
  good_.emplace(request_.good,
                GoodImages::Options{d3ad::tiling(settings()), settings().data.held_back, settings().seed});
  if (!group_.first()) return;
  if (tiling().on()) events_.note(good_->tiles_text());
  create_folders(folder_ / "work");
  lock_ = FolderLock(folder_.path(), {"work"});
}

template <class Device>
void Trainer<Device>::run() {
  open_networks();
  learn(Stage::train);
}

template <class Device>
void Trainer<Device>::adapt() {
  D3AD_CHECK(method_info(settings().method).adapts, "the method '", settings().method, "' adapts no extractor");
  reopen(Stage::adapt);
  D3AD_CHECK(std::filesystem::exists(extractor_source_), "the extractor '", extractor_source_.string(),
             "' this model was trained with is not there any more; adaptation starts from it");
  networks_->extractor = load_extractor<Device>(extractor_source_);
  D3AD_CHECK(networks_->extractor.sha256 == extractor_sha256_, "'", extractor_source_.string(),
             "' is not the extractor this model was trained with (another checksum)");
  learn(Stage::adapt);
}

template <class Device>
void Trainer<Device>::calibrate() {
  reopen(Stage::calibrate);
  if (method_->info().needs_extractor) networks_->extractor = load_extractor<Device>(folder_ / "extractor.safetensors");
  learn(Stage::calibrate);
}

template <class Device>
void Trainer<Device>::open_networks() {
  networks_ = std::make_shared<PretrainedNetworks<Device>>();
  method_ = make_method<Device>(settings().method, networks_, settings());
  const MethodInfo& info = method_->info();
  if (info.needs_vae) {
    networks_->vae = load_autoencoder<Device>(request_.vae);
    networks_->vae.store->freeze();
  }
  if (info.needs_extractor) {
    networks_->extractor = load_extractor<Device>(request_.extractor);
    extractor_source_ = request_.extractor;
    extractor_sha256_ = networks_->extractor.sha256;
  }
  group_.agree(concat(networks_->vae.sha256, ' ', networks_->extractor.sha256), "networks to start from");
}

template <class Device>
void Trainer<Device>::reopen(Stage before) {
  const auto config = folder_.read();
  D3AD_CHECK(config.settings.method == settings().method, "model '", folder_.path().string(), "' is of the method ",
             config.settings.method, ", the settings are of ", settings().method);
  networks_ = std::make_shared<PretrainedNetworks<Device>>();
  method_ = make_method<Device>(settings().method, networks_, settings());
  const MethodInfo& info = method_->info();
  if (config.unet) folder_.check_file(config, "unet.safetensors");
  const auto trained_from = config.training_images + config.held_back_images;
  const auto now = static_cast<int>(request_.good.size());
  if (now != trained_from)
    events_.note(concat("there are ", now, " good images, the model was trained from ", trained_from,
                        "; which are held back is drawn anew, and may be ones it learned from"));
  if (info.needs_vae) {
    networks_->vae = folder_.template load_vae<Device>(config);
    networks_->vae.store->freeze();
    request_.vae = config.vae_path.is_absolute() ? config.vae_path : folder_.path() / config.vae_path;
    request_.copy_vae = !config.vae_path.is_absolute();
  }
  extractor_source_ = config.extractor_source;
  extractor_sha256_ = config.extractor_source_sha256;
  method_->load(ctx_, folder_, config, before);
  group_.barrier();  // rank 0 writes into this folder
}

template <class Device>
void Trainer<Device>::learn(Stage from) {
  auto learning = this->learning();
  d3ad::learn(*method_, learning, from);
  const MethodInfo& info = method_->info();
  if (info.needs_extractor) {
    networks_->extractor.store->freeze();
    if (from <= Stage::adapt && !info.adapts && group_.first())
      save_parameters(*networks_->extractor.store, folder_ / "extractor.safetensors",
                      {{"config", nlohmann::json(networks_->extractor->config()).dump()}});
  }
  const auto maps = held_back_maps();
  if (group_.first()) write_model(maps);
  group_.barrier();  // when one process is done, so is the model
}

template <class Device>
std::vector<anomaly::RawMaps> Trainer<Device>::held_back_maps() {
  const auto learning = this->learning();
  std::vector<anomaly::RawMaps> maps;
  const bool none_held = good_->held().empty();
  const auto& paths = none_held ? good_->learned() : good_->held();
  learning.each_batch(
      "calibrate", paths.size(), tiling().on() ? 1 : kLearningBatch, Learning<Device>::Readers::first,
      [&](parallel::Packet& packet, std::int64_t first, std::int64_t n) {
        // A good image must not find itself among the good ones, or it would seem nearer than a new image.
        BatchPlace place{.first = static_cast<std::uint64_t>(first), .left_out = none_held ? first : -1};
        if (tiling().on()) {
          const Frame frame = tiling().frame(read_image(paths[static_cast<std::size_t>(first)]));
          place.first *= static_cast<std::uint64_t>(kMostTiles);
          if (none_held) place.left_out = good_->first_piece(first);
          const TileGrid grid = tiling().grid(frame.width, frame.height);
          anomaly::put(packet,
                       analyse_tiles(ctx_, *method_, frame, grid, {.batch = kLearningBatch, .place = place}).raw);
          return;
        }
        const auto found = method_->analyse(ctx_, good_->load(ctx_, paths, first, n), place);
        for (const auto& raw : raw_maps(*method_, found, found.maps)) anomaly::put(packet, raw);
      },
      [&](parallel::PacketReader& reader) { maps.push_back(anomaly::get_raw_maps(reader)); });
  return maps;
}

template <class Device>
void Trainer<Device>::write_model(const std::vector<anomaly::RawMaps>& maps) {
  const MethodInfo& info = method_->info();
  const auto calibration =
      anomaly::calibrate(maps,
                         {.maps = info.maps,
                          .lambda = settings().of_d3ad() ? static_cast<float>(settings().map.lambda) : 1.0f,
                          .sigma = static_cast<float>(settings().map.sigma),
                          .false_alarm_rate = static_cast<float>(settings().threshold.false_alarm_rate)},
                         [&](const anomaly::RawMaps& raw, const anomaly::Ranges& ranges) {
                           return score_of(info, raw, map_of(ctx_, *method_, raw, ranges));
                         });
  method_->save(folder_);
  folder_.write_calibration(calibration);
  write_config();
}

template <class Device>
void Trainer<Device>::write_config() {
  ModelConfig config;
  config.category = request_.category;
  config.training_images = static_cast<int>(good_->learned().size());
  config.held_back_images = static_cast<int>(good_->held().size());
  config.settings = settings();
  method_->describe(config);
  const MethodInfo& info = method_->info();
  for (const auto& name : info.files) config.sha256[name] = file_sha256(folder_ / name);
  if (info.needs_extractor) {
    config.extractor = networks_->extractor->config();
    config.extractor_source = std::filesystem::absolute(extractor_source_).string();
    config.extractor_source_sha256 = extractor_sha256_;
    config.sha256["extractor.safetensors"] = file_sha256(folder_ / "extractor.safetensors");
  }
  config.sha256["calibration.json"] = file_sha256(folder_ / "calibration.json");
  if (info.needs_vae) describe_vae(config);
  folder_.write(config);
}

template <class Device>
void Trainer<Device>::describe_vae(ModelConfig& config) const {
  const auto& vae = networks_->vae;
  config.vae = vae->config().dump();
  config.vae_sha256 = vae.sha256;
  config.latent_scale = vae->latent_scale();
  if (request_.copy_vae) {
    const auto weights = autoencoder_weights(request_.vae);
    if (!vae.whole_file) {  // out of shards, a folder or among other networks: a file of another checksum
      const auto plain = load_autoencoder<Device>(request_.vae);  // the one in use is packed by now
      save_parameters(*plain.store, folder_ / "vae.safetensors", {{"config", plain->config().dump()}});
      config.vae_sha256 = file_sha256(folder_ / "vae.safetensors");
    } else if (!std::filesystem::equivalent(weights.parent_path().empty() ? "." : weights.parent_path(),
                                            folder_.path())) {
      const MappedFile file(weights);
      write_atomically(folder_ / "vae.safetensors", file.bytes());
    }
    config.vae_path = "vae.safetensors";
  } else {
    config.vae_path = std::filesystem::absolute(request_.vae);
  }
}

}  // namespace d3ad
