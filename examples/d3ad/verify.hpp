#pragma once
// What the kinds of reference files have in common: reading them, finding their weights, the device, comparing.

#include <d3ad/d3ad.hpp>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "program.hpp"

namespace program {

// Prints a line for each comparison and counts those that are over their tolerance.
class Comparisons {
 public:
  void add(const std::string& name, std::span<const double> got, std::span<const double> want, double tolerance);
  // 8-bit images: at most `levels` apart.
  void add_levels(const std::string& name, std::span<const double> got, std::span<const double> want, double levels);
  int failed() const { return failed_; }
  int compared() const { return compared_; }

 private:
  int failed_ = 0, compared_ = 0;
};

class ReferenceFile {
 public:
  ReferenceFile(const std::filesystem::path& path, std::vector<std::filesystem::path> look_in, CommonOptions common);

  std::string text(const std::string& key) const;  // of the metadata; an Error if it is missing
  std::string text(const std::string& key, const std::string& otherwise) const;
  double number(const std::string& key) const;
  double number(const std::string& key, double otherwise) const;
  nlohmann::json config() const;

  // A file it names: beside it, in the working directory, in --weights.
  std::filesystem::path find(const std::string& name) const;
  // The weights it was made with: hash weights, or a file.
  std::unique_ptr<d3ad::WeightSource> weights() const;

  d3ad::Tensor<float, d3ad::Cpu> tensor(const std::string& name) const;  // channels last
  std::vector<double> doubles(const std::string& name) const;            // file order
  std::vector<std::int32_t> integers(const std::string& name) const;
  // The same on a device, as activations.
  template <class Device>
  d3ad::Value<d3ad::Real<Device>, Device> activations(d3ad::Context<Device>& ctx, const std::string& name) const {
    return d3ad::fn::to_real(ctx, weights_like(ctx, name));
  }
  // The same on a device, as what walks through many steps (core/tensor.hpp: Weight).
  template <class Device>
  d3ad::Value<d3ad::Weight<Device>, Device> weights_like(d3ad::Context<Device>& ctx, const std::string& name) const {
    const auto host = tensor(name);
    const std::vector<d3ad::Weight<Device>> numbers(host.data(), host.data() + host.size());
    auto out = make_value<d3ad::Weight<Device>>(ctx, host.shape());
    copy_from_host(out.view(), numbers.data());
    return out;
  }
  // `got` is channels last, on any device; its numbers are multiplied by the factor.
  template <class T, class Device>
  void compare(Comparisons& all, const std::string& name, d3ad::View<T, Device> got, double tolerance,
               double factor = 1) const {
    using Number = std::remove_const_t<T>;
    std::vector<Number> host(static_cast<std::size_t>(got.size()));
    d3ad::copy_to_host<Number, Device>(host.data(), got);
    std::vector<float> numbers;
    for (const Number x : host) numbers.push_back(static_cast<float>(static_cast<double>(x) * factor));
    compare_numbers(all, name, numbers, tolerance);
  }

  std::shared_ptr<const d3ad::SafetensorsFile> file;
  const CommonOptions common;      // which device
  const d3ad::Tolerances allowed;  // in the precision of that

 private:
  void compare_numbers(Comparisons& all, const std::string& name, const std::vector<float>& got,
                       double tolerance) const;

  std::vector<std::filesystem::path> look_in_;
};

// One for each kind. What has no context computes on the host, whatever the device is (verify_method.cpp) ...
void verify_schedule(const ReferenceFile& reference, Comparisons& all);
void verify_resize(const ReferenceFile& reference, Comparisons& all);
void verify_dic(const ReferenceFile& reference, Comparisons& all);
void verify_metrics(const ReferenceFile& reference, Comparisons& all);
// ... the others on the device (verify_networks.cpp; the map in verify_method.cpp).
void verify_unet(const ReferenceFile& reference, Comparisons& all);
void verify_vae(const ReferenceFile& reference, Comparisons& all);
void verify_tae(const ReferenceFile& reference, Comparisons& all);
void verify_resnet(const ReferenceFile& reference, Comparisons& all);
void verify_reconstruct(const ReferenceFile& reference, Comparisons& all);
void verify_train_unet(const ReferenceFile& reference, Comparisons& all);
void verify_adapt_resnet(const ReferenceFile& reference, Comparisons& all);
void verify_anomaly_map(const ReferenceFile& reference, Comparisons& all);

}  // namespace program
