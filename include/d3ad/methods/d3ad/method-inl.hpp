#pragma once
// Definitions of methods/d3ad/method.hpp. Included by it unless they are compiled.

#include "d3ad/methods/d3ad/method.hpp"

namespace d3ad {

template <class Device>
MethodInfo D3adMethod<Device>::info() {
  return {.name = "d3ad",
          .title = "D3AD",
          .help = "repairs the image's latent by diffusion, perturbed by its distance to the good images",
          .needs_vae = true,
          .needs_extractor = true,
          .reconstructs = true,
          .adapts = true,
          .maps = {"latent", "feature"},
          .files = {"unet.safetensors", "dic.safetensors"},
          .attributes = {{.name = "T_hat",
                          .label = "T",
                          .title = "T̂",
                          .caption = "Perturbation T̂ by distance to the good images",
                          .whole = true,
                          .brief = true},
                         {.name = "distance", .label = "distance", .title = "distance", .decides = true},
                         {.name = "bin", .label = "bin", .title = "bin", .whole = true, .listed = false}}};
}

template <class Device>
void D3adMethod<Device>::save(const ModelFolder& folder) const {
  folder.write_conditioning(conditioning());
}

template <class Device>
void D3adMethod<Device>::load(Context<Device>& ctx, const ModelFolder& folder, const ModelConfig& config,
                              Stage before) {
  if (before <= Stage::train) return;
  D3AD_CHECK(config.unet, "'", (folder / "config.json").string(), "' says nothing of a UNet, which d3ad needs");
  learned_->unet = load_unet<Device>(folder / "unet.safetensors", *config.unet);
  const auto& networks = this->networks();
  D3AD_CHECK(learned_->unet->config().channels == networks.vae->latent_channels(), "model '", folder.path().string(),
             "': its UNet denoises ", learned_->unet->config().channels, " channels, its VAE makes ",
             networks.vae->latent_channels());
  if (before < Stage::detect) return;
  learned_->good.emplace(folder.read_conditioning(ctx.threads()));
  learned_->at_work = true;
}

template <class Device>
MethodOutput<Device> D3adMethod<Device>::analyse(Context<Device>& ctx, V x, BatchPlace place) {
  const auto& good = *learned_->good;
  auto seen = algorithm().analyse(ctx, std::move(x), place.left_out >= 0 ? good.leaving_out(place.left_out) : good,
                                  place.first);
  MethodOutput<Device> out;
  out.maps.push_back(std::move(seen.latent_map));
  out.maps.push_back(std::move(seen.feature_map));
  out.reconstruction = std::move(seen.repaired);
  out.measured = std::move(seen.conditioning.distance);
  return out;
}

template <class Device>
Value<float, Device> D3adMethod<Device>::anomaly_map(Context<Device>& ctx, const std::vector<V>& maps,
                                                     const anomaly::Ranges& ranges) {
  D3AD_CHECK(maps.size() == 2, "d3ad: ", maps.size(), " raw maps, expected a latent and a feature map");
  const auto& map = this->settings().map;
  return anomaly::combine(ctx, maps[0], maps[1], ranges, static_cast<float>(map.lambda), static_cast<float>(map.sigma));
}

template <class Device>
std::vector<std::vector<float>> D3adMethod<Device>::attributes(const std::vector<float>& measured, std::size_t) const {
  std::vector<std::vector<float>> out;
  for (const Conditioning& c : algorithm().chosen(conditioning(), measured))
    out.push_back({static_cast<float>(c.T_hat), c.distance, static_cast<float>(c.bin)});
  return out;
}

template <class Device>
std::vector<std::vector<float>> D3adMethod<Device>::learned_attributes() const {
  const auto& distances = conditioning().state().distances;
  return attributes(distances, distances.size());
}

template <class Device>
std::unique_ptr<Method<Device>> D3adMethod<Device>::with(const Settings& settings) const {
  auto other = std::make_unique<D3adMethod>(*this);
  other->set_settings(settings);
  return other;
}

template <class Device>
std::vector<Value<float, Device>> D3adMethod<Device>::compare_again(Context<Device>& ctx, V x,
                                                                    const MethodOutput<Device>& found) {
  return {found.maps[0], algorithm().feature_difference(ctx, x, found.reconstruction)};
}

}  // namespace d3ad
