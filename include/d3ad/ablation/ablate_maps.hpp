#pragma once
// What an ablation keeps of a test set: its images that can be read, and, on disk, the raw maps of one reconstruction
// of them, so that memory holds one image's at a time and a stopped ablation goes on in the middle.
//
//   const TestSet test(dataset, detector.tiling());
//   MapStore store("out/work/maps-0f3a", 2, 2);       two ways to compare, with two raw maps each
//   for (std::size_t i = store.size(); i < test.size(); ++i) store.add(test[i] ...);
//   anomaly::RawMaps raw = store.raw(i, /*kind=*/1);
//   store.remove();

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "d3ad/anomaly/map.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/data/dataset.hpp"
#include "d3ad/data/tile.hpp"
#include "d3ad/model/option.hpp"
#include "d3ad/pipeline/metrics.hpp"
#include "d3ad/weights/safetensors.hpp"

namespace d3ad {

// The test images that can be read, with their masks at the maps' size. Reads every image once.
class TestSet {
 public:
  TestSet(const Dataset& dataset, const Tiling& tiling);

  std::size_t size() const { return labels_.size(); }
  const Tiling& tiling() const { return tiling_; }
  const std::vector<std::filesystem::path>& paths() const { return paths_; }
  const std::vector<std::string>& skipped() const { return skipped_; }
  bool anomalous(std::size_t i) const { return labels_[i].anomalous; }

  // For the metrics of all images; maps and scores are to be filled in.
  const std::vector<LabelledMap>& labels() const { return labels_; }

 private:
  Tiling tiling_;
  std::vector<std::filesystem::path> paths_;
  std::vector<LabelledMap> labels_;
  std::vector<std::string> skipped_;
};

// A file for each image, written whole or not at all; images are added in their order.
class MapStore {
 public:
  // kinds: ways to compare, of which each gives `maps` raw maps.
  MapStore(std::filesystem::path folder, std::size_t kinds, std::size_t maps);

  std::size_t size() const { return attributes_.size(); }  // images added, those of an earlier run among them
  void keep(std::size_t images) { attributes_.resize(std::min(images, size())); }  // only the first ones
  const std::vector<float>& attributes(std::size_t image) const { return attributes_[image]; }

  // of_kinds: an image's raw maps of each kind, all of one size.
  void add(std::vector<float> attributes, const std::vector<anomaly::RawMaps>& of_kinds);

  anomaly::RawMaps raw(std::size_t image, std::size_t kind) const;

  // Ranges over all images, as anomaly::ranges_of() has them.
  anomaly::Ranges ranges(std::size_t kind) const;

  void remove();

 private:
  std::filesystem::path file(std::size_t image) const { return folder_ / concat(image, ".safetensors"); }

  std::filesystem::path folder_;
  std::size_t kinds_, maps_;
  std::vector<std::vector<float>> attributes_;
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/ablation/ablate_maps-inl.hpp"
#endif
