// Evaluation, instantiated for the CPU.

#include "d3ad/pipeline/evaluate-inl.hpp"

namespace d3ad {

template EvaluationResult evaluate(Detector<Cpu>&, const Dataset&, const EvaluationOptions&);

}  // namespace d3ad
