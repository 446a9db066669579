// Training, instantiated for the CUDA device with each type of activations.

#include "d3ad/backend/ops.hpp"
#include "d3ad/data/good_images-inl.hpp"
#include "d3ad/diffusion/unet_trainer-inl.hpp"
#include "d3ad/pipeline/train-inl.hpp"
#include "kernels/instantiate.hpp"

namespace d3ad {

#define INSTANTIATE(T)                   \
  template class UNetTrainer<CudaOf<T>>; \
  template class Trainer<CudaOf<T>>;

D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad
