#pragma once
// The baselines that a model can be compared with on its own test set: the methods of MethodInfo::baseline whose
// networks it has, learned from the good images of a dataset on the spot.
//
//   std::vector<std::string> left_out;
//   auto others = baselines(detector, dataset.train, left_out);        // methods/mean_image, methods/vae_only ...

#include <memory>
#include <string>
#include <vector>

#include "d3ad/core/compiled.hpp"
#include "d3ad/data/dataset.hpp"
#include "d3ad/pipeline/detector.hpp"

namespace d3ad {

// good: images that cannot be read are passed over; `left_out` gets a sentence about each.
template <class Device>
std::vector<std::unique_ptr<Method<Device>>> baselines(Detector<Device>& detector, const std::vector<Sample>& good,
                                                       std::vector<std::string>& left_out);

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/pipeline/baselines-inl.hpp"
#endif
