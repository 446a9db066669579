#pragma once
// Baseline: the mean of the good images. An image's raw map is its difference to that mean, averaged over the colours.
// Without any network it finds faults of parts that always lie in the same place (methods/method.hpp).

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "d3ad/methods/learning.hpp"
#include "d3ad/methods/method.hpp"

namespace d3ad {

template <class Device>
class MeanImage final : public Method<Device> {
 public:
  using V = Value<float, Device>;
  static constexpr const char* kFile = "mean.safetensors";

  static MethodInfo info() {
    return {.name = "mean_image",
            .title = "mean good image",
            .help = "compares with the mean of the good images, a baseline that uses no network",
            .reconstructs = true,
            .baseline = true,
            .maps = {"difference"},
            .files = {kFile},
            .attributes = {}};
  }
  using Method<Device>::Method;

  // One good image more, [size x size x 3] in [-1, 1].
  void add(const std::vector<float>& image) {
    sum_.resize(static_cast<std::size_t>(3 * this->size() * this->size()));
    D3AD_CHECK(image.size() == sum_.size(), "mean image: an input of ", image.size(), " numbers, expected ",
               sum_.size());
    for (std::size_t i = 0; i < sum_.size(); ++i) sum_[i] += double{image[i]};
    ++count_;
  }

  void learn(Learning<Device>& learning, Stage) {
    sum_.clear(), count_ = 0;
    learning.each_batch(
        "average", learning.good.pieces().size(), kLearningBatch, Learning<Device>::Readers::all,
        [&](parallel::Packet& packet, std::int64_t first, std::int64_t n) {
          const auto x = learning.good.load(learning.ctx, learning.good.pieces(), first, n);
          std::vector<float> host(static_cast<std::size_t>(x.shape().size() / n));
          for (std::int64_t i = 0; i < n; ++i) {
            copy_to_host(host.data(), View<const float, Device>(x.view().images(i, 1)));
            packet.put(host);
          }
        },
        [&](parallel::PacketReader& reader) {
          std::vector<float> image;
          reader.get(image);
          add(image);
        });
  }

  void save(const ModelFolder& folder) const override {
    const auto value = mean();
    SafetensorsWriter writer;
    writer.add_floats("mean", {this->size(), this->size(), 3}, value.data());
    writer.write(folder / kFile);
  }
  void load(Context<Device>&, const ModelFolder& folder, const ModelConfig&, Stage before) override {
    if (before < Stage::detect) return;
    const SafetensorsFile file(folder / kFile);
    const auto value = file.floats("mean");
    sum_.clear(), count_ = 0;
    add(value);
  }

  MethodOutput<Device> analyse(Context<Device>& ctx, V x, BatchPlace) override {
    const Shape s = x.shape();
    const auto value = mean();
    MethodOutput<Device> out;
    out.reconstruction = make_value<float>(ctx, s);
    for (std::int64_t i = 0; i < s.n; ++i) copy_from_host(out.reconstruction.view().images(i, 1), value.data());
    auto difference = make_value<float>(ctx, {s.n, s.h, s.w, 1});
    ops::channel_l1(ctx, difference.view(), x.view(), out.reconstruction.view());
    out.maps.push_back(std::move(difference));
    return out;
  }

  std::unique_ptr<Method<Device>> with(const Settings& settings) const override {
    auto other = std::make_unique<MeanImage>(*this);
    other->set_settings(settings);
    return other;
  }

 private:
  std::vector<float> mean() const {
    D3AD_CHECK(count_ > 0, "mean image: there are no good images");
    std::vector<float> mean;
    for (const double s : sum_) mean.push_back(static_cast<float>(s / count_));
    return mean;
  }

  std::vector<double> sum_;
  int count_ = 0;
};

}  // namespace d3ad
