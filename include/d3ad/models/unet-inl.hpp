#pragma once
// Definitions of models/unet.hpp: the UNet, computed and read from weights. Included by it unless they are compiled.

#include <nlohmann/json.hpp>

#include "d3ad/models/unet.hpp"

namespace d3ad {

D3AD_INLINE void to_json(nlohmann::json& j, const UNetConfig& c) {
  j = {{"channels", c.channels}, {"base", c.base},      {"mults", c.multipliers},
       {"nres", c.res_blocks},   {"attn", c.attention}, {"heads", c.heads}};
}

D3AD_INLINE void from_json(const nlohmann::json& j, UNetConfig& c) {
  c.channels = j.value("channels", c.channels);
  c.base = j.at("base").get<int>();
  c.multipliers = j.at("mults").get<std::vector<int>>();
  c.res_blocks = j.at("nres").get<int>();
  c.attention = j.at("attn").get<std::vector<int>>();
  c.heads = j.at("heads").get<int>();
  c.check();
}

template <class Device>
UNet<Device>::UNet(const Params<Device>& p, UNetConfig config)
    : config_((config.check(), std::move(config))), time_(p / "time_embedding", config_.base) {
  const int time = 4 * config_.base;
  const auto levels = static_cast<int>(config_.multipliers.size());
  int ch = config_.multipliers[0] * config_.base, factor = 1;

  const auto down = p / "down";
  conv_in_.emplace(down / 0 / 0, Conv{.in = config_.channels, .out = ch, .kernel = 3, .pad = 1});
  std::vector<int> skips{ch};
  int index = 1;
  for (int level = 0; level < levels; ++level) {
    const int out = config_.multipliers[static_cast<std::size_t>(level)] * config_.base;
    for (int i = 0; i < config_.res_blocks; ++i, ++index) {
      Block block;
      block.first.emplace(down / index / 0, ResConfig{.in = ch, .out = out, .time = time});
      ch = out;
      if (config_.attends(factor)) block.attention.emplace(down / index / 1, ch, config_.heads);
      down_.push_back(std::move(block));
      skips.push_back(ch);
    }
    if (level + 1 == levels) break;
    Block block;
    block.first.emplace(down / index / 0, ResConfig{.in = ch, .out = ch, .time = time, .resample = nn::Resample::down});
    down_.push_back(std::move(block));
    skips.push_back(ch);
    ++index;
    factor *= 2;
  }

  const auto middle = p / "middle";
  middle_.first.emplace(middle / 0, ResConfig{.in = ch, .out = ch, .time = time});
  middle_.attention.emplace(middle / 1, ch, config_.heads);
  middle_.second.emplace(middle / 2, ResConfig{.in = ch, .out = ch, .time = time});

  const auto up = p / "up";
  index = 0;
  for (int level = levels - 1; level >= 0; --level) {
    const int out = config_.multipliers[static_cast<std::size_t>(level)] * config_.base;
    for (int i = 0; i <= config_.res_blocks; ++i, ++index) {
      Block block;
      int layer = 0;
      block.first.emplace(up / index / layer++, ResConfig{.in = ch + skips.back(), .out = out, .time = time});
      skips.pop_back();
      ch = out;
      if (config_.attends(factor)) block.attention.emplace(up / index / layer++, ch, config_.heads);
      if (level > 0 && i == config_.res_blocks) {
        block.second.emplace(up / index / layer++,
                             ResConfig{.in = ch, .out = ch, .time = time, .resample = nn::Resample::up});
        factor /= 2;
      }
      up_.push_back(std::move(block));
    }
  }

  norm_out_.emplace(p / "out" / 0, ch, ops::GroupNorm{.groups = 32, .eps = 1e-5f, .silu = true});
  conv_out_.emplace(p / "out" / 2, Conv{.in = ch, .out = config_.channels, .kernel = 3, .pad = 1, .zero = true});
}

template <class Device>
template <class Run>
fn::ValueOf<Run> UNet<Device>::operator()(Run& run, fn::ValueOf<Run> x, View<const std::int32_t, Device> t) const {
  const Shape s = x.shape();
  D3AD_CHECK(s.c == config_.channels, "UNet: the latent has ", s.c, " channels, the network was made for ",
             config_.channels);
  D3AD_CHECK(s.h % config_.reduction() == 0 && s.w % config_.reduction() == 0, "UNet: a latent of ", s.h, "x", s.w,
             " is not a multiple of ", config_.reduction(), "; choose another image size");
  D3AD_CHECK(t.size() == s.n, "UNet: ", t.size(), " time steps for ", s.n, " images");

  const auto time = fn::silu(run, time_(run, t));
  std::vector<fn::ValueOf<Run>> skips;
  skips.push_back((*conv_in_)(run, std::move(x), {.measured = true}));
  for (const Block& block : down_) skips.push_back(apply(run, block, skips.back(), time));
  auto h = apply(run, middle_, skips.back(), time);
  for (const Block& block : up_) {
    auto skip = std::move(skips.back());
    skips.pop_back();
    h = apply(run, block, std::move(h), time, std::move(skip));
  }
  return (*conv_out_)(run, std::move(h), {.norm = norm_out_->parameters()});
}

template <class Device>
template <class Run>
fn::ValueOf<Run> UNet<Device>::apply(Run& run, const Block& block, fn::ValueOf<Run> x, const fn::ValueOf<Run>& time,
                                     fn::ValueOf<Run> more) const {
  const auto body = [&block]<class R>(R& r, fn::ValueOf<R> h, fn::ValueOf<R> condition, fn::ValueOf<R> skip = {}) {
    h = (*block.first)(r, std::move(h), condition, std::move(skip));
    if (block.attention) h = (*block.attention)(r, std::move(h));
    if (block.second) h = (*block.second)(r, std::move(h), condition);
    return h;
  };
  if (!checkpointing_) return body(run, std::move(x), time, std::move(more));
  if (more) x = fn::concat(run, std::move(x), std::move(more));
  return fn::checkpoint(run, std::move(x), time, body);
}

}  // namespace d3ad
