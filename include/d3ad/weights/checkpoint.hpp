#pragma once
// The tensors of one safetensors file, or of the shards that an index names, as if they were one file.
//
//   Checkpoint checkpoint("diffusion_pytorch_model.safetensors.index.json");     or a plain .safetensors
//   checkpoint.names(), checkpoint.dims(n), checkpoint.floats(n)                 as SafetensorsFile
//
// An index is JSON: {"weight_map": {"conv.weight": "model-00001-of-00002.safetensors", ...}}. Shards lie in the index's
// own folder, each tensor in the shard the index says, and nothing else in them.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "d3ad/core/compiled.hpp"
#include "d3ad/core/file.hpp"
#include "d3ad/weights/safetensors.hpp"

namespace d3ad {

class Checkpoint {
 public:
  explicit Checkpoint(const std::filesystem::path& path);
  // A file that is in memory, or opened already.
  explicit Checkpoint(SafetensorsFile file);

  static bool is_index(const std::filesystem::path& path) { return path.string().ends_with(".index.json"); }

  const std::string& path() const { return path_; }
  const std::vector<SafetensorsFile>& files() const { return files_; }  // one, or the shards by name
  std::size_t size() const { return where_.size(); }                    // number of tensors
  std::size_t file_bytes() const;
  // Of the first file that has any: shards repeat it.
  const std::map<std::string, std::string>& metadata() const;

  std::vector<std::string> names() const;
  bool has(std::string_view name) const { return where_.find(name) != where_.end(); }
  const std::vector<std::int64_t>& dims(std::string_view name) const { return file_of(name).dims(name); }
  DType dtype(std::string_view name) const { return file_of(name).dtype(name); }
  std::int64_t count(std::string_view name) const { return file_of(name).count(name); }
  std::span<const std::byte> bytes(std::string_view name) const { return file_of(name).bytes(name); }
  void read_floats(std::string_view name, float* out) const { file_of(name).read_floats(name, out); }
  std::vector<float> floats(std::string_view name) const { return file_of(name).floats(name); }
  void release_pages(std::string_view name) const { file_of(name).release_pages(name); }

 private:
  const SafetensorsFile& file_of(std::string_view name) const;

  // Shard -> number of tensors the index says are in it, checked against what is.
  void open_shards(const std::filesystem::path& index);
  // A file's name and nothing of a path.
  static bool is_plain_name(const std::string& name);

  std::string path_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, std::size_t, std::less<>> where_;  // tensor -> its file
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/weights/checkpoint-inl.hpp"
#endif
