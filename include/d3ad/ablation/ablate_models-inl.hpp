#pragma once
// Definitions of ablation/ablate_models.hpp. Included by it unless they are compiled.

#include <nlohmann/json.hpp>

#include "d3ad/ablation/ablate_models.hpp"
#include "d3ad/models/recognise.hpp"

namespace d3ad {

template <class Device>
AblationModels<Device>::AblationModels(Context<Device>& ctx, std::filesystem::path model, std::filesystem::path work,
                                       const Dataset& dataset, TrainEvents events)
    : ctx_(ctx), model_(std::move(model)), work_(std::move(work)), events_(std::move(events)) {
  config_ = ModelFolder(model_).read();
  for (const auto& s : dataset.train) good_.push_back(std::filesystem::absolute(s.image));
  category_ = dataset.category;
}

template <class Device>
void AblationModels<Device>::check(const std::vector<AblationPoint>& points) {
  for (const auto& p : points) {
    vae_of(p), extractor_of(p);
    if (changed(p) == Stage::detect) continue;
    D3AD_CHECK(!good_.empty(), "the grid needs training, adaptation or calibration, and '", category_,
               "' has no good images to learn from");
    const bool needed = changes(p, Stage::train) || (changes(p, Stage::adapt) && p.extractor.empty());
    if (!needed || !config_.settings.needs_extractor()) continue;
    const std::filesystem::path source = config_.extractor_source;
    D3AD_CHECK(std::filesystem::exists(source), "the extractor '", source.string(),
               "' this model was trained with is not there any more; the grid's training or adaptation starts from it");
    const auto found = checksum(source.string(), [&] { return checkpoint_sha256(Checkpoint(source)); });
    D3AD_CHECK(found == config_.extractor_source_sha256, "'", source.string(),
               "' is not the extractor this model was trained with (another checksum)");
  }
}

template <class Device>
std::string AblationModels<Device>::key(const AblationPoint& point, Stage upto) {
  nlohmann::json json = {{"vae", vae_of(point)}};
  if (upto >= Stage::adapt) json["extractor"] = extractor_of(point);
  const nlohmann::json settings = flat_settings(point.settings);
  for (const auto& item : settings.items())
    if (stage_of(item.key()) <= upto) json[item.key()] = item.value();
  return json.dump();
}

template <class Device>
bool AblationModels<Device>::changes(const AblationPoint& point, Stage stage) {
  if (stage == Stage::train && vae_of(point) != config_.vae_sha256) return true;
  if (stage == Stage::adapt && extractor_of(point) != config_.extractor_source_sha256) return true;
  const nlohmann::json own = flat_settings(config_.settings), wanted = flat_settings(point.settings);
  for (const auto& item : own.items())
    if (stage_of(item.key()) == stage && wanted.at(item.key()) != item.value()) return true;
  return false;
}

template <class Device>
Stage AblationModels<Device>::changed(const AblationPoint& point) {
  for (const Stage s : {Stage::train, Stage::adapt, Stage::calibrate})
    if (changes(point, s)) return s;
  return Stage::detect;
}

template <class Device>
std::string AblationModels<Device>::difference(const AblationPoint& point, Stage upto) {
  nlohmann::json json = nlohmann::json::object();
  const nlohmann::json own = flat_settings(config_.settings), wanted = flat_settings(point.settings);
  for (const auto& item : own.items())
    if (stage_of(item.key()) <= upto && wanted.at(item.key()) != item.value()) json[item.key()] = wanted.at(item.key());
  if (vae_of(point) != config_.vae_sha256) json["vae"] = vae_of(point);
  if (upto >= Stage::adapt && extractor_of(point) != config_.extractor_source_sha256)
    json["extractor"] = extractor_of(point);
  return json.dump();
}

template <class Device>
std::filesystem::path AblationModels<Device>::place(const AblationPoint& point, Stage stage) {
  Sha256 hash;
  hash.update(key(point, stage));
  const char* name = stage == Stage::train ? "train-" : stage == Stage::adapt ? "adapt-" : "calibrate-";
  return work_ / (name + hash.hex().substr(0, 12));
}

template <class Device>
std::filesystem::path AblationModels<Device>::folder(const AblationPoint& point) {
  auto at = model_;
  if (changes(point, Stage::train)) {
    const auto to = place(point, Stage::train);
    if (!ModelFolder(to).finished()) train(point, to);
    at = to;
  }
  for (const Stage stage : {Stage::adapt, Stage::calibrate}) {
    if (!changes(point, stage)) continue;
    const auto to = place(point, stage);
    if (!ModelFolder(to).finished()) later(point, stage, at, to);
    at = to;
  }
  return at;
}

template <class Device>
std::string AblationModels<Device>::vae_of(const AblationPoint& p) {
  if (p.vae.empty()) return config_.vae_sha256;
  return checksum(p.vae, [&] {
    const Checkpoint file(autoencoder_weights(p.vae));
    const auto kind = recognise(file, autoencoder_config(p.vae)).kind;
    D3AD_CHECK(kind == NetworkKind::vae || kind == NetworkKind::tiny_vae, "grid: vae: '", p.vae, "' holds no ",
               "autoencoder that is known here");
    return checkpoint_sha256(file);
  });
}

template <class Device>
std::string AblationModels<Device>::extractor_of(const AblationPoint& p) {
  if (p.extractor.empty()) return config_.extractor_source_sha256;
  return checksum(p.extractor, [&] {
    const Checkpoint file(p.extractor);
    D3AD_CHECK(recognise(file).kind == NetworkKind::resnet, "grid: extractor: '", p.extractor, "' holds no ResNet");
    return checkpoint_sha256(file);
  });
}

template <class Device>
template <class Compute>
const std::string& AblationModels<Device>::checksum(const std::string& path, Compute&& compute) {
  const auto at = checksums_.find(path);
  return at != checksums_.end() ? at->second : checksums_.emplace(path, compute()).first->second;
}

template <class Device>
Settings AblationModels<Device>::settings(const AblationPoint& point, Stage upto) const {
  Settings out = config_.settings;
  take_options(out, point.settings, [upto](const Option& option) { return option.stage() <= upto; });
  out.preset = point.settings.preset;
  return out;
}

template <class Device>
TrainRequest AblationModels<Device>::request(const AblationPoint& point, Stage stage,
                                             const std::filesystem::path& to) const {
  TrainRequest r;
  r.category = category_, r.good = good_, r.model = to, r.settings = settings(point, stage);
  return r;
}

template <class Device>
void AblationModels<Device>::train(const AblationPoint& point, const std::filesystem::path& to) {
  auto r = request(point, Stage::train, to);
  const bool copied = !config_.vae_path.is_absolute();
  r.vae = !point.vae.empty() ? std::filesystem::path(point.vae) : copied ? model_ / config_.vae_path : config_.vae_path;
  r.copy_vae = copied && point.vae.empty();
  r.extractor = config_.extractor_source;
  events_.note(concat("training for ", difference(point, Stage::train), " in '", to.string(),
                      "', which takes as long as the model's own training"));
  Trainer<Device>(ctx_, std::move(r), events_).run();
}

template <class Device>
void AblationModels<Device>::later(const AblationPoint& point, Stage stage, const std::filesystem::path& from,
                                   const std::filesystem::path& to) {
  namespace fs = std::filesystem;
  auto unfinished = to;
  unfinished += ".part";
  std::error_code error;
  fs::remove_all(unfinished, error);
  create_folders(unfinished);
  auto config = ModelFolder(from).read();
  std::vector<std::string> names{"vae.safetensors", "loss.csv", "loss.png"};
  for (const auto& [name, checksum] : config.sha256) names.push_back(name);
  for (const auto& name : names) {
    if (!fs::exists(from / name)) continue;
    // Not of a symbolic link: what replaces that one would replace the file behind it.
    fs::create_hard_link(fs::canonical(from / name), unfinished / name, error);
    if (error) fs::copy_file(from / name, unfinished / name, error);
    if (error) detail::fail_system("cannot write", unfinished / name, error.value());
  }
  if (stage == Stage::adapt && !point.extractor.empty()) {
    config.extractor_source = fs::absolute(point.extractor).string();
    config.extractor_source_sha256 = extractor_of(point);
  }
  ModelFolder(unfinished).write(config);
  {
    Trainer<Device> trainer(ctx_, request(point, stage, unfinished), events_);
    stage == Stage::adapt ? trainer.adapt() : trainer.calibrate();
  }
  fs::rename(unfinished, to, error);
  if (error) detail::fail_system("cannot rename", unfinished, error.value());
}

}  // namespace d3ad
