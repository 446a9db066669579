#pragma once
// Definitions of ablation/ablate_maps.hpp. Included by it unless they are compiled.

#include "d3ad/ablation/ablate_maps.hpp"
#include "d3ad/pipeline/test_image.hpp"

namespace d3ad {

D3AD_INLINE TestSet::TestSet(const Dataset& dataset, const Tiling& tiling) : tiling_(tiling) {
  std::vector<std::filesystem::path> paths;
  for (const auto& s : dataset.test) paths.push_back(s.image);
  ImageLoader loader(paths, tiling);
  for (const auto& sample : dataset.test) {
    auto image = test_image(sample, loader.next());
    if (!image.error.empty()) {
      skipped_.push_back(image.error);
      continue;
    }
    paths_.push_back(sample.image);
    labels_.push_back(
        {sample.anomalous(), 0, {}, std::move(image.mask), image.has_pixels, image.frame.height, image.frame.width});
  }
  D3AD_CHECK(!labels_.empty(), "ablation: none of the ", dataset.test.size(), " test images of '", dataset.category,
             "' could be read; the first: ", skipped_.front());
}

D3AD_INLINE MapStore::MapStore(std::filesystem::path folder, std::size_t kinds, std::size_t maps)
    : folder_(std::move(folder)), kinds_(kinds), maps_(maps) {
  create_folders(folder_);
  while (std::filesystem::exists(file(size()))) {
    const SafetensorsFile found(file(size()));
    if (found.size() != kinds_ * maps_ + 2) break;
    attributes_.push_back(found.floats("attributes"));
  }
}

D3AD_INLINE void MapStore::add(std::vector<float> attributes, const std::vector<anomaly::RawMaps>& of_kinds) {
  D3AD_CHECK(of_kinds.size() == kinds_, "map store: raw maps of ", of_kinds.size(), " kinds, expected ", kinds_);
  SafetensorsWriter writer;
  std::vector<float> scores;
  for (std::size_t k = 0; k < kinds_; ++k) {
    const auto& raw = of_kinds[k];
    D3AD_CHECK(raw.maps.size() == maps_, "map store: ", raw.maps.size(), " raw maps, expected ", maps_);
    scores.push_back(raw.score);
    for (std::size_t m = 0; m < maps_; ++m)
      writer.add_floats(concat("map.", k, '.', m), {raw.h, raw.w}, raw.maps[m].data());
  }
  writer.add_floats("scores", {static_cast<std::int64_t>(kinds_)}, scores.data());
  writer.add_floats("attributes", {static_cast<std::int64_t>(attributes.size())}, attributes.data());
  writer.write(file(size()));
  attributes_.push_back(std::move(attributes));
}

D3AD_INLINE anomaly::RawMaps MapStore::raw(std::size_t image, std::size_t kind) const {
  const SafetensorsFile found(file(image));
  const auto dims = found.dims(concat("map.", kind, ".0"));
  D3AD_CHECK(dims.size() == 2, "'", found.path(), "' is not a map; delete its folder");
  anomaly::RawMaps raw{.h = dims[0], .w = dims[1], .maps = {}, .score = found.floats("scores").at(kind)};
  for (std::size_t m = 0; m < maps_; ++m) raw.maps.push_back(found.floats(concat("map.", kind, '.', m)));
  return raw;
}

D3AD_INLINE anomaly::Ranges MapStore::ranges(std::size_t kind) const {
  anomaly::Ranges all;
  for (std::size_t i = 0; i < size(); ++i) {
    const auto one = anomaly::ranges_of({raw(i, kind)});
    if (i == 0) all = one;
    for (std::size_t m = 0; m < all.size(); ++m)
      all[m] = {std::min(all[m].lo, one[m].lo), std::max(all[m].hi, one[m].hi)};
  }
  return all;
}

D3AD_INLINE void MapStore::remove() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
  attributes_.clear();
}

}  // namespace d3ad
