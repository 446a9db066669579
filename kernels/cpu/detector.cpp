// Detection, instantiated for the CPU.

#include "d3ad/pipeline/detector-inl.hpp"

namespace d3ad {

template class Detector<Cpu>;

}  // namespace d3ad
