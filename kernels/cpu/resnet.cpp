// Instantiated for the CPU: the ResNet, on a context (computes) and on a tape (computes and records).

#include "d3ad/autograd/tape.hpp"
#include "d3ad/models/resnet-inl.hpp"

namespace d3ad {

using V = Value<float, Cpu>;
template <class Run>
using F = ResNet<Cpu>::Features<Run>;

template class ResNet<Cpu>;
template F<Context<Cpu>> ResNet<Cpu>::features(Context<Cpu>&, V, bool) const;
template F<Tape<Cpu>> ResNet<Cpu>::features(Tape<Cpu>&, V, bool) const;
template V ResNet<Cpu>::classify(Context<Cpu>&, V, bool) const;
template V ResNet<Cpu>::classify(Tape<Cpu>&, V, bool) const;

}  // namespace d3ad
