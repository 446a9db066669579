// Instantiated for the CPU: the denoising UNet, on a context (computes) and on a tape (computes and records).

#include "d3ad/autograd/tape.hpp"
#include "d3ad/models/unet-inl.hpp"

namespace d3ad {

using V = Value<float, Cpu>;

template class UNet<Cpu>;
template V UNet<Cpu>::operator()(Context<Cpu>&, V, View<const std::int32_t, Cpu>) const;
template V UNet<Cpu>::operator()(Tape<Cpu>&, V, View<const std::int32_t, Cpu>) const;

}  // namespace d3ad
