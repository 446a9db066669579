#pragma once
// Residual blocks, with the checkpoints' own names.
//
// nn::ResBlock, the UNet's:
//   h    = in_layers(x)           norm, SiLU, [resample], 3x3 conv     in_layers.0, in_layers.2
//   h   += embed_layers(time)     linear, per channel                  embed_layers.1 (its SiLU is applied once,
//   outside) out  = out_layers(h) + skip   norm, SiLU, 3x3 conv                 out_layers.0, out_layers.3 skip =
//   [resampled] x, by a 1x1 conv where channels change          skip_connection
//
// nn::VaeResBlock, the VAE's: norm1, conv1, norm2, conv2, conv_shortcut; no time.

#include <optional>

#include "d3ad/nn/layers.hpp"

namespace d3ad::nn {

enum class Resample { none, down, up };  // down: 2x2 average, up: nearest

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

  // x [n, h, w, in], time [n, time] after its SiLU  ->  [n, h', w', out]
  template <class Run>
  fn::ValueOf<Run> operator()(Run& run, fn::ValueOf<Run> x, const fn::ValueOf<Run>& time) const {
    auto h = in_norm_(run, x);
    if (resample_ == Resample::down) {
      h = fn::avg_pool2(run, std::move(h));
      x = fn::avg_pool2(run, std::move(x));
    } else if (resample_ == Resample::up) {
      h = fn::upsample2(run, std::move(h));
      x = fn::upsample2(run, std::move(x));
    }
    h = fn::add_per_image(run, in_conv_(run, std::move(h)), embed_(run, time));
    h = out_conv_(run, out_norm_(run, std::move(h)));
    if (skip_) x = (*skip_)(run, std::move(x));
    return fn::add(run, std::move(h), std::move(x));
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
    auto h = conv1_(run, norm1_(run, x));
    h = conv2_(run, norm2_(run, std::move(h)));
    if (shortcut_) x = (*shortcut_)(run, std::move(x));
    return fn::add(run, std::move(h), std::move(x));
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
