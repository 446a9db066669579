#pragma once
// Definitions of models/vae.hpp: the AutoencoderKL, computed and read from weights. Included by it unless they are compiled.

#include <nlohmann/json.hpp>

#include "d3ad/models/vae.hpp"

namespace d3ad {

D3AD_INLINE void to_json(nlohmann::json& j, const VaeConfig& c) {
  j = {{"block_out_channels", c.block_out_channels},
       {"layers_per_block", c.layers_per_block},
       {"latent_channels", c.latent_channels},
       {"norm_num_groups", c.norm_groups},
       {"scaling_factor", c.scaling_factor}};
}

D3AD_INLINE void from_json(const nlohmann::json& j, VaeConfig& c) {
  c.block_out_channels = j.at("block_out_channels").get<std::vector<int>>();
  c.layers_per_block = j.at("layers_per_block").get<int>();
  c.latent_channels = j.at("latent_channels").get<int>();
  c.norm_groups = j.value("norm_num_groups", c.norm_groups);
  c.scaling_factor = j.value("scaling_factor", c.scaling_factor);
  c.check();
}

namespace nn {

template <class Device>
VaeMiddle<Device>::VaeMiddle(const Params<Device>& p, int channels, int groups)
    : first_(p / "resnets" / 0, channels, channels, groups),
      attention_(p / "attentions" / 0, channels, groups),
      second_(p / "resnets" / 1, channels, channels, groups) {}

template <class Device>
template <class Run>
fn::ValueOf<Run> VaeMiddle<Device>::operator()(Run& run, fn::ValueOf<Run> x) const {
  return second_(run, attention_(run, first_(run, std::move(x))));
}

template <class Device>
VaeEncoder<Device>::VaeEncoder(const Params<Device>& p, const VaeConfig& c)
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

template <class Device>
template <class Run>
fn::ValueOf<Run> VaeEncoder<Device>::operator()(Run& run, fn::ValueOf<Run> x) const {
  auto h = conv_in_(run, std::move(x), {.measured = true});
  for (const Level& level : levels_) {
    for (const auto& resnet : level.resnets) h = resnet(run, std::move(h));
    if (level.downsampler) h = (*level.downsampler)(run, std::move(h), {.measured = true});
  }
  return (*conv_out_)(run, (*middle_)(run, std::move(h)), {.norm = norm_out_->parameters()});
}

template <class Device>
VaeDecoder<Device>::VaeDecoder(const Params<Device>& p, const VaeConfig& c)
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

template <class Device>
template <class Run>
fn::ValueOf<Run> VaeDecoder<Device>::operator()(Run& run, fn::ValueOf<Run> z) const {
  auto h = middle_(run, conv_in_(run, std::move(z), {.measured = true}));
  for (const Level& level : levels_) {
    for (const auto& resnet : level.resnets) h = resnet(run, std::move(h));
    if (level.upsampler) h = (*level.upsampler)(run, std::move(h), {.resample = ops::Resample::up, .measured = true});
  }
  return (*conv_out_)(run, std::move(h), {.norm = norm_out_->parameters()});
}

}  // namespace nn

template <class Device>
Vae<Device>::Vae(const Params<Device>& p, VaeConfig config)
    : config_((config.check(), std::move(config))),
      encoder_(p / "encoder", config_),
      quant_conv_(p / "quant_conv",
                  {.in = 2 * config_.latent_channels, .out = 2 * config_.latent_channels, .kernel = 1}),
      post_quant_conv_(p / "post_quant_conv",
                       {.in = config_.latent_channels, .out = config_.latent_channels, .kernel = 1}),
      decoder_(p / "decoder", config_) {}

template <class Device>
template <class Run>
fn::ValueOf<Run> Vae<Device>::encode(Run& run, fn::ValueOf<Run> x) const {
  const Shape s = x.shape();
  D3AD_CHECK(s.c == 3 && s.h % config_.reduction() == 0 && s.w % config_.reduction() == 0, "VAE: image ", s,
             ", expected 3 channels and sides that are multiples of ", config_.reduction());
  return quant_conv_(run, encoder_(run, std::move(x)));
}

template <class Device>
template <class Run>
fn::ValueOf<Run> Vae<Device>::decode(Run& run, fn::ValueOf<Run> z) const {
  D3AD_CHECK(z.shape().c == config_.latent_channels, "VAE: latent ", z.shape(), ", expected ", config_.latent_channels,
             " channels");
  return decoder_(run, post_quant_conv_(run, std::move(z)));
}

}  // namespace d3ad
