// Training of the UNet, instantiated for the CPU.

#include "d3ad/diffusion/unet_trainer-inl.hpp"

namespace d3ad {

template class UNetTrainer<Cpu>;

}  // namespace d3ad
