#pragma once
// The definitions of the networks, for a file that instantiates them itself although d3ad is compiled: for the reference
// device, for example, or for another element type. Those of the CPU stay where they are compiled. If d3ad is not
// compiled, d3ad/networks.hpp has the definitions already.

#include "d3ad/models/autoencoder-inl.hpp"
#include "d3ad/models/resnet-inl.hpp"
#include "d3ad/models/tiny_vae-inl.hpp"
#include "d3ad/models/unet-inl.hpp"
#include "d3ad/models/vae-inl.hpp"

#if defined(D3AD_COMPILED) && !defined(D3AD_COMPILING)

#include "d3ad/autograd/tape.hpp"
#include "d3ad/backend/ops.hpp"

namespace d3ad {

using CpuValue = Value<float, Cpu>;
template <class Run>
using CpuFeatures = ResNet<Cpu>::Features<Run>;

extern template class UNet<Cpu>;
extern template class Vae<Cpu>;
extern template class TinyVae<Cpu>;
extern template class ResNet<Cpu>;
extern template class Autoencoder<Cpu>;

#define D3AD_EXTERN(Run)                                                                                    \
  extern template CpuValue UNet<Cpu>::operator()(Run<Cpu>&, CpuValue, View<const std::int32_t, Cpu>) const; \
  extern template CpuValue Vae<Cpu>::encode(Run<Cpu>&, CpuValue) const;                                     \
  extern template CpuValue Vae<Cpu>::decode(Run<Cpu>&, CpuValue) const;                                     \
  extern template CpuValue TinyVae<Cpu>::encode(Run<Cpu>&, CpuValue) const;                                 \
  extern template CpuValue TinyVae<Cpu>::decode(Run<Cpu>&, CpuValue) const;                                 \
  extern template CpuFeatures<Run<Cpu>> ResNet<Cpu>::features(Run<Cpu>&, CpuValue, bool) const;             \
  extern template CpuValue ResNet<Cpu>::classify(Run<Cpu>&, CpuValue, bool) const;                          \
  extern template CpuValue Autoencoder<Cpu>::encode(Run<Cpu>&, CpuValue, CpuValue) const;                   \
  extern template CpuValue Autoencoder<Cpu>::decode(Run<Cpu>&, CpuValue) const;

D3AD_EXTERN(Context)
D3AD_EXTERN(Tape)
#undef D3AD_EXTERN

}  // namespace d3ad

#endif
