#pragma once
// What an ablation keeps of a test set: its images that can be read, and, on disk, the raw maps of one reconstruction
// of them, so that memory holds one image's at a time and a stopped ablation goes on in the middle.
//
//   const TestSet test(dataset, detector.tiling());
//   MapStore store("out/work/maps-0f3a", 2);          two kinds of feature maps
//   for (std::size_t i = store.size(); i < test.size(); ++i) store.add(test[i] ...);
//   anomaly::MapPair pair = store.pair(i, /*kind=*/1);
//   store.remove();

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "d3ad/anomaly/map.hpp"
#include "d3ad/model/option.hpp"
#include "d3ad/pipeline/evaluate.hpp"
#include "d3ad/weights/safetensors.hpp"

namespace d3ad {

// The test images that can be read, with their masks at the maps' size. Reads every image once.
class TestSet {
 public:
  TestSet(const Dataset& dataset, const Tiling& tiling) : tiling_(tiling) {
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

  std::size_t size() const { return rows_.size(); }
  const Tiling& tiling() const { return tiling_; }
  const std::vector<std::filesystem::path>& paths() const { return paths_; }
  const std::vector<std::string>& skipped() const { return skipped_; }
  bool anomalous(std::size_t i) const { return rows_[i].anomalous; }

  // For the metrics of all images; maps and scores are to be filled in. Refers to this object.
  std::vector<detail::Judged> judged() const {
    std::vector<detail::Judged> out;
    for (std::size_t i = 0; i < size(); ++i)
      out.push_back({&rows_[i], 0.0f, {}, masks_[i], pixels_[i], sizes_[i].first, sizes_[i].second});
    return out;
  }

 private:
  Tiling tiling_;
  std::vector<std::filesystem::path> paths_;
  std::vector<ImageRow> rows_;
  std::vector<std::vector<std::uint8_t>> masks_;
  std::vector<bool> pixels_;
  std::vector<std::pair<int, int>> sizes_;  // height and width of the maps
  std::vector<std::string> skipped_;
};

// A file for each image, written whole or not at all; images are added in their order.
class MapStore {
 public:
  MapStore(std::filesystem::path folder, std::size_t kinds) : folder_(std::move(folder)), kinds_(kinds) {
    create_folders(folder_);
    while (std::filesystem::exists(file(T_hat_.size()))) {
      const SafetensorsFile found(file(T_hat_.size()));
      const auto& metadata = found.metadata();
      if (!metadata.count("T_hat") || found.size() != kinds_ + 1) break;
      T_hat_.push_back(number_from_text<int>(found.path(), metadata.at("T_hat"), "a whole number"));
    }
  }

  std::size_t size() const { return T_hat_.size(); }  // images added, those of an earlier run among them
  void keep(std::size_t images) { T_hat_.resize(std::min(images, size())); }  // only the first ones
  int T_hat(std::size_t image) const { return T_hat_[image]; }

  // latent, features[kind]: [h x w]
  void add(int T_hat, std::int64_t h, std::int64_t w, const std::vector<float>& latent,
           const std::vector<std::vector<float>>& features) {
    D3AD_CHECK(features.size() == kinds_, "map store: ", features.size(), " feature maps, expected ", kinds_);
    SafetensorsWriter writer;
    writer.metadata = {{"T_hat", std::to_string(T_hat)}};
    writer.add_floats("latent", {h, w}, latent.data());
    for (std::size_t k = 0; k < kinds_; ++k) writer.add_floats(concat("feature.", k), {h, w}, features[k].data());
    writer.write(file(size()));
    T_hat_.push_back(T_hat);
  }

  anomaly::MapPair pair(std::size_t image, std::size_t kind) const {
    const SafetensorsFile found(file(image));
    const auto dims = found.dims("latent");
    D3AD_CHECK(dims.size() == 2, "'", found.path(), "' is not a map; delete its folder");
    return {dims[0], dims[1], found.floats("latent"), found.floats(concat("feature.", kind))};
  }

  // Ranges over all images, as anomaly::ranges_of() has them.
  anomaly::Ranges ranges(std::size_t kind) const {
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

  void remove() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
    T_hat_.clear();
  }

 private:
  std::filesystem::path file(std::size_t image) const { return folder_ / concat(image, ".safetensors"); }

  std::filesystem::path folder_;
  std::size_t kinds_;
  std::vector<int> T_hat_;
};

}  // namespace d3ad
