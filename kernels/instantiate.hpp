#pragma once
// What is instantiated for each type that a GPU keeps activations in.
//
//   #define INSTANTIATE(T) template void activate(Context<CudaOf<T>>&, View<T, CudaOf<T>>, In<T, CudaOf<T>>, Activation);
//   D3AD_FOR_ACTIVATIONS(INSTANTIATE)

#include "d3ad/core/dtype.hpp"

#define D3AD_FOR_ACTIVATIONS(INSTANTIATE) \
  INSTANTIATE(float)                      \
  INSTANTIATE(::d3ad::half)               \
  INSTANTIATE(::d3ad::bfloat16)
