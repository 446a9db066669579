#pragma once
// Definitions of models/autoencoder.hpp: the autoencoder, computed and read from weights. Included by it unless they are compiled.

#include <nlohmann/json.hpp>

#include "d3ad/models/autoencoder.hpp"

namespace d3ad {

template <class Device>
Autoencoder<Device>::Autoencoder(const Params<Device>& params, const nlohmann::json& config)
    : net_(make(params, config)) {
  if (const auto* big = std::get_if<Vae<Device>>(&net_)) latent_scale_ = big->config().scaling_factor;
}

template <class Device>
nlohmann::json Autoencoder<Device>::config() const {
  return std::visit([](const auto& net) { return nlohmann::json(net.config()); }, net_);
}

template <class Device>
void Autoencoder<Device>::set_latent_scale(float scale) {
  D3AD_CHECK(scale > 0 && scale < 1e30f, "autoencoder: a latent scale of ", scale, " is not positive and finite");
  latent_scale_ = scale;
}

template <class Device>
int Autoencoder<Device>::latent_channels() const {
  return std::visit([](const auto& net) { return net.config().latent_channels; }, net_);
}

template <class Device>
int Autoencoder<Device>::reduction() const {
  return std::visit([](const auto& net) { return net.config().reduction(); }, net_);
}

template <class Device>
template <class Run>
fn::ValueOf<Run> Autoencoder<Device>::encode(Run& run, fn::ValueOf<Run> x, fn::ValueOf<Run> noise) const {
  if (const auto* tiny = std::get_if<TinyVae<Device>>(&net_))
    return fn::scale(run, tiny->encode(run, std::move(x)), latent_scale_);
  auto moments = std::get<Vae<Device>>(net_).encode(run, std::move(x));
  return fn::scale(run, fn::posterior(run, std::move(moments), std::move(noise)), latent_scale_);
}

template <class Device>
template <class Run>
fn::ValueOf<Run> Autoencoder<Device>::decode(Run& run, fn::ValueOf<Run> z) const {
  z = fn::scale(run, std::move(z), 1.0f / latent_scale_);
  return std::visit([&](const auto& net) { return net.decode(run, std::move(z)); }, net_);
}

template <class Device>
typename Autoencoder<Device>::Net Autoencoder<Device>::make(const Params<Device>& params,
                                                            const nlohmann::json& config) {
  if (config.value("architecture", "") == "tae") return TinyVae<Device>(params, config.get<TinyVaeConfig>());
  return Vae<Device>(params, config.get<VaeConfig>());
}

}  // namespace d3ad
