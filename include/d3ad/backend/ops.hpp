#pragma once
// The operations, and the devices that compute them. Everything to the right of `backend` includes this header.
//
//   ops::conv2d(ctx, out, x, w, bias, {.kernel = 3, .pad = 1});       // on the context's device
//
// ops/*.hpp declare each operation once, as a template over the device; a backend specialises it. If d3ad is compiled
// (core/compiled.hpp), the library has those of the CPU; those of CUDA are always in the library. The reference device
// is for tests: a file that computes on it includes backend/reference/ops.hpp.

#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/backend/cpu/staging.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/ops/activation.hpp"
#include "d3ad/ops/attention.hpp"
#include "d3ad/ops/batch_norm.hpp"
#include "d3ad/ops/bilinear.hpp"
#include "d3ad/ops/blur.hpp"
#include "d3ad/ops/concat.hpp"
#include "d3ad/ops/conv2d.hpp"
#include "d3ad/ops/conv_block.hpp"
#include "d3ad/ops/convert.hpp"
#include "d3ad/ops/diffusion_step.hpp"
#include "d3ad/ops/distance.hpp"
#include "d3ad/ops/elementwise.hpp"
#include "d3ad/ops/group_norm.hpp"
#include "d3ad/ops/image_input.hpp"
#include "d3ad/ops/linear.hpp"
#include "d3ad/ops/loss.hpp"
#include "d3ad/ops/nearest.hpp"
#include "d3ad/ops/noise.hpp"
#include "d3ad/ops/optimizer.hpp"
#include "d3ad/ops/pool.hpp"
#include "d3ad/ops/posterior.hpp"
#include "d3ad/ops/resample.hpp"
#include "d3ad/ops/time_embedding.hpp"
#if D3AD_DEFINITIONS
#include "d3ad/backend/cpu/ops.hpp"
#endif
#if defined(D3AD_CUDA)  // by the target d3ad::cuda
#include "d3ad/backend/cuda/ops.hpp"
#endif
