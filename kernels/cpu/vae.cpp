// Instantiated for the CPU: the AutoencoderKL, on a context (computes) and on a tape (computes and records).

#include "d3ad/autograd/tape.hpp"
#include "d3ad/models/vae-inl.hpp"

namespace d3ad {

using V = Value<float, Cpu>;

template class Vae<Cpu>;
template V Vae<Cpu>::encode(Context<Cpu>&, V) const;
template V Vae<Cpu>::encode(Tape<Cpu>&, V) const;
template V Vae<Cpu>::decode(Context<Cpu>&, V) const;
template V Vae<Cpu>::decode(Tape<Cpu>&, V) const;

}  // namespace d3ad
