#pragma once
// Definitions of models/resnet.hpp: the ResNet, computed and read from weights. Included by it unless they are compiled.

#include <nlohmann/json.hpp>

#include "d3ad/models/resnet.hpp"

namespace d3ad {

D3AD_INLINE void to_json(nlohmann::json& j, const ResNetConfig& c) {
  j = {{"architecture", c.architecture}, {"width", c.width}, {"classes", c.classes}};
}

D3AD_INLINE void from_json(const nlohmann::json& j, ResNetConfig& c) {
  c = ResNetConfig::named(j.at("architecture").get<std::string>());
  c.width = j.value("width", 64);
  c.classes = j.value("classes", 0);
  c.check();
}

namespace nn {

template <class Device>
ResNetBlock<Device>::ResNetBlock(const Params<Device>& p, int in, int width, int stride, const ResNetConfig& c) {
  const int out = width * c.expansion();
  const int inner = c.bottleneck ? width * c.inner_factor : out;
  const auto add = [&](int index, typename Conv2d<Device>::Config conv, bool relu) {
    conv.bias = false;
    convs_.emplace_back(p / concat("conv", index), conv);
    norms_.emplace_back(p / concat("bn", index), conv.out, ops::BatchNorm{.eps = 1e-5f, .relu = relu});
  };
  if (c.bottleneck) {
    add(1, {.in = in, .out = inner, .kernel = 1}, true);
    add(2, {.in = inner, .out = inner, .kernel = 3, .stride = stride, .pad = 1}, true);
    add(3, {.in = inner, .out = out, .kernel = 1}, false);
  } else {
    add(1, {.in = in, .out = out, .kernel = 3, .stride = stride, .pad = 1}, true);
    add(2, {.in = out, .out = out, .kernel = 3, .pad = 1}, false);
  }
  if (stride != 1 || in != out) {
    const auto d = p / "downsample";
    downsample_.emplace(
        d / 0, typename Conv2d<Device>::Config{.in = in, .out = out, .kernel = 1, .stride = stride, .bias = false});
    downsample_norm_.emplace(d / 1, out, ops::BatchNorm{.eps = 1e-5f});
  }
}

template <class Device>
template <class Run>
fn::ValueOf<Run> ResNetBlock<Device>::operator()(Run& run, fn::ValueOf<Run> x, bool training) const {
  auto h = x;
  if (training) {
    for (std::size_t i = 0; i < convs_.size(); ++i) h = norms_[i](run, convs_[i](run, std::move(h)), true);
    if (downsample_) x = (*downsample_norm_)(run, (*downsample_)(run, std::move(x)), true);
    return fn::relu(run, fn::add(run, std::move(h), std::move(x)));
  }
  if (downsample_) x = (*downsample_)(run, std::move(x), fusion<Run>(*downsample_norm_));
  for (std::size_t i = 0; i + 1 < convs_.size(); ++i) h = convs_[i](run, std::move(h), fusion<Run>(norms_[i]));
  auto last = fusion<Run>(norms_.back());
  last.residual = std::move(x), last.relu = true;
  return convs_.back()(run, std::move(h), std::move(last));
}

template <class Device>
template <class Run>
fn::ConvFusion<Run> ResNetBlock<Device>::fusion(const BatchNorm<Device>& norm) {
  fn::ConvFusion<Run> out;
  out.batch_norm = norm.parameters(), out.batch_norm_eps = norm.config().eps, out.relu = norm.config().relu;
  return out;
}

}  // namespace nn

template <class Device>
ResNet<Device>::ResNet(const Params<Device>& p, ResNetConfig config)
    : config_((config.check(), std::move(config))),
      conv1_(p / "conv1", {.in = 3, .out = config_.width, .kernel = 7, .stride = 2, .pad = 3, .bias = false}),
      bn1_(p / "bn1", config_.width, {.eps = 1e-5f, .relu = true}) {
  int in = config_.width;
  const int last = config_.classes > 0 ? 4 : 3;
  for (int layer = 0; layer < last; ++layer) {
    const int width = config_.width << layer;
    auto& blocks = layers_[static_cast<std::size_t>(layer)];
    for (int b = 0; b < config_.blocks[static_cast<std::size_t>(layer)]; ++b) {
      blocks.emplace_back(p / concat("layer", layer + 1) / b, in, width, layer > 0 && b == 0 ? 2 : 1, config_);
      in = width * config_.expansion();
    }
  }
  if (config_.classes > 0) fc_.emplace(p / "fc", typename nn::Linear<Device>::Config{.in = in, .out = config_.classes});
}

template <class Device>
template <class Run>
typename ResNet<Device>::template Features<Run> ResNet<Device>::features(Run& run, fn::ValueOf<Run> x,
                                                                         bool training) const {
  Features<Run> out;
  auto h = stem(run, std::move(x), training);
  for (std::size_t layer = 0; layer < 3; ++layer) {
    for (const auto& block : layers_[layer]) h = block(run, std::move(h), training);
    out[layer] = h;
  }
  return out;
}

template <class Device>
template <class Run>
fn::ValueOf<Run> ResNet<Device>::classify(Run& run, fn::ValueOf<Run> x, bool training) const {
  D3AD_CHECK(fc_, "ResNet: this network was made without classes, it has no fc");
  auto h = stem(run, std::move(x), training);
  for (const auto& layer : layers_)
    for (const auto& block : layer) h = block(run, std::move(h), training);
  return (*fc_)(run, fn::global_avg_pool(run, std::move(h)));
}

template <class Device>
template <class Run>
fn::ValueOf<Run> ResNet<Device>::stem(Run& run, fn::ValueOf<Run> x, bool training) const {
  D3AD_CHECK(x.shape().c == 3 && x.shape().h >= 16 && x.shape().w >= 16, "ResNet: image ", x.shape(),
             ", expected 3 channels and at least 16 x 16 pixels");
  auto h = training ? bn1_(run, conv1_(run, std::move(x)), true)
                    : conv1_(run, std::move(x), nn::ResNetBlock<Device>::template fusion<Run>(bn1_));
  return fn::max_pool3(run, std::move(h));
}

}  // namespace d3ad
