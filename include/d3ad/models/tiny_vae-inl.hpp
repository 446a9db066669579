#pragma once
// Definitions of models/tiny_vae.hpp: the tiny autoencoder, computed and read from weights. Included by it unless they are compiled.

#include <nlohmann/json.hpp>

#include "d3ad/models/tiny_vae.hpp"

namespace d3ad {

D3AD_INLINE void to_json(nlohmann::json& j, const TinyVaeConfig& c) {
  j = {{"architecture", "tae"},
       {"latent_channels", c.latent_channels},
       {"midblock_group_norm", c.midblock_group_norm},
       {"width", c.width}};
}

D3AD_INLINE void from_json(const nlohmann::json& j, TinyVaeConfig& c) {
  c.latent_channels = j.at("latent_channels").get<int>();
  c.midblock_group_norm = j.value("midblock_group_norm", false);
  c.width = j.value("width", 64);
  c.check();
}

namespace nn {

template <class Device>
TinyBlock<Device>::TinyBlock(const Params<Device>& p, int width, bool pool)
    : conv0_(p / "conv" / 0, conv(width)), conv2_(p / "conv" / 2, conv(width)), conv4_(p / "conv" / 4, conv(width)) {
  if (!pool) return;
  pool_.emplace(Pool{{p / "pool" / 0, {.in = width, .out = 4 * width, .kernel = 1, .bias = false}},
                     {p / "pool" / 1, 4 * width, {.groups = 4, .eps = 1e-5f}},
                     {p / "pool" / 3, {.in = 4 * width, .out = width, .kernel = 1, .bias = false}}});
}

template <class Device>
template <class Run>
fn::ValueOf<Run> TinyBlock<Device>::operator()(Run& run, fn::ValueOf<Run> x) const {
  if (pool_) {
    auto h = fn::relu(run, pool_->norm(run, pool_->widen(run, x)));
    x = pool_->narrow(run, std::move(h), {.residual = x});
  }
  auto h = conv0_(run, x, {.relu = true});
  h = conv2_(run, std::move(h), {.relu = true});
  return conv4_(run, std::move(h), {.residual = std::move(x), .relu = true});
}

}  // namespace nn

template <class Device>
TinyVae<Device>::TinyVae(const Params<Device>& p, TinyVaeConfig config) : config_((config.check(), config)) {
  const auto e = p / "encoder", d = p / "decoder";
  const int w = config_.width;
  const bool pool = config_.midblock_group_norm;

  encoder_in_.emplace(e / 0, Conv{.in = 3, .out = w, .kernel = 3, .pad = 1});
  encoder_blocks_.emplace_back(e / 1, w, false);
  for (int level = 0, index = 2; level < 3; ++level) {
    downs_.emplace_back(e / index++, Conv{.in = w, .out = w, .kernel = 3, .stride = 2, .pad = 1, .bias = false});
    for (int i = 0; i < 3; ++i) encoder_blocks_.emplace_back(e / index++, w, pool && level == 2);
  }
  encoder_out_.emplace(e / 14, Conv{.in = w, .out = config_.latent_channels, .kernel = 3, .pad = 1});

  decoder_in_.emplace(d / 1, Conv{.in = config_.latent_channels, .out = w, .kernel = 3, .pad = 1});
  for (int level = 0, index = 3; level < 3; ++level) {
    for (int i = 0; i < 3; ++i) decoder_blocks_.emplace_back(d / index++, w, pool && level == 0);
    ++index;  // the upsampling
    ups_.emplace_back(d / index++, Conv{.in = w, .out = w, .kernel = 3, .pad = 1, .bias = false});
  }
  decoder_blocks_.emplace_back(d / 18, w, false);
  decoder_out_.emplace(d / 19, Conv{.in = w, .out = 3, .kernel = 3, .pad = 1});
}

template <class Device>
template <class Run>
fn::ValueOf<Run> TinyVae<Device>::encode(Run& run, fn::ValueOf<Run> x) const {
  const Shape s = x.shape();
  D3AD_CHECK(s.c == 3 && s.h % 8 == 0 && s.w % 8 == 0, "tiny VAE: image ", s,
             ", expected 3 channels and sides that are multiples of 8");
  auto h = (*encoder_in_)(run, fn::scale(run, std::move(x), 0.5f, 0.5f));
  h = encoder_blocks_[0](run, std::move(h));
  for (std::size_t level = 0; level < 3; ++level) {
    h = downs_[level](run, std::move(h));
    for (std::size_t i = 0; i < 3; ++i) h = encoder_blocks_[1 + 3 * level + i](run, std::move(h));
  }
  return (*encoder_out_)(run, std::move(h));
}

template <class Device>
template <class Run>
fn::ValueOf<Run> TinyVae<Device>::decode(Run& run, fn::ValueOf<Run> z) const {
  D3AD_CHECK(z.shape().c == config_.latent_channels, "tiny VAE: latent ", z.shape(), ", expected ",
             config_.latent_channels, " channels");
  auto h = fn::scale(run, fn::tanh(run, fn::scale(run, std::move(z), 1.0f / 3.0f)), 3.0f);
  h = (*decoder_in_)(run, std::move(h), {.relu = true});
  for (std::size_t level = 0; level < 3; ++level) {
    for (std::size_t i = 0; i < 3; ++i) h = decoder_blocks_[3 * level + i](run, std::move(h));
    h = ups_[level](run, std::move(h), {.resample = ops::Resample::up});
  }
  h = (*decoder_out_)(run, decoder_blocks_[9](run, std::move(h)));
  return fn::scale(run, std::move(h), 2.0f, -1.0f);
}

}  // namespace d3ad
