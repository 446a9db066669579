#pragma once
// Stable Diffusion's AutoencoderKL at any size, under diffusers' names (new and old spelling of the attention).
//
//   VaeConfig c;                                   // the published one: 128-256-512-512, 2 layers a block, 4 channels
//   Vae<Cpu> vae({store, source}, c);
//   auto moments = vae.encode(run, x);   // x [n, 8h, 8w, 3] in [-1, 1] -> [n, h, w, 2 * 4]: mean, log-variance
//   auto image = vae.decode(run, z);     // z [n, h, w, 4], unscaled -> [n, 8h, 8w, 3], not clamped
//
// Downsampling pads right and bottom by one. The factor 0.18215 between z and the diffusion's latent is the caller's
// (models/autoencoder.hpp).

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "d3ad/core/compiled.hpp"
#include "d3ad/nn/attention.hpp"
#include "d3ad/nn/res_block.hpp"

namespace d3ad {

struct VaeConfig {
  std::vector<int> block_out_channels{128, 256, 512, 512};
  int layers_per_block = 2;
  int latent_channels = 4;
  int norm_groups = 32;
  float scaling_factor = 0.18215f;

  void check() const {
    D3AD_CHECK(!block_out_channels.empty() && block_out_channels.size() <= 8, "VAE: ", block_out_channels.size(),
               " blocks, expected 1 to 8");
    D3AD_CHECK(norm_groups >= 1 && layers_per_block >= 1 && layers_per_block <= 16 && latent_channels >= 1 &&
                   latent_channels <= 1024,
               "VAE: ", layers_per_block, " layers a block, ", latent_channels, " latent channels, ", norm_groups,
               " groups are not a sensible configuration");
    for (const int c : block_out_channels)
      D3AD_CHECK(c >= 1 && c <= 8192 && c % norm_groups == 0, "VAE: ", c, " channels do not split into ", norm_groups,
                 " groups");
    D3AD_CHECK(scaling_factor > 0 && scaling_factor < 1e6f, "VAE: scaling factor ", scaling_factor, " is not positive");
  }
  int reduction() const { return 1 << (static_cast<int>(block_out_channels.size()) - 1); }
};

void to_json(nlohmann::json& j, const VaeConfig& c);
void from_json(const nlohmann::json& j, VaeConfig& c);

namespace nn {

// mid_block: residual block, attention, residual block.
template <class Device>
class VaeMiddle {
 public:
  VaeMiddle(const Params<Device>& p, int channels, int groups);

  template <class Run>
  fn::ValueOf<Run> operator()(Run& run, fn::ValueOf<Run> x) const;

 private:
  VaeResBlock<Device> first_;
  VaeAttention<Device> attention_;
  VaeResBlock<Device> second_;
};

template <class Device>
class VaeEncoder {
 public:
  VaeEncoder(const Params<Device>& p, const VaeConfig& c);

  template <class Run>
  fn::ValueOf<Run> operator()(Run& run, fn::ValueOf<Run> x) const;

 private:
  struct Level {
    std::vector<VaeResBlock<Device>> resnets;
    std::optional<Conv2d<Device>> downsampler;
  };
  Conv2d<Device> conv_in_;
  std::vector<Level> levels_;
  std::optional<VaeMiddle<Device>> middle_;
  std::optional<GroupNorm<Device>> norm_out_;
  std::optional<Conv2d<Device>> conv_out_;
};

template <class Device>
class VaeDecoder {
 public:
  VaeDecoder(const Params<Device>& p, const VaeConfig& c);

  template <class Run>
  fn::ValueOf<Run> operator()(Run& run, fn::ValueOf<Run> z) const;

 private:
  struct Level {
    std::vector<VaeResBlock<Device>> resnets;
    std::optional<Conv2d<Device>> upsampler;
  };
  Conv2d<Device> conv_in_;
  VaeMiddle<Device> middle_;
  std::vector<Level> levels_;
  std::optional<GroupNorm<Device>> norm_out_;
  std::optional<Conv2d<Device>> conv_out_;
};

}  // namespace nn

template <class Device>
class Vae {
 public:
  Vae(const Params<Device>& p, VaeConfig config);

  const VaeConfig& config() const { return config_; }

  // x [n, h, w, 3] in [-1, 1], h and w multiples of reduction()  ->  moments [n, h/8, w/8, 2 * latent_channels]
  template <class Run>
  fn::ValueOf<Run> encode(Run& run, fn::ValueOf<Run> x) const;

  // z [n, h, w, latent_channels], unscaled  ->  image [n, 8h, 8w, 3] about [-1, 1]
  template <class Run>
  fn::ValueOf<Run> decode(Run& run, fn::ValueOf<Run> z) const;

 private:
  VaeConfig config_;
  nn::VaeEncoder<Device> encoder_;
  nn::Conv2d<Device> quant_conv_, post_quant_conv_;
  nn::VaeDecoder<Device> decoder_;
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/models/vae-inl.hpp"
#endif
