#pragma once
// ResNet-18/34/50/101 and Wide-ResNet-50/101-2 under torchvision's names: the feature extractor, and a classifier where
// layer4 and fc are wanted.
//
//   ResNet<Cpu> net({store, source}, ResNetConfig::named("resnet34"));
//   auto f = net.features(run, fn::imagenet_input(run, x));   // x [n, h, w, 3] in [-1, 1] -> layer1, layer2, layer3
//
// As torchvision's, the network takes images normalised by ImageNet's mean and deviation. `training` uses the batch's
// statistics and moves the running ones, as PyTorch's train mode does.

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/nn/layers.hpp"

namespace d3ad {

struct ResNetConfig {
  std::string architecture = "resnet34";
  bool bottleneck = false;
  std::array<int, 4> blocks{3, 4, 6, 3};
  int width = 64;        // channels of layer1 (before a bottleneck's fourfold)
  int inner_factor = 1;  // of a bottleneck's 3x3: 2 in Wide-ResNets
  int classes = 0;       // > 0: layer4 and fc are there too

  static const std::vector<std::string>& names() {
    static const std::vector<std::string> all{"resnet18",  "resnet34",        "resnet50",
                                              "resnet101", "wide_resnet50_2", "wide_resnet101_2"};
    return all;
  }
  static ResNetConfig named(const std::string& name) {
    ResNetConfig c;
    c.architecture = name;
    if (name == "resnet18") return c.blocks = {2, 2, 2, 2}, c;
    if (name == "resnet34") return c;
    c.bottleneck = true;
    if (name == "wide_resnet50_2" || name == "wide_resnet101_2") c.inner_factor = 2;
    if (name == "resnet50" || name == "wide_resnet50_2") return c;
    if (name == "resnet101" || name == "wide_resnet101_2") return c.blocks = {3, 4, 23, 3}, c;
    std::string known;
    for (const auto& n : names()) known += (known.empty() ? "" : ", ") + n;
    fail("ResNet: no architecture '", name, "'; known are ", known);
  }
  void check() const {
    D3AD_CHECK(width >= 1 && width <= 1024 && inner_factor >= 1 && classes >= 0, "ResNet: width ", width,
               " is not a sensible configuration");
    for (const int b : blocks) D3AD_CHECK(b >= 1 && b <= 100, "ResNet: ", b, " blocks in a layer, expected 1 to 100");
  }
  int expansion() const { return bottleneck ? 4 : 1; }
};

inline void to_json(nlohmann::json& j, const ResNetConfig& c) {
  j = {{"architecture", c.architecture}, {"width", c.width}, {"classes", c.classes}};
}
inline void from_json(const nlohmann::json& j, ResNetConfig& c) {
  c = ResNetConfig::named(j.at("architecture").get<std::string>());
  c.width = j.value("width", 64);
  c.classes = j.value("classes", 0);
  c.check();
}

namespace nn {

// BasicBlock (conv1, conv2) or Bottleneck (conv1 1x1, conv2 3x3 with the stride, conv3 1x1), downsample.{0,1}.
template <class Device>
class ResNetBlock {
 public:
  ResNetBlock(const Params<Device>& p, int in, int width, int stride, const ResNetConfig& c) {
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

  template <class Run>
  fn::ValueOf<Run> operator()(Run& run, fn::ValueOf<Run> x, bool training) const {
    auto h = x;
    if (training) {
      for (std::size_t i = 0; i < convs_.size(); ++i) h = norms_[i](run, convs_[i](run, std::move(h)), true);
      if (downsample_) x = (*downsample_norm_)(run, (*downsample_)(run, std::move(x)), true);
      return fn::relu(run, fn::add(run, std::move(h), std::move(x)));
    }
    if (downsample_) x = (*downsample_)(run, std::move(x), around<Run>(*downsample_norm_));
    for (std::size_t i = 0; i + 1 < convs_.size(); ++i) h = convs_[i](run, std::move(h), around<Run>(norms_[i]));
    auto last = around<Run>(norms_.back());
    last.residual = std::move(x), last.relu = true;
    return convs_.back()(run, std::move(h), std::move(last));
  }

  // A batch norm that does not train, for the convolution before it.
  template <class Run>
  static fn::Around<Run> around(const BatchNorm<Device>& norm) {
    fn::Around<Run> a;
    a.batch_norm = norm.parameters(), a.batch_norm_eps = norm.config().eps, a.relu = norm.config().relu;
    return a;
  }

 private:
  std::vector<Conv2d<Device>> convs_;
  std::vector<BatchNorm<Device>> norms_;
  std::optional<Conv2d<Device>> downsample_;
  std::optional<BatchNorm<Device>> downsample_norm_;
};

}  // namespace nn

template <class Device>
class ResNet {
 public:
  template <class Run>
  using Features = std::array<fn::ValueOf<Run>, 3>;  // layer1, layer2, layer3

  ResNet(const Params<Device>& p, ResNetConfig config)
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
    if (config_.classes > 0)
      fc_.emplace(p / "fc", typename nn::Linear<Device>::Config{.in = in, .out = config_.classes});
  }

  const ResNetConfig& config() const { return config_; }
  // Channels of layer1, layer2, layer3.
  int channels(int layer) const { return (config_.width << (layer - 1)) * config_.expansion(); }

  // x [n, h, w, 3], normalised  ->  [n, h/4, w/4, ..], [n, h/8, w/8, ..], [n, h/16, w/16, ..]
  template <class Run>
  Features<Run> features(Run& run, fn::ValueOf<Run> x, bool training = false) const {
    Features<Run> out;
    auto h = stem(run, std::move(x), training);
    for (std::size_t layer = 0; layer < 3; ++layer) {
      for (const auto& block : layers_[layer]) h = block(run, std::move(h), training);
      out[layer] = h;
    }
    return out;
  }

  // x as above  ->  logits [n, classes]
  template <class Run>
  fn::ValueOf<Run> classify(Run& run, fn::ValueOf<Run> x, bool training = false) const {
    D3AD_CHECK(fc_, "ResNet: this network was made without classes, it has no fc");
    auto h = stem(run, std::move(x), training);
    for (const auto& layer : layers_)
      for (const auto& block : layer) h = block(run, std::move(h), training);
    return (*fc_)(run, fn::global_avg_pool(run, std::move(h)));
  }

 private:
  template <class Run>
  fn::ValueOf<Run> stem(Run& run, fn::ValueOf<Run> x, bool training) const {
    D3AD_CHECK(x.shape().c == 3 && x.shape().h >= 16 && x.shape().w >= 16, "ResNet: image ", x.shape(),
               ", expected 3 channels and at least 16 x 16 pixels");
    auto h = training ? bn1_(run, conv1_(run, std::move(x)), true)
                      : conv1_(run, std::move(x), nn::ResNetBlock<Device>::template around<Run>(bn1_));
    return fn::max_pool3(run, std::move(h));
  }

  ResNetConfig config_;
  nn::Conv2d<Device> conv1_;
  nn::BatchNorm<Device> bn1_;
  std::array<std::vector<nn::ResNetBlock<Device>>, 4> layers_;
  std::optional<nn::Linear<Device>> fc_;
};

}  // namespace d3ad
