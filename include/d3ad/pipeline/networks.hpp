#pragma once
// Networks with their weights, from files.
//
//   auto vae = load_autoencoder<Cpu>("vae/");              // a diffusers folder, or one safetensors file
//   auto extractor = load_extractor<Cpu>("resnet18.safetensors");
//   vae.net->encode(ctx, x);
//
// A loaded network owns its parameters (store) and says where it came from (path, SHA-256 of the weights).

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "d3ad/core/sha256.hpp"
#include "d3ad/models/autoencoder.hpp"
#include "d3ad/models/recognise.hpp"
#include "d3ad/weights/source.hpp"

namespace d3ad {

// The checksum of a file's bytes.
inline std::string file_sha256(const std::filesystem::path& path) {
  const MappedFile file(path);
  Sha256 hash;
  hash.update(file.bytes());
  return hash.hex();
}

template <class Net, class Device>
struct Loaded {
  std::unique_ptr<ParameterStore<Device>> store;
  std::unique_ptr<Net> net;
  std::filesystem::path path;
  std::string sha256;

  Net& operator*() const { return *net; }
  Net* operator->() const { return net.get(); }
};

namespace detail {

template <class Net, class Device, class Config>
Loaded<Net, Device> load(const std::filesystem::path& path, std::shared_ptr<const SafetensorsFile> file,
                         const Config& config) {
  Loaded<Net, Device> out{std::make_unique<ParameterStore<Device>>(), nullptr, path, file_sha256(file->path())};
  FileSource source(std::move(file));
  out.net = std::make_unique<Net>(Params<Device>(*out.store, source), config);
  // What this use of the network does not need may stay unread: a classifier's layer4 and fc.
  source.check_all_read([](const std::string& name) { return name.starts_with("layer4.") || name.starts_with("fc."); });
  return out;
}

inline nlohmann::json parse_json_file(const std::filesystem::path& path) {
  auto json = nlohmann::json::parse(read_file(path, 1 << 24), nullptr, false);
  D3AD_CHECK(!json.is_discarded(), "'", path.string(), "' is not valid JSON");
  return json;
}

}  // namespace detail

// Where the weights of an autoencoder lie: the file itself, or the one in a diffusers folder.
inline std::filesystem::path autoencoder_weights(const std::filesystem::path& path) {
  return std::filesystem::is_directory(path) ? path / "diffusion_pytorch_model.safetensors" : path;
}

template <class Device>
Loaded<Autoencoder<Device>, Device> load_autoencoder(const std::filesystem::path& path) {
  const auto file = std::make_shared<const SafetensorsFile>(autoencoder_weights(path));
  const Recognised found = recognise(*file);
  D3AD_CHECK(found.kind == NetworkKind::vae || found.kind == NetworkKind::tiny_vae, "'", file->path(), "' holds ",
             found.kind == NetworkKind::unknown ? "no network that is known here" : name(found.kind),
             ", expected an AutoencoderKL or a tiny autoencoder");
  nlohmann::json config = found.config;
  if (found.kind == NetworkKind::vae && std::filesystem::is_directory(path)) {
    const auto given = detail::parse_json_file(path / "config.json");
    D3AD_CHECK(given.is_object(), "'", (path / "config.json").string(), "' is not a JSON object");
    for (const char* key : {"norm_num_groups", "scaling_factor"})
      if (given.contains(key) && given[key].is_number()) config[key] = given[key];
  }
  return detail::load<Autoencoder<Device>, Device>(path, file, config);
}

template <class Device>
Loaded<ResNet<Device>, Device> load_extractor(const std::filesystem::path& path) {
  const auto file = std::make_shared<const SafetensorsFile>(path);
  const Recognised found = recognise(*file);
  D3AD_CHECK(found.kind == NetworkKind::resnet, "'", file->path(), "' holds ",
             found.kind == NetworkKind::unknown ? "no network that is known here" : name(found.kind),
             ", expected a ResNet");
  auto config = found.config.get<ResNetConfig>();
  config.classes = 0;
  return detail::load<ResNet<Device>, Device>(path, file, config);
}

template <class Device>
Loaded<UNet<Device>, Device> load_unet(const std::filesystem::path& path, const UNetConfig& config) {
  const auto file = std::make_shared<const SafetensorsFile>(path);
  return detail::load<UNet<Device>, Device>(path, file, config);
}

}  // namespace d3ad
