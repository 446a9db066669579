#pragma once
// Summarises a dataset and warns about problems (duplicates, missing masks, mixed sizes) before a training.
//
//   DatasetCheck c = check_dataset(open_dataset("mvtec", "bottle"));
//   c.train, c.good_tests, c.defects["crack"]     counts
//   for (const auto& w : c.warnings) ...          sentences
//
// Every image and mask is decoded once. Copies are found by their pixels, so that a photo that was saved in another
// format counts as a copy.

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/core/compiled.hpp"
#include "d3ad/core/sha256.hpp"
#include "d3ad/data/dataset.hpp"

namespace d3ad {

struct DatasetCheck {
  Layout layout = Layout::mvtec;
  std::string category;
  int train = 0, good_tests = 0, faulty_tests = 0, masks = 0;
  std::map<std::string, int> defects;             // test images of each kind
  std::map<std::pair<int, int>, int> sizes;       // images of each width and height
  std::vector<std::string> unreadable, warnings;  // sentences
};

// progress(done, total) is called after each image; stop() ends the work with Interrupted.
DatasetCheck check_dataset(
    const Dataset& data, const std::function<void(std::int64_t, std::int64_t)>& progress = [](auto, auto) {},
    const std::function<bool()>& stop = [] { return false; });

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/data/dataset_check-inl.hpp"
#endif
