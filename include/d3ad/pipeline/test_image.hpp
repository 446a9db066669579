#pragma once
// The images of a test set as they are read: each with its mask, or with the reason why it cannot be used.
//
//   TestImage one = test_image(sample, loader.next());
//   if (!one.error.empty()) ...

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/core/compiled.hpp"
#include "d3ad/data/dataset.hpp"
#include "d3ad/data/image_loader.hpp"
#include "d3ad/parallel/group.hpp"

namespace d3ad {

struct TestImage {
  Frame frame;
  std::vector<std::uint8_t> mask;  // at the frame's size; empty: good, or no mask
  bool has_pixels = false;         // counts for pixels
  std::string error;               // why it cannot be used
};

TestImage test_image(const Sample& sample, ImageLoader::Item item);

// Which test images this process computes, and which cannot be read. Processes take turns in computing whole batches of
// images that can be read, so each batch is what it is in one process; several have to know first which these are, and
// share in finding out.
struct TestShare {
  std::vector<std::size_t> own;     // of the test set
  std::vector<std::string> errors;  // of each image of the test set; empty if there is one process: not known yet
  std::size_t rounds = 0;           // in which each process computes a batch, or none in the last
};

TestShare share_test(Group& group, const std::vector<Sample>& test, const Tiling& tiling, int batch);

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/pipeline/test_image-inl.hpp"
#endif
