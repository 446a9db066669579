#pragma once
// The tiny autoencoder (TAESD family): a flat sequence of convolutions, 1/8 size, no posterior.
//
//   TinyVae<Cpu> vae({store, source}, {.latent_channels = 32, .midblock_group_norm = true});
//   auto z = vae.encode(run, x);       // x [n, 8h, 8w, 3] in [-1, 1]  ->  [n, h, w, latent_channels]
//   auto y = vae.decode(run, z);       // and back, not clamped
//
// Steps are numbered as in the file: every step counts, activations and upsamplings too, so encoder.0 ... encoder.14
// and decoder.1 ... decoder.19. The network itself works on images in [0, 1]; encode and decode convert.

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "d3ad/core/compiled.hpp"
#include "d3ad/nn/layers.hpp"

namespace d3ad {

struct TinyVaeConfig {
  int latent_channels = 4;
  bool midblock_group_norm = false;  // the six blocks at the lowest resolution have a pool branch
  int width = 64;

  static constexpr int reduction() { return 8; }
  void check() const {
    D3AD_CHECK(latent_channels >= 1 && latent_channels <= 1024 && width >= 1 && width <= 4096,
               "tiny VAE: ", latent_channels, " latent channels and width ", width,
               " are not a sensible configuration");
  }
};

void to_json(nlohmann::json& j, const TinyVaeConfig& c);
void from_json(const nlohmann::json& j, TinyVaeConfig& c);

namespace nn {

// x += pool(x) if there is a pool branch, then relu(conv(x) + x); names conv.{0,2,4}, pool.{0,1,3}.
template <class Device>
class TinyBlock {
 public:
  TinyBlock(const Params<Device>& p, int width, bool pool);

  template <class Run>
  fn::ValueOf<Run> operator()(Run& run, fn::ValueOf<Run> x) const;

 private:
  static typename Conv2d<Device>::Config conv(int width) { return {.in = width, .out = width, .kernel = 3, .pad = 1}; }
  struct Pool {
    Conv2d<Device> widen;
    GroupNorm<Device> norm;
    Conv2d<Device> narrow;
  };
  Conv2d<Device> conv0_, conv2_, conv4_;
  std::optional<Pool> pool_;
};

}  // namespace nn

template <class Device>
class TinyVae {
 public:
  TinyVae(const Params<Device>& p, TinyVaeConfig config);

  const TinyVaeConfig& config() const { return config_; }

  template <class Run>
  fn::ValueOf<Run> encode(Run& run, fn::ValueOf<Run> x) const;

  template <class Run>
  fn::ValueOf<Run> decode(Run& run, fn::ValueOf<Run> z) const;

 private:
  using Conv = typename nn::Conv2d<Device>::Config;
  TinyVaeConfig config_;
  std::optional<nn::Conv2d<Device>> encoder_in_, encoder_out_, decoder_in_, decoder_out_;
  std::vector<nn::TinyBlock<Device>> encoder_blocks_, decoder_blocks_;
  std::vector<nn::Conv2d<Device>> downs_, ups_;
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/models/tiny_vae-inl.hpp"
#endif
