#pragma once
// D3AD as a detection method (methods/method.hpp): the algorithm with a trained UNet, an adapted extractor and the
// features of the good images.
//
//   const D3adMethod<Cpu>& d3ad = as_d3ad(detector.method());   // Error if the model's method is another one
//   d3ad.algorithm().reconstruct(ctx, z0, T_hat);
//
// Its part of a model's folder: unet.safetensors, dic.safetensors (features of the good images, bins of their distances)
// and the fine-tuned extractor. How it learns is methods/d3ad/learner.hpp's.

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/core/compiled.hpp"
#include "d3ad/methods/d3ad/algorithm.hpp"
#include "d3ad/methods/learning.hpp"
#include "d3ad/methods/method.hpp"

namespace d3ad {

template <class Device>
class D3adMethod final : public Method<Device> {
 public:
  using V = Value<float, Device>;
  static MethodInfo info();
  D3adMethod(const MethodInfo& info, std::shared_ptr<PretrainedNetworks<Device>> networks, Settings settings)
      : Method<Device>(info, std::move(networks), std::move(settings)), learned_(std::make_shared<Learned>()) {}

  // Defined with the learner: include methods/d3ad/learner.hpp for it.
  void learn(Learning<Device>& learning, Stage from);
  void save(const ModelFolder& folder) const override;
  void describe(ModelConfig& config) const override { config.unet = learned_->unet->config(); }
  void load(Context<Device>& ctx, const ModelFolder& folder, const ModelConfig& config, Stage before) override;
  std::vector<ParameterStore<Device>*> stores() override { return {learned_->unet.store.get()}; }

  MethodOutput<Device> analyse(Context<Device>& ctx, V x, BatchPlace place) override;
  V anomaly_map(Context<Device>& ctx, const std::vector<V>& maps, const anomaly::Ranges& ranges) override;
  std::size_t measured() const override { return 1; }  // the distance
  std::vector<std::vector<float>> attributes(const std::vector<float>& measured, std::size_t images) const override;
  std::vector<std::vector<float>> learned_attributes() const override;
  std::unique_ptr<Method<Device>> with(const Settings& settings) const override;
  std::vector<V> compare_again(Context<Device>& ctx, V x, const MethodOutput<Device>& found) override;

  // The networks and settings at work, on which everything above is computed.
  D3adAlgorithm<Device> algorithm() const {
    const auto& networks = this->networks();
    return {*networks.vae,      *learned_->unet,  *networks.extractor,
            learned_->schedule, this->settings(), learned_->at_work ? &learned_->loop : nullptr};
  }
  // The good images' features, on the host and on the device.
  const ImplicitConditioning& conditioning() const { return learned_->good->host(); }
  const ConditioningOn<Device>& conditioning_on_device() const { return *learned_->good; }

 private:
  // What copies with other settings share.
  struct Learned {
    Loaded<UNet<Device>, Device> unet;
    std::optional<ConditioningOn<Device>> good;
    Schedule schedule;
    DenoiseLoop<Device> loop;
    bool at_work = false;  // the networks are frozen for good
  };

  std::shared_ptr<Learned> learned_;
};

template <class Device>
D3adMethod<Device>& as_d3ad(Method<Device>& method) {
  auto* d3ad = dynamic_cast<D3adMethod<Device>*>(&method);
  D3AD_CHECK(d3ad, "this is about D3AD's way, and the model's method is ", method.info().name);
  return *d3ad;
}

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/methods/d3ad/method-inl.hpp"
#endif
