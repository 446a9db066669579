#pragma once
// What the kinds of reference files have in common: reading them, finding their weights, comparing.

#include <d3ad/d3ad.hpp>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace program {

// Tolerances (METHOD): of the largest wanted value.
inline constexpr double kNetwork = 1e-4, kGradient = 1e-3, kExactMath = 1e-5;

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
  ReferenceFile(const std::filesystem::path& path, std::vector<std::filesystem::path> look_in);

  std::string text(const std::string& key) const;  // of the metadata; an Error where it is missing
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
  // `got` is channels last, of a device whose memory is the host's.
  template <class T, class Device>
  void compare(Comparisons& all, const std::string& name, d3ad::View<T, Device> got, double tolerance) const {
    compare_numbers(all, name, std::vector<float>(got.data, got.data + got.size()), tolerance);
  }

  std::shared_ptr<const d3ad::SafetensorsFile> file;
  int threads = 0;

 private:
  void compare_numbers(Comparisons& all, const std::string& name, const std::vector<float>& got,
                       double tolerance) const;

  std::vector<std::filesystem::path> look_in_;
};

inline d3ad::Value<float, d3ad::Cpu> borrow(const d3ad::Tensor<float, d3ad::Cpu>& t) {
  return d3ad::Value<float, d3ad::Cpu>::borrow(t.view());
}

// One for each kind (verify_networks.cpp, verify_method.cpp).
void verify_schedule(const ReferenceFile& reference, Comparisons& all);
void verify_resize(const ReferenceFile& reference, Comparisons& all);
void verify_unet(const ReferenceFile& reference, Comparisons& all);
void verify_vae(const ReferenceFile& reference, Comparisons& all);
void verify_tae(const ReferenceFile& reference, Comparisons& all);
void verify_resnet(const ReferenceFile& reference, Comparisons& all);
void verify_reconstruct(const ReferenceFile& reference, Comparisons& all);
void verify_train_unet(const ReferenceFile& reference, Comparisons& all);
void verify_adapt_resnet(const ReferenceFile& reference, Comparisons& all);
void verify_dic(const ReferenceFile& reference, Comparisons& all);
void verify_anomaly_map(const ReferenceFile& reference, Comparisons& all);
void verify_metrics(const ReferenceFile& reference, Comparisons& all);

}  // namespace program
