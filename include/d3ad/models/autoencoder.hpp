#pragma once
// One interface for both autoencoders: images to the latents of the diffusion, and back.
//
//   Autoencoder<Cpu> vae(params, config_json);         // {"architecture": "tae", ...} or AutoencoderKL's config
//   vae.set_latent_scale(1 / std);                     // the tiny one's; 0.18215 is the big one's own
//   auto z = vae.encode(ctx, x);                       // the posterior's mean, scaled
//   auto y = vae.decode(ctx, z);
//
// x, y [n, h, w, 3] in [-1, 1] (y not clamped); z [n, h/8, w/8, latent_channels()].

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <variant>

#include "d3ad/core/compiled.hpp"
#include "d3ad/models/tiny_vae.hpp"
#include "d3ad/models/vae.hpp"

namespace d3ad {

template <class Device>
class Autoencoder {
 public:
  Autoencoder(const Params<Device>& params, const nlohmann::json& config);

  nlohmann::json config() const;
  // Whether the latent scale is the network's own, and not to be measured on training latents.
  bool has_own_scale() const { return std::holds_alternative<Vae<Device>>(net_); }
  float latent_scale() const { return latent_scale_; }
  void set_latent_scale(float scale);
  int latent_channels() const;
  int reduction() const;

  // The scaled latent. `noise` (of z's shape) draws from the posterior if there is one; empty noise takes its mean.
  template <class Run>
  fn::ValueOf<Run> encode(Run& run, fn::ValueOf<Run> x, fn::ValueOf<Run> noise = {}) const;

  template <class Run>
  fn::ValueOf<Run> decode(Run& run, fn::ValueOf<Run> z) const;

 private:
  using Net = std::variant<TinyVae<Device>, Vae<Device>>;
  static Net make(const Params<Device>& params, const nlohmann::json& config);

  Net net_;
  float latent_scale_ = 1.0f;
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/models/autoencoder-inl.hpp"
#endif
