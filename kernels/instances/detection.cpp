// Detection and evaluation, instantiated for the CUDA device with each type of activations.

#include "d3ad/backend/ops.hpp"
#include "d3ad/pipeline/baselines-inl.hpp"
#include "d3ad/pipeline/detector-inl.hpp"
#include "d3ad/pipeline/evaluate-inl.hpp"
#include "d3ad/report/report-inl.hpp"
#include "kernels/instantiate.hpp"

namespace d3ad {

#define INSTANTIATE(T)                                                                                                 \
  template class Detector<CudaOf<T>>;                                                                                  \
  template std::vector<std::unique_ptr<Method<CudaOf<T>>>> baselines(Detector<CudaOf<T>>&, const std::vector<Sample>&, \
                                                                     std::vector<std::string>&);                       \
  template EvaluationResult evaluate(Detector<CudaOf<T>>&, const Dataset&, const EvaluationOptions&);                  \
  template Report::Report(const Detector<CudaOf<T>>&);

D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad
