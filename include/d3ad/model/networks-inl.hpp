#pragma once
// Definitions of model/networks.hpp. Included by it unless they are compiled.

#include <nlohmann/json.hpp>

#include "d3ad/core/sha256.hpp"
#include "d3ad/model/networks.hpp"
#include "d3ad/models/recognise.hpp"
#include "d3ad/weights/source.hpp"

namespace d3ad {

D3AD_INLINE std::string file_sha256(const std::filesystem::path& path) {
  const MappedFile file(path);
  Sha256 hash;
  hash.update(file.bytes());
  return hash.hex();
}

D3AD_INLINE std::string checkpoint_sha256(const Checkpoint& checkpoint) {
  if (checkpoint.files().size() == 1) return file_sha256(checkpoint.files()[0].path());
  Sha256 hash;
  for (const SafetensorsFile& file : checkpoint.files()) hash.update(file_sha256(file.path()));
  return hash.hex();
}

}  // namespace d3ad

namespace d3ad::detail {

template <class Net, class Device, class Config>
Loaded<Net, Device> load(const std::filesystem::path& path, std::shared_ptr<const Checkpoint> file,
                         const std::string& prefix, const Config& config) {
  Loaded<Net, Device> out{std::make_unique<ParameterStore<Device>>(), nullptr, path, checkpoint_sha256(*file),
                          file->files().size() == 1 && prefix.empty()};
  FileSource source(std::move(file), prefix);
  source.note_missing();
  out.net = std::make_unique<Net>(Params<Device>(*out.store, source), config);
  source.check_all_read(may_stay_unread);
  return out;
}

// For a sentence: what a file holds that was to hold something else.
inline std::string contents(const Checkpoint& file, NetworkKind kind) {
  if (kind == NetworkKind::consistency_decoder)
    return concat(name(kind), ", which is not supported; take the VAE whose latents it decodes, Stable Diffusion's");
  if (kind != NetworkKind::unknown) return name(kind);
  const auto names = file.names();
  return concat("no network that is known here (", names.size(), " tensors",
                names.empty() ? "" : concat(", the first is '", printable(names[0]), "'"), ")");
}

D3AD_INLINE nlohmann::json parse_json_file(const std::filesystem::path& path) {
  auto json = nlohmann::json::parse(read_file(path, 1 << 24), nullptr, false);
  D3AD_CHECK(!json.is_discarded(), "'", path.string(), "' is not valid JSON");
  return json;
}

}  // namespace d3ad::detail

namespace d3ad {

D3AD_INLINE std::filesystem::path autoencoder_weights(const std::filesystem::path& path) {
  namespace fs = std::filesystem;
  if (!fs::is_directory(path)) return path;
  const fs::path folder = fs::exists(path / "model_index.json") ? path / "vae" : path;
  for (const char* name : {"diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.safetensors.index.json",
                           "diffusion_pytorch_model.fp16.safetensors"})
    if (fs::exists(folder / name)) return folder / name;
  const bool pickled = fs::exists(folder / "diffusion_pytorch_model.bin");
  fail("'", folder.string(), "' has no diffusion_pytorch_model.safetensors",
       pickled ? "; convert its diffusion_pytorch_model.bin with weights_tools first"
               : "; give a diffusers folder, a whole pipeline's, or a safetensors file");
}

D3AD_INLINE nlohmann::json autoencoder_config(const std::filesystem::path& path) {
  const auto weights = autoencoder_weights(path);
  const auto json = weights.parent_path() / "config.json";
  const bool described = std::filesystem::is_directory(path) || Checkpoint::is_index(weights);
  if (!described || !std::filesystem::exists(json)) return nlohmann::json::object();
  const auto given = detail::parse_json_file(json);
  D3AD_CHECK(given.is_object(), "'", json.string(), "' is not a JSON object");
  const bool shifted =
      given.contains("shift_factor") && given["shift_factor"].is_number() && given["shift_factor"].get<double>() != 0;
  D3AD_CHECK(!shifted, "'", json.string(), "' has a shift_factor; autoencoders with one are not supported, take ",
             "Stable Diffusion 1's or 2's");
  auto out = nlohmann::json::object();
  for (const char* key : {"norm_num_groups", "scaling_factor"})
    if (given.contains(key) && given[key].is_number()) out[key] = given[key];
  return out;
}

template <class Device>
Loaded<Autoencoder<Device>, Device> load_autoencoder(const std::filesystem::path& path) {
  const auto file = std::make_shared<const Checkpoint>(autoencoder_weights(path));
  const nlohmann::json beside = autoencoder_config(path);
  const Recognised found = recognise(*file, beside);
  D3AD_CHECK(found.kind == NetworkKind::vae || found.kind == NetworkKind::tiny_vae, "'", file->path(), "' holds ",
             detail::contents(*file, found.kind), "; expected an AutoencoderKL or a tiny autoencoder (TAESD)");
  auto out = detail::load<Autoencoder<Device>, Device>(path, file, found.prefix, found.config);
  out.whole_file = out.whole_file && beside.empty();
  return out;
}

template <class Device>
Loaded<ResNet<Device>, Device> load_extractor(const std::filesystem::path& path) {
  const auto file = std::make_shared<const Checkpoint>(path);
  const Recognised found = recognise(*file);
  D3AD_CHECK(found.kind == NetworkKind::resnet, "'", file->path(), "' holds ", detail::contents(*file, found.kind),
             "; expected a ResNet-18, 34, 50, 101 or Wide-ResNet-50-2, 101-2 of torchvision or timm");
  auto config = found.config.get<ResNetConfig>();
  config.classes = 0;
  return detail::load<ResNet<Device>, Device>(path, file, found.prefix, config);
}

template <class Device>
Loaded<UNet<Device>, Device> load_unet(const std::filesystem::path& path, const UNetConfig& config) {
  const auto file = std::make_shared<const Checkpoint>(path);
  return detail::load<UNet<Device>, Device>(path, file, "", config);
}

}  // namespace d3ad
