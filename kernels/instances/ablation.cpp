// Ablations, instantiated for the CUDA device with each type of activations.

#include "d3ad/ablation/ablate-inl.hpp"
#include "d3ad/ablation/ablate_models-inl.hpp"
#include "d3ad/backend/ops.hpp"
#include "kernels/instantiate.hpp"

namespace d3ad {

#define INSTANTIATE(T)                      \
  template class AblationModels<CudaOf<T>>; \
  template class Ablation<CudaOf<T>>;

D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad
