#pragma once
// CUDA variant of ops/conv_block.hpp. cuda::gather computes what comes before the convolution in one pass; cuDNN or
// cuBLASLt computes the convolution; cuda::finish computes what comes after it in one pass over the result. A pass that
// has nothing to do is left out. If only a bias follows a 1x1 convolution, the matrix product adds it.

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/backend/cuda/conv2d.hpp"
#include "d3ad/backend/cuda/conv_parts.hpp"
#include "d3ad/backend/cuda/linear.hpp"
#include "d3ad/core/parameter.hpp"
#include "d3ad/ops/conv_block.hpp"
