#pragma once
// CUDA variant of ops/linear.hpp: cuBLASLt's products (backend/cuda/cublas.hpp), with the bias in their epilogue.
// Gradients of weights are accumulated in float for every type of activations.

#include "d3ad/backend/cuda/column_sums.hpp"
#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/backend/cuda/cublas.hpp"
#include "d3ad/backend/cuda/packed_weights.hpp"
#include "d3ad/ops/linear.hpp"
