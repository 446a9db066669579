#pragma once
// A detection method: what learns from good images, maps an image to what is wrong with it, and is kept in a model's
// folder. Calibration, threshold, batching, tiles, staging, processes, evaluation, report and ablation are written over
// this class once.
//
//   template <class Device>
//   class Darkness final : public Method<Device> {              // the darker, the more wrong
//    public:
//     static MethodInfo info() { return {.name = "darkness", .title = "darkness", .maps = {"darkness"}}; }
//     using Method<Device>::Method;
//     void learn(Learning<Device>&, Stage) {}
//     MethodOutput<Device> analyse(Context<Device>& ctx, V x, BatchPlace) override { ... }
//   };
//   const MethodRegistration<Darkness, Cpu> darkness;           // methods/registry.hpp
//
// learn() is no virtual function, and a table of its own calls it (methods/learners.hpp), so that a program which only
// detects does not compile what trains. Everything else is one: a call computes a whole batch, so that one virtual call of it costs nothing; inside, device and element type are
// template parameters.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/anomaly/map.hpp"
#include "d3ad/anomaly/score.hpp"
#include "d3ad/core/value.hpp"
#include "d3ad/model/method_info.hpp"
#include "d3ad/model/model_folder.hpp"
#include "d3ad/model/networks.hpp"
#include "d3ad/model/settings.hpp"

namespace d3ad {

// The pretrained networks that a method may need (MethodInfo); one that it does not need is empty.
template <class Device>
struct PretrainedNetworks {
  Loaded<Autoencoder<Device>, Device> vae;
  Loaded<ResNet<Device>, Device> extractor;
};

// Where a batch stands.
struct BatchPlace {
  std::uint64_t first = 0;     // the number of its first image, which random draws depend on
  std::int64_t left_out = -1;  // its images are the good pieces from this one on, and must not find themselves; -1: new
};

// What a method says of a batch of n images, on the device.
template <class Device>
struct MethodOutput {
  std::vector<Value<float, Device>> maps;  // raw maps in the order of MethodInfo::maps, each [n, size, size, 1]
  Value<float, Device> reconstruction;     // [n, size, size, 3] in about [-1, 1], if it reconstructs
  Value<float, Device> measured;           // m numbers of each image, [n, 1, 1, m], from which attributes() are made
  Value<float, Device> score;              // [n], if it scores images itself
};

template <class Device>
class Method {
 public:
  using V = Value<float, Device>;
  using Networks = PretrainedNetworks<Device>;

  Method(const MethodInfo& info, std::shared_ptr<Networks> networks, Settings settings)
      : info_(&info), networks_(std::move(networks)), settings_(std::move(settings)) {}
  virtual ~Method() = default;

  const MethodInfo& info() const { return *info_; }
  const Settings& settings() const { return settings_; }
  // Of detection alone: what was learned stays.
  void set_settings(Settings settings) { settings_ = std::move(settings); }
  Networks& networks() const { return *networks_; }
  const std::shared_ptr<Networks>& shared_networks() const { return networks_; }
  std::int64_t size() const { return settings_.data.image_size; }

  // ---- kept in a folder ----

  // Writes the files of MethodInfo::files, each replaced as a whole.
  virtual void save(const ModelFolder& folder) const { static_cast<void>(folder); }
  // What config.json says of the method's own networks.
  virtual void describe(ModelConfig& config) const { static_cast<void>(config); }
  // Reads what the stages before `before` have learned; all of it for a model at work (Stage::detect).
  virtual void load(Context<Device>& ctx, const ModelFolder& folder, const ModelConfig& config, Stage before) {
    static_cast<void>(ctx), static_cast<void>(folder), static_cast<void>(config), static_cast<void>(before);
  }
  // Stores of parameters besides those of the pretrained networks, for a model at work to freeze or to narrow.
  virtual std::vector<ParameterStore<Device>*> stores() { return {}; }

  // ---- at work ----

  // x [n, size, size, 3] in [-1, 1].
  virtual MethodOutput<Device> analyse(Context<Device>& ctx, V x, BatchPlace place) = 0;

  // The anomaly map [n, h, w, 1] of raw maps of any size, scaled to their ranges. Of a method with one raw map: that
  // one, blurred, whatever its range.
  virtual V anomaly_map(Context<Device>& ctx, const std::vector<V>& maps, const anomaly::Ranges& ranges) {
    D3AD_CHECK(maps.size() == 1 && ranges.size() == 1, "method ", info().name, ": ", maps.size(), " raw maps and ",
               ranges.size(), " ranges, expected one");
    auto out = make_value<float>(ctx, maps.front().shape());
    const auto sigma = static_cast<float>(settings().map.sigma);
    ops::gaussian_blur(ctx, out.view(), maps.front().view(), sigma, anomaly::blur_radius(sigma));
    return out;
  }

  // Numbers of MethodOutput::measured for an image.
  virtual std::size_t measured() const { return 0; }
  // The attributes of each image of a batch, in the order of MethodInfo::attributes, from what was measured of it.
  virtual std::vector<std::vector<float>> attributes(const std::vector<float>& measured, std::size_t images) const {
    std::vector<std::vector<float>> out(images);
    for (std::size_t i = 0; i < measured.size(); ++i) out[i * images / measured.size()].push_back(measured[i]);
    return out;
  }
  // The attributes of the good pieces that were learned from, if they are known.
  virtual std::vector<std::vector<float>> learned_attributes() const { return {}; }

  // The same method, which shares what was learned, with other settings of detection.
  virtual std::unique_ptr<Method> with(const Settings& settings) const = 0;
  // The raw maps under these settings of what another's analysis of x found, if theirs differ from Stage::map on.
  virtual std::vector<V> compare_again(Context<Device>& ctx, V x, const MethodOutput<Device>& found) {
    static_cast<void>(ctx), static_cast<void>(x);
    return found.maps;
  }

 private:
  const MethodInfo* info_;
  std::shared_ptr<Networks> networks_;
  Settings settings_;
};

// The anomaly map of one image's raw maps on the host, [h x w].
template <class Device>
std::vector<float> map_of(Context<Device>& ctx, Method<Device>& method, const anomaly::RawMaps& raw,
                          const anomaly::Ranges& ranges) {
  const auto map = method.anomaly_map(ctx, anomaly::to_device(ctx, raw), ranges);
  std::vector<float> host(static_cast<std::size_t>(map.shape().size()));
  copy_to_host(host.data(), View<const float, Device>(map.view()));
  return host;
}

// An image's score: its map's maximum, or the method's own.
inline float score_of(const MethodInfo& info, const anomaly::RawMaps& raw, const std::vector<float>& map) {
  return info.scores ? raw.score : *std::max_element(map.begin(), map.end());
}

}  // namespace d3ad
