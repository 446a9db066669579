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

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

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

inline void to_json(nlohmann::json& j, const VaeConfig& c) {
  j = {{"block_out_channels", c.block_out_channels},
       {"layers_per_block", c.layers_per_block},
       {"latent_channels", c.latent_channels},
       {"norm_num_groups", c.norm_groups},
       {"scaling_factor", c.scaling_factor}};
}
inline void from_json(const nlohmann::json& j, VaeConfig& c) {
  c.block_out_channels = j.at("block_out_channels").get<std::vector<int>>();
  c.layers_per_block = j.at("layers_per_block").get<int>();
  c.latent_channels = j.at("latent_channels").get<int>();
  c.norm_groups = j.value("norm_num_groups", c.norm_groups);
  c.scaling_factor = j.value("scaling_factor", c.scaling_factor);
  c.check();
}

namespace nn {

// mid_block: residual block, attention, residual block.
template <class Device>
class VaeMiddle {
 public:
  VaeMiddle(const Params<Device>& p, int channels, int groups)
      : first_(p / "resnets" / 0, channels, channels, groups),
        attention_(p / "attentions" / 0, channels, groups),
        second_(p / "resnets" / 1, channels, channels, groups) {}

  template <class Run>
  fn::ValueOf<Run> operator()(Run& run, fn::ValueOf<Run> x) const {
    return second_(run, attention_(run, first_(run, std::move(x))));
  }

 private:
  VaeResBlock<Device> first_;
  VaeAttention<Device> attention_;
  VaeResBlock<Device> second_;
};

template <class Device>
class VaeEncoder {
 public:
  VaeEncoder(const Params<Device>& p, const VaeConfig& c)
      : conv_in_(p / "conv_in", {.in = 3, .out = c.block_out_channels[0], .kernel = 3, .pad = 1}) {
    int ch = c.block_out_channels[0];
    for (std::size_t b = 0; b < c.block_out_channels.size(); ++b) {
      const auto block = p / "down_blocks" / static_cast<int>(b);
      Level level;
      for (int i = 0; i < c.layers_per_block; ++i) {
        level.resnets.emplace_back(block / "resnets" / i, ch, c.block_out_channels[b], c.norm_groups);
        ch = c.block_out_channels[b];
      }
      if (b + 1 < c.block_out_channels.size())
        level.downsampler.emplace(
            block / "downsamplers" / 0 / "conv",
            typename Conv2d<Device>::Config{.in = ch, .out = ch, .kernel = 3, .stride = 2, .pad = 0, .pad_end = 1});
      levels_.push_back(std::move(level));
    }
    middle_.emplace(p / "mid_block", ch, c.norm_groups);
    norm_out_.emplace(p / "conv_norm_out", ch, ops::GroupNorm{.groups = c.norm_groups, .eps = 1e-6f, .silu = true});
    conv_out_.emplace(p / "conv_out",
                      typename Conv2d<Device>::Config{.in = ch, .out = 2 * c.latent_channels, .kernel = 3, .pad = 1});
  }

  template <class Run>
  fn::ValueOf<Run> operator()(Run& run, fn::ValueOf<Run> x) const {
    auto h = conv_in_(run, std::move(x), {.measured = true});
    for (const Level& level : levels_) {
      for (const auto& resnet : level.resnets) h = resnet(run, std::move(h));
      if (level.downsampler) h = (*level.downsampler)(run, std::move(h), {.measured = true});
    }
    return (*conv_out_)(run, (*middle_)(run, std::move(h)), {.norm = norm_out_->parameters()});
  }

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
  VaeDecoder(const Params<Device>& p, const VaeConfig& c)
      : conv_in_(p / "conv_in", {.in = c.latent_channels, .out = c.block_out_channels.back(), .kernel = 3, .pad = 1}),
        middle_(p / "mid_block", c.block_out_channels.back(), c.norm_groups) {
    int ch = c.block_out_channels.back();
    const auto blocks = static_cast<int>(c.block_out_channels.size());
    for (int b = 0; b < blocks; ++b) {
      const auto block = p / "up_blocks" / b;
      const int out = c.block_out_channels[static_cast<std::size_t>(blocks - 1 - b)];
      Level level;
      for (int i = 0; i <= c.layers_per_block; ++i) {
        level.resnets.emplace_back(block / "resnets" / i, ch, out, c.norm_groups);
        ch = out;
      }
      if (b + 1 < blocks)
        level.upsampler.emplace(block / "upsamplers" / 0 / "conv",
                                typename Conv2d<Device>::Config{.in = ch, .out = ch, .kernel = 3, .pad = 1});
      levels_.push_back(std::move(level));
    }
    norm_out_.emplace(p / "conv_norm_out", ch, ops::GroupNorm{.groups = c.norm_groups, .eps = 1e-6f, .silu = true});
    conv_out_.emplace(p / "conv_out", typename Conv2d<Device>::Config{.in = ch, .out = 3, .kernel = 3, .pad = 1});
  }

  template <class Run>
  fn::ValueOf<Run> operator()(Run& run, fn::ValueOf<Run> z) const {
    auto h = middle_(run, conv_in_(run, std::move(z), {.measured = true}));
    for (const Level& level : levels_) {
      for (const auto& resnet : level.resnets) h = resnet(run, std::move(h));
      if (level.upsampler) h = (*level.upsampler)(run, std::move(h), {.resample = ops::Resample::up, .measured = true});
    }
    return (*conv_out_)(run, std::move(h), {.norm = norm_out_->parameters()});
  }

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
  Vae(const Params<Device>& p, VaeConfig config)
      : config_((config.check(), std::move(config))),
        encoder_(p / "encoder", config_),
        quant_conv_(p / "quant_conv",
                    {.in = 2 * config_.latent_channels, .out = 2 * config_.latent_channels, .kernel = 1}),
        post_quant_conv_(p / "post_quant_conv",
                         {.in = config_.latent_channels, .out = config_.latent_channels, .kernel = 1}),
        decoder_(p / "decoder", config_) {}

  const VaeConfig& config() const { return config_; }

  // x [n, h, w, 3] in [-1, 1], h and w multiples of reduction()  ->  moments [n, h/8, w/8, 2 * latent_channels]
  template <class Run>
  fn::ValueOf<Run> encode(Run& run, fn::ValueOf<Run> x) const {
    const Shape s = x.shape();
    D3AD_CHECK(s.c == 3 && s.h % config_.reduction() == 0 && s.w % config_.reduction() == 0, "VAE: image ", s,
               ", expected 3 channels and sides that are multiples of ", config_.reduction());
    return quant_conv_(run, encoder_(run, std::move(x)));
  }

  // z [n, h, w, latent_channels], unscaled  ->  image [n, 8h, 8w, 3] about [-1, 1]
  template <class Run>
  fn::ValueOf<Run> decode(Run& run, fn::ValueOf<Run> z) const {
    D3AD_CHECK(z.shape().c == config_.latent_channels, "VAE: latent ", z.shape(), ", expected ",
               config_.latent_channels, " channels");
    return decoder_(run, post_quant_conv_(run, std::move(z)));
  }

 private:
  VaeConfig config_;
  nn::VaeEncoder<Device> encoder_;
  nn::Conv2d<Device> quant_conv_, post_quant_conv_;
  nn::VaeDecoder<Device> decoder_;
};

}  // namespace d3ad
