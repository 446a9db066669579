#pragma once
// CUDA variant of ops/linear.hpp: cuBLASLt's products (backend/cuda/cublas.hpp), the bias in their epilogue. Gradients
// of weights are added up in float whatever the activations are.

#include "d3ad/backend/cuda/column_sums.hpp"
#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/backend/cuda/cublas.hpp"
#include "d3ad/backend/cuda/packed_weights.hpp"
#include "d3ad/ops/linear.hpp"
