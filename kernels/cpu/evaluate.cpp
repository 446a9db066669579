// Evaluation, instantiated for the CPU.

#include "d3ad/pipeline/baselines-inl.hpp"
#include "d3ad/pipeline/evaluate-inl.hpp"
#include "d3ad/pipeline/metrics-inl.hpp"
#include "d3ad/pipeline/test_image-inl.hpp"

namespace d3ad {

template std::vector<std::unique_ptr<Method<Cpu>>> baselines(Detector<Cpu>&, const std::vector<Sample>&,
                                                             std::vector<std::string>&);
template EvaluationResult evaluate(Detector<Cpu>&, const Dataset&, const EvaluationOptions&);

}  // namespace d3ad
