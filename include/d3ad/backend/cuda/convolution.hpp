#pragma once
// The description of a convolution on the GPU; backend/cuda/cudnn.hpp computes it.

#include <cstdint>

#include "d3ad/core/check.hpp"
#include "d3ad/core/shape.hpp"
#include "d3ad/ops/conv2d.hpp"

namespace d3ad::cuda {

enum class ConvPass { forward, backward_data, backward_weights };

constexpr const char* name(ConvPass pass) {
  return pass == ConvPass::forward         ? "convolution"
         : pass == ConvPass::backward_data ? "gradient of a convolution's input"
                                           : "gradient of a convolution's weights";
}

// x [n, h, w, in] by w {n = out, h, w, c = in} to y [n, oh, ow, out], as ops/conv2d.hpp says.
struct Convolution {
  Shape x, w, y;
  ops::Conv2d config;
};

}  // namespace d3ad::cuda
