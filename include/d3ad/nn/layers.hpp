#pragma once
// Layers with parameters: they read the parameters by the checkpoint's names and pass them to the functions of fn::.
//
//   nn::Conv2d<Cpu> conv(params / "conv_in", {.in = 4, .out = 64, .kernel = 3, .pad = 1});
//   auto y = conv(run, x);               // run: Context or Tape
//   auto z = conv(run, x, {.norm = norm.parameters(), .residual = y});  // with fused operations (fn::ConvFusion)
//
// A layer holds pointers into a ParameterStore, which must outlive it.

#include <utility>

#include "d3ad/autograd/conv_block.hpp"
#include "d3ad/weights/parameters.hpp"

namespace d3ad::nn {

// weight [out, in, kernel, kernel], bias [out]
template <class Device>
class Conv2d {
 public:
  struct Config {
    Required<int> in, out, kernel;
    int stride = 1, pad = 0, pad_end = -1;  // pad_end: bottom and right, -1 as pad
    bool bias = true;
    bool zero = false;  // starts at zero when it is trained from nothing
  };

  Conv2d(const Params<Device>& p, Config c)
      : config_{.kernel = c.kernel, .stride = c.stride, .pad = c.pad, .pad_end = c.pad_end} {
    const std::int64_t fan_in = std::int64_t{c.in} * c.kernel * c.kernel;
    const Init init = c.zero ? Init::zeros : Init::fan_in;
    weight_ = p.make("weight", {c.out, c.in, c.kernel, c.kernel}, init, fan_in);
    if (c.bias) bias_ = p.make("bias", {c.out}, init, fan_in);
  }

  template <class Run>
  fn::ValueOf<Run> operator()(Run& run, fn::ValueOf<Run> x) const {
    return fn::conv_block<Run>(run, std::move(x), *weight_, bias_, config_, {});
  }
  template <class Run>
  fn::ValueOf<Run> operator()(Run& run, fn::ValueOf<Run> x, fn::ConvFusion<Run> fusion) const {
    return fn::conv_block<Run>(run, std::move(x), *weight_, bias_, config_, std::move(fusion));
  }

 private:
  ops::Conv2d config_;
  Parameter<Device>*weight_ = nullptr, *bias_ = nullptr;
};

// weight [out, in], bias [out]. `axis`: the file keeps trailing axes of length 1 ([out, in, 1] for one).
template <class Device>
class Linear {
 public:
  struct Config {
    Required<int> in, out;
    int axes = 2;  // of the weight in the file
    bool zero = false;
  };

  Linear(const Params<Device>& p, Config c) : Linear(p, c, {"weight"}, {"bias"}) {}
  // Under any of several names; the first is ours.
  Linear(const Params<Device>& p, Config c, std::initializer_list<const char*> weights,
         std::initializer_list<const char*> biases) {
    std::vector<std::int64_t> dims{c.out, c.in};
    dims.resize(static_cast<std::size_t>(c.axes), 1);
    const Init init = c.zero ? Init::zeros : Init::fan_in;
    weight_ = p.make_any(weights, dims, init, c.in);
    bias_ = p.make_any(biases, {c.out}, init, c.in);
  }

  template <class Run>
  fn::ValueOf<Run> operator()(Run& run, fn::ValueOf<Run> x) const {
    return fn::linear(run, std::move(x), *weight_, bias_);
  }
  // As the 1x1 convolution it is.
  template <class Run>
  fn::ValueOf<Run> operator()(Run& run, fn::ValueOf<Run> x, fn::ConvFusion<Run> fusion) const {
    return fn::conv_block<Run>(run, std::move(x), *weight_, bias_, {.kernel = 1}, std::move(fusion));
  }

 private:
  Parameter<Device>*weight_ = nullptr, *bias_ = nullptr;
};

// weight [channels], bias [channels]; with SiLU if the norm says so.
template <class Device>
class GroupNorm {
 public:
  GroupNorm(const Params<Device>& p, int channels, ops::GroupNorm config)
      : p_{p.make("weight", {channels}, Init::ones), p.make("bias", {channels}, Init::zeros), config} {}

  template <class Run>
  fn::ValueOf<Run> operator()(Run& run, fn::ValueOf<Run> x) const {
    return fn::group_norm(run, std::move(x), *p_.scale, *p_.shift, p_.config);
  }
  // For fn::ConvFusion.
  const fn::GroupNormParameters<Device>* parameters() const { return &p_; }

 private:
  fn::GroupNormParameters<Device> p_;
};

// weight, bias, running_mean, running_var [channels]; num_batches_tracked is not read.
template <class Device>
class BatchNorm {
 public:
  BatchNorm(const Params<Device>& p, int channels, ops::BatchNorm config) : config_(config) {
    p_.scale = p.make("weight", {channels}, Init::ones);
    p_.shift = p.make("bias", {channels}, Init::zeros);
    p_.mean = p.make("running_mean", {channels}, Init::zeros, 0, /*trainable=*/false);
    p_.var = p.make("running_var", {channels}, Init::ones, 0, /*trainable=*/false);
  }

  // training: normalises by the batch's statistics and moves the running ones.
  template <class Run>
  fn::ValueOf<Run> operator()(Run& run, fn::ValueOf<Run> x, bool training) const {
    return fn::batch_norm(run, std::move(x), p_, config_, training);
  }
  // For fn::ConvFusion, if it does not train.
  const fn::BatchNormParameters<Device>* parameters() const { return &p_; }
  const ops::BatchNorm& config() const { return config_; }

 private:
  ops::BatchNorm config_;
  fn::BatchNormParameters<Device> p_{};
};

}  // namespace d3ad::nn
