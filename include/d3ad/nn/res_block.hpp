#pragma once
// Residual blocks, with the checkpoints' own names.
//
// nn::ResBlock, the UNet's; each line is one fn::conv_block:
//   h    = in_layers(x)           norm, SiLU, [resample], 3x3 conv      in_layers.0, in_layers.2
//          + embed_layers(time)   linear, per channel                   embed_layers.1 (its SiLU is applied outside)
//   skip = [resampled] x          by a 1x1 conv if channels change      skip_connection
//   out  = out_layers(h) + skip   norm, SiLU, 3x3 conv                  out_layers.0, out_layers.3
//
// nn::VaeResBlock, the VAE's: norm1, conv1, norm2, conv2, conv_shortcut; no time.

#include <optional>
#include <utility>

#include "d3ad/nn/layers.hpp"

namespace d3ad::nn {

using ops::Resample;

template <class Device>
class ResBlock {
 public:
  struct Config {
    Required<int> in, out, time;
    Resample resample = Resample::none;
  };

  ResBlock(const Params<Device>& p, Config c)
      : in_norm_(p / "in_layers" / 0, c.in, kNorm),
        in_conv_(p / "in_layers" / 2, {.in = c.in, .out = c.out, .kernel = 3, .pad = 1}),
        embed_(p / "embed_layers" / 1, {.in = c.time, .out = c.out}),
        out_norm_(p / "out_layers" / 0, c.out, kNorm),
        out_conv_(p / "out_layers" / 3, {.in = c.out, .out = c.out, .kernel = 3, .pad = 1, .zero = true}),
        resample_(c.resample) {
    if (int{c.in} != int{c.out}) skip_.emplace(p / "skip_connection", Conv{.in = c.in, .out = c.out, .kernel = 1});
  }

  // x [n, h, w, in], the last of its channels in `more` if that is there; time [n, time] after its SiLU
  //   ->  [n, h', w', out]
  template <class Run>
  fn::ValueOf<Run> operator()(Run& run, fn::ValueOf<Run> x, const fn::ValueOf<Run>& time,
                              fn::ValueOf<Run> more = {}) const {
    if (more && !skip_) x = fn::concat(run, std::move(x), std::exchange(more, {}));
    auto h = in_conv_(run, x,
                      {.more = more,
                       .norm = in_norm_.parameters(),
                       .resample = resample_,
                       .shift = embed_(run, time),
                       .measured = true});
    const auto resample = skip_ ? Resample::none : resample_;
    if (skip_) x = (*skip_)(run, std::move(x), {.more = std::move(more), .resample = resample_});
    return out_conv_(
        run, std::move(h),
        {.norm = out_norm_.parameters(), .residual = std::move(x), .residual_resample = resample, .measured = true});
  }

 private:
  using Conv = typename Conv2d<Device>::Config;
  static constexpr ops::GroupNorm kNorm{.groups = 32, .eps = 1e-5f, .silu = true};

  GroupNorm<Device> in_norm_;
  Conv2d<Device> in_conv_;
  Linear<Device> embed_;
  GroupNorm<Device> out_norm_;
  Conv2d<Device> out_conv_;
  std::optional<Conv2d<Device>> skip_;
  Resample resample_;
};

template <class Device>
class VaeResBlock {
 public:
  VaeResBlock(const Params<Device>& p, int in, int out, int groups)
      : norm1_(p / "norm1", in, {.groups = groups, .eps = 1e-6f, .silu = true}),
        conv1_(p / "conv1", {.in = in, .out = out, .kernel = 3, .pad = 1}),
        norm2_(p / "norm2", out, {.groups = groups, .eps = 1e-6f, .silu = true}),
        conv2_(p / "conv2", {.in = out, .out = out, .kernel = 3, .pad = 1}) {
    if (in != out) shortcut_.emplace(p / "conv_shortcut", Conv{.in = in, .out = out, .kernel = 1});
  }

  template <class Run>
  fn::ValueOf<Run> operator()(Run& run, fn::ValueOf<Run> x) const {
    auto h = conv1_(run, x, {.norm = norm1_.parameters(), .measured = true});
    if (shortcut_) x = (*shortcut_)(run, std::move(x));
    return conv2_(run, std::move(h), {.norm = norm2_.parameters(), .residual = std::move(x), .measured = true});
  }

 private:
  using Conv = typename Conv2d<Device>::Config;
  GroupNorm<Device> norm1_;
  Conv2d<Device> conv1_;
  GroupNorm<Device> norm2_;
  Conv2d<Device> conv2_;
  std::optional<Conv2d<Device>> shortcut_;
};

}  // namespace d3ad::nn
