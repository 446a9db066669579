#pragma once
// Where a network's tensors come from: a file, a hash of their names, or a random start.
//
//   FileSource file("resnet34.safetensors");             under any published spelling (weights/published_names.hpp)
//   ResNet<Cpu> net({store, file}, ...);                 reads what it needs; Error where something is missing
//   file.check_all_read([](const std::string& name) { return name.starts_with("fc."); });   ... or left over
//   file.note_missing();                                 before the network: check_all_read names all that is missing
//
//   HashSource hash("unet.");                            weights/hash_weights.hpp
//   InitSource random(seed);                             PyTorch's default start
//
// A source fills tensors in the file's axis order (weights/layout.hpp).

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/core/check.hpp"
#include "d3ad/core/rng.hpp"
#include "d3ad/weights/checkpoint.hpp"
#include "d3ad/weights/hash_weights.hpp"
#include "d3ad/weights/published_names.hpp"

namespace d3ad {

// How a tensor starts where there is no file. fan_in: uniform in +-1/sqrt(fan_in), PyTorch's default for weights and
// biases of convolutions and linear layers.
enum class Init { zeros, ones, fan_in };

struct TensorRequest {
  std::string name;
  std::vector<std::int64_t> dims;  // file order
  Init init = Init::fan_in;
  std::int64_t fan_in = 1;
};

class WeightSource {
 public:
  virtual ~WeightSource() = default;
  virtual bool has(const std::string& name) const = 0;
  // Fills `out`, which has room for all elements, in the file's order.
  virtual void read(const TensorRequest& request, float* out) = 0;
  virtual std::string describe() const = 0;  // for sentences and reports
};

class FileSource : public WeightSource {
 public:
  // Reads prefix + name; tensors outside the prefix are none of its business.
  explicit FileSource(const std::filesystem::path& path, std::string prefix = "")
      : FileSource(std::make_shared<const Checkpoint>(path), std::move(prefix)) {}
  explicit FileSource(std::shared_ptr<const Checkpoint> file, std::string prefix = "")
      : file_(std::move(file)), prefix_(std::move(prefix)), published_(file_->names(), prefix_) {}

  const Checkpoint& file() const { return *file_; }
  // The shape in the file of a tensor it has, and a note that it is accounted for (for listings: nothing is read).
  const std::vector<std::int64_t>& dims(const std::string& name) const { return file_->dims(find(name)); }
  void mark_read(const std::string& name) { read_.insert(find(name)); }
  bool has(const std::string& name) const override { return !find(name).empty(); }
  std::string describe() const override { return file_->path(); }

  // From here on what is missing reads as zeros, until check_all_read() names all of it.
  void note_missing() { notes_missing_ = true; }

  void read(const TensorRequest& request, float* out) override {
    const std::string stored = find(request.name);
    asked_.push_back(prefix_ + request.name);
    if (stored.empty() && notes_missing_) {
      std::fill_n(out, dims_size(request.dims), 0.0f);
      missing_.push_back({prefix_ + request.name, request.dims});
      return;
    }
    if (stored.empty())
      fail(file_->path(), ": the tensor '", prefix_, request.name, "' ", dims_text(request.dims), " is missing",
           nearest_names(file_->names(), prefix_ + request.name), "; is this the right network and size?");
    D3AD_CHECK(trimmed(file_->dims(stored)) == trimmed(request.dims), file_->path(), ": tensor '", printable(stored),
               "' is ", dims_text(file_->dims(stored)), ", expected ", dims_text(request.dims),
               "; the file was made for another network or size");
    const DType type = file_->dtype(stored);
    D3AD_CHECK(type == DType::f32 || type == DType::f16 || type == DType::bf16 || type == DType::f64, file_->path(),
               ": tensor '", printable(stored), "' holds ", name(type), ", floating point numbers were expected");
    file_->read_floats(stored, out);
    const std::int64_t count = dims_size(request.dims);
    for (std::int64_t i = 0; i < count; ++i)
      D3AD_CHECK(std::isfinite(out[i]), file_->path(), ": tensor '", printable(stored), "' holds ", out[i],
                 " at element ", i, "; such weights are of no use, train or convert them again");
    file_->release_pages(stored);  // they are in `out` now, and should not count twice
    read_.insert(stored);
  }

  // Names (as in the file) that nobody read; without num_batches_tracked and what `ignore` says.
  using Ignore = std::function<bool(const std::string& name)>;
  std::vector<std::string> left_over(const Ignore& ignore = {}) const {
    std::vector<std::string> names;
    for (const std::string& name : file_->names()) {
      if (!name.starts_with(prefix_) || name.ends_with("num_batches_tracked") || read_.count(name)) continue;
      if (ignore && (ignore(name) || ignore(published_.own(name)))) continue;
      names.push_back(name);
    }
    return names;
  }
  // Error where the file lacked something or holds more than was read: it is then another network than the one it was
  // read into. Names each, with the name most like it.
  void check_all_read(const Ignore& ignore = {}) const {
    std::vector<Named> extra;
    for (std::string& name : left_over(ignore)) extra.push_back({name, file_->dims(name)});
    if (missing_.empty() && extra.empty()) return;
    std::string text;
    if (!missing_.empty())
      text += concat(": ", missing_.size(), missing_.size() == 1 ? " tensor is missing: " : " tensors are missing: ",
                     listed(missing_, extra.empty() ? file_->names() : names_of(extra)));
    if (!extra.empty())
      text += concat(text.empty() ? ": " : "; ", extra.size(), " of its ", file_->size(),
                     " tensors were not used: ", listed(extra, missing_.empty() ? asked_ : names_of(missing_)));
    fail(file_->path(), text, "; the file was made for another network or size");
  }

 private:
  // The name in the file, or nothing.
  std::string find(const std::string& name) const {
    const std::string* stored = published_.find(name);
    return stored ? *stored : "";
  }
  struct Named {
    std::string name;  // as in the file
    std::vector<std::int64_t> dims;
  };
  static std::vector<std::string> names_of(const std::vector<Named>& tensors) {
    std::vector<std::string> names;
    for (const Named& t : tensors) names.push_back(t.name);
    return names;
  }
  static std::string listed(const std::vector<Named>& tensors, const std::vector<std::string>& known) {
    constexpr std::size_t kShown = 5;
    std::string list;
    for (std::size_t i = 0; i < tensors.size() && i < kShown; ++i) {
      const std::string nearest = nearest_names(known, tensors[i].name, 1);  // "; the nearest is ..."
      list += (i ? ", '" : "'") + printable(tensors[i].name) + "' " + dims_text(tensors[i].dims);
      if (!nearest.empty()) list += " (" + nearest.substr(2) + ")";
    }
    if (tensors.size() > kShown) list += concat(" and ", tensors.size() - kShown, " more");
    return list;
  }
  static std::vector<std::int64_t> trimmed(std::vector<std::int64_t> dims) {
    while (!dims.empty() && dims.back() == 1) dims.pop_back();
    return dims;
  }

  std::shared_ptr<const Checkpoint> file_;
  std::string prefix_;
  PublishedNames published_;
  std::set<std::string> read_;
  bool notes_missing_ = false;
  std::vector<std::string> asked_;  // with the prefix
  std::vector<Named> missing_;
};

class HashSource : public WeightSource {
 public:
  explicit HashSource(std::string prefix = "") : prefix_(std::move(prefix)) {}

  bool has(const std::string&) const override { return true; }
  void read(const TensorRequest& request, float* out) override {
    hash_weights(prefix_ + request.name, request.dims, out);
  }
  std::string describe() const override { return "hash weights '" + prefix_ + "'"; }

 private:
  std::string prefix_;
};

// Each tensor has its own stream of random numbers, named after it: the order of reading does not matter.
class InitSource : public WeightSource {
 public:
  explicit InitSource(std::uint64_t seed) : seed_(seed) {}

  bool has(const std::string&) const override { return true; }
  void read(const TensorRequest& request, float* out) override {
    const std::int64_t count = dims_size(request.dims);
    if (request.init != Init::fan_in) {
      for (std::int64_t i = 0; i < count; ++i) out[i] = request.init == Init::ones ? 1.0f : 0.0f;
      return;
    }
    D3AD_CHECK(request.fan_in >= 1, "random start of '", request.name, "': fan_in ", request.fan_in,
               " is not positive; give the number of inputs of an output");
    const auto bound = static_cast<float>(1.0 / std::sqrt(static_cast<double>(request.fan_in)));
    const std::uint64_t stream = Rng::stream(request.name);
#pragma omp parallel for if (count > (1 << 16))
    for (std::int64_t block = 0; block < (count + 3) / 4; ++block) {  // as Rng(seed, stream).uniform(i), four at a time
      const Philox bits = Philox::block(seed_, stream, static_cast<std::uint64_t>(block));
      for (std::int64_t i = 4 * block; i < std::min(4 * block + 4, count); ++i) {
        const float unit = static_cast<float>(bits.v[i % 4] >> 8) * 0x1p-24f;  // [0, 1)
        out[i] = (2.0f * unit - 1.0f) * bound;
      }
    }
  }
  std::string describe() const override { return concat("a random start with seed ", seed_); }

 private:
  std::uint64_t seed_;
};

}  // namespace d3ad
