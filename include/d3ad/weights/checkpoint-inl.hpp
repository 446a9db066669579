#pragma once
// Definitions of weights/checkpoint.hpp. Included by it unless they are compiled.

#include <nlohmann/json.hpp>

#include "d3ad/weights/checkpoint.hpp"

namespace d3ad {

D3AD_INLINE Checkpoint::Checkpoint(const std::filesystem::path& path) : path_(path.string()) {
  for (const char* ending : {".pth", ".pt", ".ckpt", ".bin"})
    D3AD_CHECK(path.extension() != ending, "'", path_,
               "' is a file of PyTorch's, expected safetensors; convert it: ", "python3 weights_tools convert ",
               path.filename().string(), " -o ", path.stem().string(), ".safetensors");
  if (is_index(path))
    open_shards(path);
  else
    files_.emplace_back(path);
  for (std::size_t i = 0; i < files_.size(); ++i)
    for (std::string& name : files_[i].names()) where_.emplace(std::move(name), i);
}

D3AD_INLINE Checkpoint::Checkpoint(SafetensorsFile file) : path_(file.path()) {
  files_.push_back(std::move(file));
  for (std::string& name : files_[0].names()) where_.emplace(std::move(name), 0);
}

D3AD_INLINE std::size_t Checkpoint::file_bytes() const {
  std::size_t bytes = 0;
  for (const SafetensorsFile& file : files_) bytes += file.file_bytes();
  return bytes;
}

D3AD_INLINE const std::map<std::string, std::string>& Checkpoint::metadata() const {
  for (const SafetensorsFile& file : files_)
    if (!file.metadata().empty()) return file.metadata();
  return files_[0].metadata();
}

D3AD_INLINE std::vector<std::string> Checkpoint::names() const {  // sorted
  std::vector<std::string> all;
  all.reserve(where_.size());
  for (const auto& [name, file] : where_) all.push_back(name);
  return all;
}

D3AD_INLINE const SafetensorsFile& Checkpoint::file_of(std::string_view name) const {
  const auto found = where_.find(name);
  if (found == where_.end()) fail(path_, ": there is no tensor '", printable(name), "'", nearest_names(names(), name));
  return files_[found->second];
}

D3AD_INLINE void Checkpoint::open_shards(const std::filesystem::path& index) {
  constexpr std::size_t kLargestIndex = std::size_t{1} << 26, kMostShards = 1000;
  const auto json = nlohmann::json::parse(read_file(index, kLargestIndex), nullptr, false);
  const bool usable =
      json.is_object() && json.contains("weight_map") && json["weight_map"].is_object() && !json["weight_map"].empty();
  D3AD_CHECK(usable, "'", path_, "' is no index of shards: a JSON object with 'weight_map' was expected; get it anew");
  std::map<std::string, std::vector<std::string>> shards;
  for (const auto& [name, shard] : json["weight_map"].items()) {
    D3AD_CHECK(shard.is_string(), "'", path_, "': the shard of '", printable(name), "' is not text; get it anew");
    const std::string file = shard.get<std::string>();
    D3AD_CHECK(is_plain_name(file), "'", path_, "' names the shard '", printable(file),
               "'; shards lie in the index's own folder, do not use this index");
    shards[file].push_back(name);
  }
  D3AD_CHECK(shards.size() <= kMostShards, "'", path_, "' names ", shards.size(), " shards, expected at most ",
             kMostShards);
  for (const auto& [file, tensors] : shards) {
    const SafetensorsFile& shard = files_.emplace_back(index.parent_path() / file);
    for (const std::string& name : tensors)
      D3AD_CHECK(shard.has(name), "'", path_, "' says that '", printable(name), "' is in '", file,
                 "', but it is not; get the shards anew");
    D3AD_CHECK(shard.size() == tensors.size(), "'", shard.path(), "' holds ", shard.size(), " tensors, '", path_,
               "' says ", tensors.size(), "; get the shards anew");
  }
}

D3AD_INLINE bool Checkpoint::is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.size() <= 255 && name.ends_with(".safetensors") &&
         std::none_of(name.begin(), name.end(),
                      [](char c) { return c == '/' || c == '\\' || static_cast<unsigned char>(c) < 0x20; });
}

}  // namespace d3ad
