// A model's folder, its settings, and its networks on the CPU.

#include "d3ad/model/latents-inl.hpp"
#include "d3ad/model/model_folder-inl.hpp"
#include "d3ad/model/networks-inl.hpp"
#include "d3ad/model/option-inl.hpp"
#include "d3ad/model/option_json-inl.hpp"
#include "d3ad/model/settings-inl.hpp"
#include "d3ad/model/settings_json-inl.hpp"

namespace d3ad {

template Loaded<Autoencoder<Cpu>, Cpu> load_autoencoder(const std::filesystem::path&);
template Loaded<ResNet<Cpu>, Cpu> load_extractor(const std::filesystem::path&);
template Loaded<UNet<Cpu>, Cpu> load_unet(const std::filesystem::path&, const UNetConfig&);
template Loaded<Autoencoder<Cpu>, Cpu> ModelFolder::load_vae(const ModelConfig&) const;

}  // namespace d3ad
