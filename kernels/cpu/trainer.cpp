// Training of a model, instantiated for the CPU.

#include "d3ad/pipeline/train-inl.hpp"

namespace d3ad {

template class Trainer<Cpu>;

}  // namespace d3ad
