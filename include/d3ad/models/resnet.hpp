#pragma once
// ResNet-18/34/50/101 and Wide-ResNet-50/101-2 under torchvision's names: the feature extractor, and a classifier if
// layer4 and fc are wanted.
//
//   ResNet<Cpu> net({store, source}, ResNetConfig::named("resnet34"));
//   auto f = net.features(run, imagenet_input(run, x));   // x [n, h, w, 3] in [-1, 1] -> layer1, layer2, layer3
//
// Like torchvision's, the network takes images normalised by ImageNet's mean and deviation. `training` uses the batch's
// statistics and updates the running ones, as PyTorch's train mode does.

#include <array>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/core/compiled.hpp"
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

void to_json(nlohmann::json& j, const ResNetConfig& c);
void from_json(const nlohmann::json& j, ResNetConfig& c);

namespace detail {

// factor[c] * x + offset[c] is what imagenet_input computes; backward: factor[c] * x + zero[c].
template <class Device>
struct ImagenetLine {
  Tensor<Weight<Device>, Device> factor{Shape{.c = 3}}, offset{Shape{.c = 3}}, zero{Shape{.c = 3}};

  ImagenetLine() {
    constexpr double kMean[3] = {0.485, 0.456, 0.406}, kDeviation[3] = {0.229, 0.224, 0.225};
    Weight<Device> f[3], o[3], z[3] = {};
    for (int c = 0; c < 3; ++c) {
      f[c] = static_cast<Weight<Device>>(0.5 / kDeviation[c]);
      o[c] = static_cast<Weight<Device>>((0.5 - kMean[c]) / kDeviation[c]);
    }
    copy_from_host(factor.view(), f);
    copy_from_host(offset.view(), o);
    copy_from_host(zero.view(), z);
  }
};

}  // namespace detail

// ((x + 1) / 2 - mean) / deviation with ImageNet's numbers, which the context keeps: x [n, h, w, 3] in [-1, 1].
template <class Run>
fn::ValueOf<Run> imagenet_input(Run& run, fn::ValueOf<Run> x) {
  auto& line = context_of(run).template kept<detail::ImagenetLine<typename Run::device>>();
  auto out = fn::reuse(run, x);
  ops::scale_channels(context_of(run), out.view(), x.view(), line.factor.view(), line.offset.view());
  return fn::recorded_for(run, std::move(out), slot_of(x), [&line](auto& ctx, auto dx, auto& dy) {
    ops::scale_channels(ctx, dx, dy.view(), line.factor.view(), line.zero.view());
  });
}

namespace nn {

// BasicBlock (conv1, conv2) or Bottleneck (conv1 1x1, conv2 3x3 with the stride, conv3 1x1), downsample.{0,1}.
template <class Device>
class ResNetBlock {
 public:
  ResNetBlock(const Params<Device>& p, int in, int width, int stride, const ResNetConfig& c);

  template <class Run>
  fn::ValueOf<Run> operator()(Run& run, fn::ValueOf<Run> x, bool training) const;

  // A batch norm that does not train, for the convolution before it.
  template <class Run>
  static fn::ConvFusion<Run> fusion(const BatchNorm<Device>& norm);

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

  ResNet(const Params<Device>& p, ResNetConfig config);

  const ResNetConfig& config() const { return config_; }
  // Channels of layer1, layer2, layer3.
  int channels(int layer) const { return (config_.width << (layer - 1)) * config_.expansion(); }

  // x [n, h, w, 3], normalised  ->  [n, h/4, w/4, ..], [n, h/8, w/8, ..], [n, h/16, w/16, ..]
  template <class Run>
  Features<Run> features(Run& run, fn::ValueOf<Run> x, bool training = false) const;

  // x as above  ->  logits [n, classes]
  template <class Run>
  fn::ValueOf<Run> classify(Run& run, fn::ValueOf<Run> x, bool training = false) const;

 private:
  template <class Run>
  fn::ValueOf<Run> stem(Run& run, fn::ValueOf<Run> x, bool training) const;

  ResNetConfig config_;
  nn::Conv2d<Device> conv1_;
  nn::BatchNorm<Device> bn1_;
  std::array<std::vector<nn::ResNetBlock<Device>>, 4> layers_;
  std::optional<nn::Linear<Device>> fc_;
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/models/resnet-inl.hpp"
#endif
