#pragma once
// One face for both autoencoders: images to the latents the diffusion works on, and back.
//
//   Autoencoder<Cpu> vae(params, config_json);         // {"architecture": "tae", ...} or AutoencoderKL's config
//   vae.set_latent_scale(1 / std);                     // the tiny one's; 0.18215 is the big one's own
//   auto z = vae.encode(ctx, x);                       // the posterior's mean, scaled
//   auto y = vae.decode(ctx, z);
//
// x, y [n, h, w, 3] in [-1, 1] (y not clamped); z [n, h/8, w/8, latent_channels()].

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <variant>

#include "d3ad/models/tiny_vae.hpp"
#include "d3ad/models/vae.hpp"

namespace d3ad {

template <class Device>
class Autoencoder {
 public:
  Autoencoder(const Params<Device>& params, const nlohmann::json& config) : net_(make(params, config)) {
    if (const auto* big = std::get_if<Vae<Device>>(&net_)) latent_scale_ = big->config().scaling_factor;
  }

  nlohmann::json config() const {
    return std::visit([](const auto& net) { return nlohmann::json(net.config()); }, net_);
  }
  // Whether the latent scale is the network's own, and not to be measured on training latents.
  bool has_own_scale() const { return std::holds_alternative<Vae<Device>>(net_); }
  float latent_scale() const { return latent_scale_; }
  void set_latent_scale(float scale) {
    D3AD_CHECK(scale > 0 && scale < 1e30f, "autoencoder: a latent scale of ", scale, " is not positive and finite");
    latent_scale_ = scale;
  }
  int latent_channels() const {
    return std::visit([](const auto& net) { return net.config().latent_channels; }, net_);
  }
  int reduction() const {
    return std::visit([](const auto& net) { return net.config().reduction(); }, net_);
  }

  // The scaled latent; `noise` (of z's shape) draws from the posterior where there is one, empty takes its mean.
  template <class Run>
  fn::ValueOf<Run> encode(Run& run, fn::ValueOf<Run> x, fn::ValueOf<Run> noise = {}) const {
    if (const auto* tiny = std::get_if<TinyVae<Device>>(&net_))
      return fn::scale(run, tiny->encode(run, std::move(x)), latent_scale_);
    auto moments = std::get<Vae<Device>>(net_).encode(run, std::move(x));
    return fn::scale(run, fn::posterior(run, std::move(moments), std::move(noise)), latent_scale_);
  }

  template <class Run>
  fn::ValueOf<Run> decode(Run& run, fn::ValueOf<Run> z) const {
    z = fn::scale(run, std::move(z), 1.0f / latent_scale_);
    return std::visit([&](const auto& net) { return net.decode(run, std::move(z)); }, net_);
  }

 private:
  using Net = std::variant<TinyVae<Device>, Vae<Device>>;
  static Net make(const Params<Device>& params, const nlohmann::json& config) {
    if (config.value("architecture", "") == "tae") return TinyVae<Device>(params, config.get<TinyVaeConfig>());
    return Vae<Device>(params, config.get<VaeConfig>());
  }

  Net net_;
  float latent_scale_ = 1.0f;
};

}  // namespace d3ad
