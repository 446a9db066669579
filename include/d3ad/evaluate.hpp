#pragma once
// A model judged on a test set: the field's metrics, image by image and as a whole.
//
//   const auto data = d3ad::open_dataset("mvtec", "bottle");
//   const auto result = d3ad::evaluate(detector, data, {.batch = 4});  // result.rows, result.images

#include "d3ad/data/dataset.hpp"
#include "d3ad/pipeline/evaluate.hpp"
