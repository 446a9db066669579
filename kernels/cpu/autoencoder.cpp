// Instantiated for the CPU: an autoencoder of either kind, on a context (computes) and on a tape (computes and
// records).

#include "d3ad/autograd/tape.hpp"
#include "d3ad/models/autoencoder-inl.hpp"

namespace d3ad {

using V = Value<float, Cpu>;

template class Autoencoder<Cpu>;
template V Autoencoder<Cpu>::encode(Context<Cpu>&, V, V) const;
template V Autoencoder<Cpu>::encode(Tape<Cpu>&, V, V) const;
template V Autoencoder<Cpu>::decode(Context<Cpu>&, V) const;
template V Autoencoder<Cpu>::decode(Tape<Cpu>&, V) const;

}  // namespace d3ad
