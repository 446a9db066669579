#pragma once
// Where a network's tensors come from: a file, a hash of their names, or a random start.
//
//   FileSource file("resnet34.safetensors");             under any published spelling (weights/published_names.hpp)
//   ResNet<Cpu> net({store, file}, ...);                 reads what it needs; Error if something is missing
//   file.check_all_read([](const std::string& name) { return name.starts_with("fc."); });   Error if one was not read
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
#include "d3ad/core/compiled.hpp"
#include "d3ad/core/rng.hpp"
#include "d3ad/weights/checkpoint.hpp"
#include "d3ad/weights/hash_weights.hpp"
#include "d3ad/weights/published_names.hpp"

namespace d3ad {

// How a tensor starts if there is no file. fan_in: uniform in +-1/sqrt(fan_in), PyTorch's default for weights and
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
  // Reads prefix + name; tensors outside the prefix do not count.
  explicit FileSource(const std::filesystem::path& path, std::string prefix = "");
  explicit FileSource(std::shared_ptr<const Checkpoint> file, std::string prefix = "");

  const Checkpoint& file() const { return *file_; }
  // The shape in the file of a tensor it has, and a note that it is accounted for (for listings: nothing is read).
  const std::vector<std::int64_t>& dims(const std::string& name) const { return file_->dims(find(name)); }
  void mark_read(const std::string& name) { read_.insert(find(name)); }
  bool has(const std::string& name) const override { return !find(name).empty(); }
  std::string describe() const override { return file_->path(); }

  // From here on what is missing reads as zeros, until check_all_read() names all of it.
  void note_missing() { notes_missing_ = true; }

  void read(const TensorRequest& request, float* out) override;

  // Names (as in the file) that nobody read; without num_batches_tracked and what `ignore` says.
  using Ignore = std::function<bool(const std::string& name)>;
  std::vector<std::string> left_over(const Ignore& ignore = {}) const;
  // Error if the file lacked something or holds more than was read: it is then another network than the one it was
  // read into. Names each, with the name most like it.
  void check_all_read(const Ignore& ignore = {}) const;

 private:
  // The name in the file, or nothing.
  std::string find(const std::string& name) const;
  struct Named {
    std::string name;  // as in the file
    std::vector<std::int64_t> dims;
  };
  static std::vector<std::string> names_of(const std::vector<Named>& tensors);
  static std::string listed(const std::vector<Named>& tensors, const std::vector<std::string>& known);
  static std::vector<std::int64_t> trimmed(std::vector<std::int64_t> dims);

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
  void read(const TensorRequest& request, float* out) override;
  std::string describe() const override { return "hash weights '" + prefix_ + "'"; }

 private:
  std::string prefix_;
};

// Each tensor has its own stream of random numbers, named after it: the order of reading does not matter.
class InitSource : public WeightSource {
 public:
  explicit InitSource(std::uint64_t seed) : seed_(seed) {}

  bool has(const std::string&) const override { return true; }
  void read(const TensorRequest& request, float* out) override;
  std::string describe() const override { return concat("a random start with seed ", seed_); }

 private:
  std::uint64_t seed_;
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/weights/source-inl.hpp"
#endif
