#pragma once
// Definitions of ablation/ablate_maps.hpp. Included by it unless they are compiled.

#include "d3ad/ablation/ablate_maps.hpp"
#include "d3ad/pipeline/evaluate-inl.hpp"

namespace d3ad {

D3AD_INLINE TestSet::TestSet(const Dataset& dataset, const Tiling& tiling) : tiling_(tiling) {
  std::vector<std::filesystem::path> paths;
  for (const auto& s : dataset.test) paths.push_back(s.image);
  ImageLoader loader(paths, tiling);
  for (const auto& sample : dataset.test) {
    auto image = detail::test_image(sample, loader.next());
    if (!image.error.empty()) {
      skipped_.push_back(image.error);
      continue;
    }
    paths_.push_back(sample.image);
    rows_.push_back({sample.image.string(), sample.defect, sample.anomalous(), false, 0, 0.0f, 0.0f});
    masks_.push_back(std::move(image.mask));
    pixels_.push_back(image.has_pixels);
    sizes_.push_back({image.frame.height, image.frame.width});
  }
  D3AD_CHECK(!rows_.empty(), "ablation: none of the ", dataset.test.size(), " test images of '", dataset.category,
             "' could be read; the first: ", skipped_.front());
}

D3AD_INLINE std::vector<detail::Judged> TestSet::judged() const {
  std::vector<detail::Judged> out;
  for (std::size_t i = 0; i < size(); ++i)
    out.push_back({&rows_[i], 0.0f, {}, masks_[i], pixels_[i], sizes_[i].first, sizes_[i].second});
  return out;
}

D3AD_INLINE MapStore::MapStore(std::filesystem::path folder, std::size_t kinds)
    : folder_(std::move(folder)), kinds_(kinds) {
  create_folders(folder_);
  while (std::filesystem::exists(file(T_hat_.size()))) {
    const SafetensorsFile found(file(T_hat_.size()));
    const auto& metadata = found.metadata();
    if (!metadata.count("T_hat") || found.size() != kinds_ + 1) break;
    T_hat_.push_back(whole_from_text(found.path(), metadata.at("T_hat")));
  }
}

D3AD_INLINE void MapStore::add(int T_hat, std::int64_t h, std::int64_t w, const std::vector<float>& latent,
                               const std::vector<std::vector<float>>& features) {
  D3AD_CHECK(features.size() == kinds_, "map store: ", features.size(), " feature maps, expected ", kinds_);
  SafetensorsWriter writer;
  writer.metadata = {{"T_hat", std::to_string(T_hat)}};
  writer.add_floats("latent", {h, w}, latent.data());
  for (std::size_t k = 0; k < kinds_; ++k) writer.add_floats(concat("feature.", k), {h, w}, features[k].data());
  writer.write(file(size()));
  T_hat_.push_back(T_hat);
}

D3AD_INLINE anomaly::MapPair MapStore::pair(std::size_t image, std::size_t kind) const {
  const SafetensorsFile found(file(image));
  const auto dims = found.dims("latent");
  D3AD_CHECK(dims.size() == 2, "'", found.path(), "' is not a map; delete its folder");
  return {dims[0], dims[1], found.floats("latent"), found.floats(concat("feature.", kind))};
}

D3AD_INLINE anomaly::Ranges MapStore::ranges(std::size_t kind) const {
  anomaly::Ranges all;
  for (std::size_t i = 0; i < size(); ++i) {
    const auto one = anomaly::ranges_of({pair(i, kind)});
    const auto widen = [i](anomaly::Range& range, const anomaly::Range& by) {
      range = i == 0 ? by : anomaly::Range{std::min(range.lo, by.lo), std::max(range.hi, by.hi)};
    };
    widen(all.latent, one.latent), widen(all.feature, one.feature);
  }
  return all;
}

D3AD_INLINE void MapStore::remove() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
  T_hat_.clear();
}

}  // namespace d3ad
