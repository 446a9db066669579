#pragma once
// CUDA variant of ops/conv_block.hpp: what comes before a convolution in one pass (cuda::gather), cuDNN's or cuBLASLt's
// convolution, what comes after it in one pass over its result (cuda::finish). Each pass is left out where there is
// nothing for it to do; a 1x1 convolution with nothing but a bias after it has the product add it.

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/backend/cuda/conv2d.hpp"
#include "d3ad/backend/cuda/conv_parts.hpp"
#include "d3ad/backend/cuda/linear.hpp"
#include "d3ad/core/parameter.hpp"
#include "d3ad/ops/conv_block.hpp"
