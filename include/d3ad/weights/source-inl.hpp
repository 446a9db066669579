#pragma once
// Definitions of weights/source.hpp. Included by it unless they are compiled.

#include "d3ad/weights/source.hpp"

namespace d3ad {

D3AD_INLINE FileSource::FileSource(const std::filesystem::path& path, std::string prefix)
    : FileSource(std::make_shared<const Checkpoint>(path), std::move(prefix)) {}

D3AD_INLINE FileSource::FileSource(std::shared_ptr<const Checkpoint> file, std::string prefix)
    : file_(std::move(file)), prefix_(std::move(prefix)), published_(file_->names(), prefix_) {}

D3AD_INLINE void FileSource::read(const TensorRequest& request, float* out) {
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

D3AD_INLINE std::vector<std::string> FileSource::left_over(const Ignore& ignore) const {
  std::vector<std::string> names;
  for (const std::string& name : file_->names()) {
    if (!name.starts_with(prefix_) || name.ends_with("num_batches_tracked") || read_.count(name)) continue;
    if (ignore && (ignore(name) || ignore(published_.own(name)))) continue;
    names.push_back(name);
  }
  return names;
}

D3AD_INLINE void FileSource::check_all_read(const Ignore& ignore) const {
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

D3AD_INLINE std::string FileSource::find(const std::string& name) const {
  const std::string* stored = published_.find(name);
  return stored ? *stored : "";
}

D3AD_INLINE std::vector<std::string> FileSource::names_of(const std::vector<Named>& tensors) {
  std::vector<std::string> names;
  for (const Named& t : tensors) names.push_back(t.name);
  return names;
}

D3AD_INLINE std::string FileSource::listed(const std::vector<Named>& tensors, const std::vector<std::string>& known) {
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

D3AD_INLINE std::vector<std::int64_t> FileSource::trimmed(std::vector<std::int64_t> dims) {
  while (!dims.empty() && dims.back() == 1) dims.pop_back();
  return dims;
}

D3AD_INLINE void HashSource::read(const TensorRequest& request, float* out) {
  hash_weights(prefix_ + request.name, request.dims, out);
}

D3AD_INLINE void InitSource::read(const TensorRequest& request, float* out) {
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

}  // namespace d3ad
