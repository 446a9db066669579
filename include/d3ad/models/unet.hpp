#pragma once
// The denoising UNet of the guided-diffusion family: it predicts the noise in a latent (METHOD.md, section 2).
//
//   ParameterStore<Cpu> store;
//   UNet<Cpu> unet({store, source}, UNetConfig::paper());
//   auto eps = unet(run, x, t);      // x [n, h, w, channels], t [n] in 0 ... 999  ->  the shape of x
//
// Blocks are numbered as in the checkpoint: down.I.J, middle.J, up.I.J, out.{0,2}, time_embedding.{1,3}. h and w must
// divide by 2 to the number of downsamplings.

#include <algorithm>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "d3ad/core/compiled.hpp"
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

void to_json(nlohmann::json& j, const UNetConfig& c);
void from_json(const nlohmann::json& j, UNetConfig& c);

template <class Device>
class UNet {
 public:
  UNet(const Params<Device>& p, UNetConfig config);

  const UNetConfig& config() const { return config_; }

  // Keeps only each block's inputs for the backward pass and computes the rest again: less memory, a third more time.
  void set_checkpointing(bool on) { checkpointing_ = on; }

  // x [n, h, w, channels], t [n]  ->  eps [n, h, w, channels]
  template <class Run>
  fn::ValueOf<Run> operator()(Run& run, fn::ValueOf<Run> x, View<const std::int32_t, Device> t) const;

 private:
  using Conv = typename nn::Conv2d<Device>::Config;
  using Res = nn::ResBlock<Device>;
  using ResConfig = typename Res::Config;

  // A residual block, attention if there is any, and a second residual block if there is one.
  struct Block {
    std::optional<Res> first;
    std::optional<nn::Attention<Device>> attention;
    std::optional<Res> second;
  };

  // more: the channels of a skip, after those of x.
  template <class Run>
  fn::ValueOf<Run> apply(Run& run, const Block& block, fn::ValueOf<Run> x, const fn::ValueOf<Run>& time,
                         fn::ValueOf<Run> more = {}) const;

  UNetConfig config_;
  bool checkpointing_ = false;
  nn::TimeEmbedding<Device> time_;
  std::optional<nn::Conv2d<Device>> conv_in_, conv_out_;
  std::vector<Block> down_, up_;
  Block middle_;
  std::optional<nn::GroupNorm<Device>> norm_out_;
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/models/unet-inl.hpp"
#endif
