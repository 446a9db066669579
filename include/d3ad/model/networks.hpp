#pragma once
// Networks with their weights, from files.
//
//   auto vae = load_autoencoder<Cpu>("vae/");              // a diffusers folder or pipeline, a shard index, a file
//   auto extractor = load_extractor<Cpu>("resnet18.safetensors");
//   vae.net->encode(ctx, x);
//
// A loaded network owns its parameters (store) and says where it came from (path, SHA-256 of the weights).

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>

#include "d3ad/core/compiled.hpp"
#include "d3ad/models/autoencoder.hpp"
#include "d3ad/models/resnet.hpp"
#include "d3ad/models/unet.hpp"
#include "d3ad/weights/checkpoint.hpp"
#include "d3ad/weights/parameters.hpp"

namespace d3ad {

// The checksum of a file's bytes.
std::string file_sha256(const std::filesystem::path& path);

// The same of a checkpoint: of shards, over their checksums in the order of their names.
std::string checkpoint_sha256(const Checkpoint& checkpoint);

// What detection needs nothing of: a classifier's layer4 and fc, and what training an autoencoder leaves beside it.
inline bool may_stay_unread(const std::string& name) {
  return name.starts_with("layer4.") || name.starts_with("fc.") || name.starts_with("loss.") ||
         name.starts_with("model_ema.");
}

template <class Net, class Device>
struct Loaded {
  std::unique_ptr<ParameterStore<Device>> store;
  std::unique_ptr<Net> net;
  std::filesystem::path path;
  std::string sha256;
  bool whole_file = true;  // the weights and their configuration are one file, and nothing else is in it

  Net& operator*() const { return *net; }
  Net* operator->() const { return net.get(); }
};

namespace detail {

nlohmann::json parse_json_file(const std::filesystem::path& path);

}  // namespace detail

// Where the weights of an autoencoder lie: the file itself, or the one in a diffusers folder, which may be a whole
// pipeline's. Half precision is taken if there is nothing else.
std::filesystem::path autoencoder_weights(const std::filesystem::path& path);

// What a diffusers folder says beside the weights, with no shape to tell it: groups and scale. Nothing of a file alone.
nlohmann::json autoencoder_config(const std::filesystem::path& path);

// Throw a sentence that names the file if it holds another network, or not all of one.
template <class Device>
Loaded<Autoencoder<Device>, Device> load_autoencoder(const std::filesystem::path& path);
template <class Device>
Loaded<ResNet<Device>, Device> load_extractor(const std::filesystem::path& path);
template <class Device>
Loaded<UNet<Device>, Device> load_unet(const std::filesystem::path& path, const UNetConfig& config);

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/model/networks-inl.hpp"
#endif
