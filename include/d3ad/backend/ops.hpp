#pragma once
// All operations of all devices: what the layers above are written on. Overloads on the context choose the device.

#include "d3ad/backend/cpu/ops.hpp"
#include "d3ad/backend/reference/ops.hpp"
#if defined(D3AD_CUDA)  // by the target d3ad::cuda
#include "d3ad/backend/cuda/ops.hpp"
#endif
