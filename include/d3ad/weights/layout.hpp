#pragma once
// Axis order: files hold PyTorch's (channels before pixels), everything inside is channels last.
//
//   dims in the file     shape inside
//   [a, b, c, d]         {n a, h c, w d, c b}    images, weights of convolutions
//   [a, b, 1]            {n a, c b}              1x1 weights of attention
//   [a, b]               {n a, c b}              matrices
//   [c]                  {c}                     biases
//   []                   {c 1}                   a single value
//
//   to_channels_last(inside, file, dims);  to_file_order(file, inside, dims);    host memory, in and out differ

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "d3ad/core/check.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/core/shape.hpp"

namespace d3ad {

// "[64, 3, 7, 7]"
std::string dims_text(const std::vector<std::int64_t>& dims);

// Number of elements; Error if a dimension is negative or the product is beyond 2^60.
std::int64_t dims_size(const std::vector<std::int64_t>& dims);

Shape channels_last(const std::vector<std::int64_t>& dims);

void to_channels_last(float* out, const float* in, const std::vector<std::int64_t>& dims);

void to_file_order(float* out, const float* in, const std::vector<std::int64_t>& dims);

std::vector<float> to_channels_last(const std::vector<float>& in, const std::vector<std::int64_t>& dims);

std::vector<float> to_file_order(const std::vector<float>& in, const std::vector<std::int64_t>& dims);

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/weights/layout-inl.hpp"
#endif
