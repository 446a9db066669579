#pragma once
// The denoising UNet of the guided-diffusion family (METHOD: predicts the noise in a latent).
//
//   ParameterStore<Cpu> store;
//   UNet<Cpu> unet({store, source}, UNetConfig::paper());
//   auto eps = unet(run, x, t);      // x [n, h, w, channels], t [n] in 0 ... 999  ->  the shape of x
//
// Blocks are numbered as in the checkpoint: down.I.J, middle.J, up.I.J, out.{0,2}, time_embedding.{1,3}. h and w must
// divide by 2 to the number of downsamplings.

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "d3ad/nn/attention.hpp"
#include "d3ad/nn/res_block.hpp"
#include "d3ad/nn/time_embedding.hpp"

namespace d3ad {

struct UNetConfig {
  int channels = 4;  // of the latent
  int base = 192;
  std::vector<int> multipliers{1, 2, 2, 4, 4};
  int res_blocks = 2;                      // a level
  std::vector<int> attention{1, 2, 4, 8};  // downsampling factors that have it
  int heads = 8;

  static UNetConfig paper(int channels = 4) { return {.channels = channels}; }
  static UNetConfig small(int channels) {
    return {
        .channels = channels, .base = 32, .multipliers = {1, 2, 2}, .res_blocks = 1, .attention = {2, 4}, .heads = 4};
  }

  void check() const {
    D3AD_CHECK(channels >= 1 && channels <= 1024, "UNet: ", channels, " latent channels, expected 1 to 1024");
    D3AD_CHECK(base >= 32 && base <= 4096 && base % 32 == 0, "UNet: base ", base,
               ", expected a multiple of 32 up to 4096 (32 groups are normalised)");
    D3AD_CHECK(!multipliers.empty() && multipliers.size() <= 8, "UNet: ", multipliers.size(),
               " levels, expected 1 to 8 multipliers");
    for (const int m : multipliers) D3AD_CHECK(m >= 1 && m <= 64, "UNet: multiplier ", m, ", expected 1 to 64");
    D3AD_CHECK(res_blocks >= 1 && res_blocks <= 16, "UNet: ", res_blocks, " residual blocks a level, expected 1 to 16");
    D3AD_CHECK(heads >= 1 && base % heads == 0, "UNet: base ", base, " does not split into ", heads, " heads");
    for (const int f : attention)
      D3AD_CHECK(f >= 1 && f <= 128 && (f & (f - 1)) == 0, "UNet: attention at downsampling factor ", f,
                 ", expected a power of two");
  }
  int reduction() const { return 1 << (static_cast<int>(multipliers.size()) - 1); }
  bool attends(int factor) const { return std::find(attention.begin(), attention.end(), factor) != attention.end(); }
  bool operator==(const UNetConfig&) const = default;
};

inline void to_json(nlohmann::json& j, const UNetConfig& c) {
  j = {{"channels", c.channels}, {"base", c.base},      {"mults", c.multipliers},
       {"nres", c.res_blocks},   {"attn", c.attention}, {"heads", c.heads}};
}
inline void from_json(const nlohmann::json& j, UNetConfig& c) {
  c.channels = j.value("channels", c.channels);
  c.base = j.at("base").get<int>();
  c.multipliers = j.at("mults").get<std::vector<int>>();
  c.res_blocks = j.at("nres").get<int>();
  c.attention = j.at("attn").get<std::vector<int>>();
  c.heads = j.at("heads").get<int>();
  c.check();
}

template <class Device>
class UNet {
 public:
  UNet(const Params<Device>& p, UNetConfig config)
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
      block.first.emplace(down / index / 0,
                          ResConfig{.in = ch, .out = ch, .time = time, .resample = nn::Resample::down});
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

  const UNetConfig& config() const { return config_; }

  // Keeps only each block's inputs for the backward pass and computes the rest again: less memory, a third more time.
  void set_checkpointing(bool on) { checkpointing_ = on; }

  // x [n, h, w, channels], t [n]  ->  eps [n, h, w, channels]
  template <class Run>
  fn::ValueOf<Run> operator()(Run& run, fn::ValueOf<Run> x, View<const std::int32_t, Device> t) const {
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

 private:
  using Conv = typename nn::Conv2d<Device>::Config;
  using Res = nn::ResBlock<Device>;
  using ResConfig = typename Res::Config;

  // A residual block, attention where there is any, and a second residual block where there is one.
  struct Block {
    std::optional<Res> first;
    std::optional<nn::Attention<Device>> attention;
    std::optional<Res> second;
  };

  // more: the channels of a skip, after those of x.
  template <class Run>
  fn::ValueOf<Run> apply(Run& run, const Block& block, fn::ValueOf<Run> x, const fn::ValueOf<Run>& time,
                         fn::ValueOf<Run> more = {}) const {
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

  UNetConfig config_;
  bool checkpointing_ = false;
  nn::TimeEmbedding<Device> time_;
  std::optional<nn::Conv2d<Device>> conv_in_, conv_out_;
  std::vector<Block> down_, up_;
  Block middle_;
  std::optional<nn::GroupNorm<Device>> norm_out_;
};

}  // namespace d3ad
