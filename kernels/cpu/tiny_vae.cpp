// Instantiated for the CPU: the tiny autoencoder, on a context (computes) and on a tape (computes and records).

#include "d3ad/autograd/tape.hpp"
#include "d3ad/models/tiny_vae-inl.hpp"

namespace d3ad {

using V = Value<float, Cpu>;

template class TinyVae<Cpu>;
template V TinyVae<Cpu>::encode(Context<Cpu>&, V) const;
template V TinyVae<Cpu>::encode(Tape<Cpu>&, V) const;
template V TinyVae<Cpu>::decode(Context<Cpu>&, V) const;
template V TinyVae<Cpu>::decode(Tape<Cpu>&, V) const;

}  // namespace d3ad
