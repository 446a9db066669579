#pragma once
// Baseline: the VAE alone. An image's raw map compares its features with those of its VAE's reconstruction, as D3AD's
// feature map does, but nothing is denoised and nothing learned (methods/method.hpp).

#include <memory>
#include <utility>
#include <vector>

#include "d3ad/autograd/convert.hpp"
#include "d3ad/methods/learning.hpp"
#include "d3ad/methods/method.hpp"

namespace d3ad {

struct VaeOnlySettings {
  std::vector<int> layers{2, 3};

  void describe(OptionTable& table) {
    table.group("VAE alone", Stage::map);
    table.add(layers, {.name = "map_layers",
                       .help = "Layers of the feature extractor that the feature map compares, with commas between",
                       .least = 1,
                       .most = 3});
  }
};

template <class Device>
class VaeOnly final : public Method<Device> {
 public:
  using V = Value<float, Device>;

  static MethodInfo info() {
    return {.name = "vae_only",
            .title = "VAE alone",
            .help = "compares with the VAE's reconstruction, a baseline that learns nothing",
            .needs_vae = true,
            .needs_extractor = true,
            .reconstructs = true,
            .baseline = true,
            .maps = {"feature"},
            .files = {},
            .attributes = {},
            .settings = MethodSettings(VaeOnlySettings{})};
  }
  using Method<Device>::Method;

  void learn(Learning<Device>&, Stage) {}  // nothing

  MethodOutput<Device> analyse(Context<Device>& ctx, V x, BatchPlace) override {
    const auto& vae = *this->networks().vae;
    MethodOutput<Device> out;
    auto z = fn::to_weight(ctx, vae.encode(ctx, fn::to_real(ctx, V(x)), {}));
    out.reconstruction = fn::to_weight(ctx, vae.decode(ctx, fn::to_real(ctx, std::move(z))));
    out.maps = compare_again(ctx, std::move(x), out);
    return out;
  }

  std::unique_ptr<Method<Device>> with(const Settings& settings) const override {
    auto other = std::make_unique<VaeOnly>(*this);
    other->set_settings(settings);
    return other;
  }

  std::vector<V> compare_again(Context<Device>& ctx, V x, const MethodOutput<Device>& found) override {
    const auto seen = features(ctx, std::move(x)), expected = features(ctx, found.reconstruction);
    return {anomaly::feature_map(ctx, seen, expected, this->size())};
  }

 private:
  std::vector<Value<Real<Device>, Device>> features(Context<Device>& ctx, V x) const {
    const auto all = this->networks().extractor->features(ctx, imagenet_input(ctx, fn::to_real(ctx, std::move(x))));
    std::vector<Value<Real<Device>, Device>> chosen;
    for (const int layer : this->settings().own.template get<VaeOnlySettings>().layers)
      chosen.push_back(all[static_cast<std::size_t>(layer - 1)]);
    return chosen;
  }
};

}  // namespace d3ad
