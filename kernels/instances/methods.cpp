// The detection methods, instantiated for the CUDA device with each type of activations.

#include "d3ad/backend/ops.hpp"
#include "d3ad/methods/d3ad/algorithm-inl.hpp"
#include "d3ad/methods/d3ad/learner-inl.hpp"
#include "d3ad/methods/d3ad/method-inl.hpp"
#include "d3ad/methods/learners-inl.hpp"
#include "d3ad/methods/registry-inl.hpp"
#include "kernels/instantiate.hpp"

namespace d3ad {

#define INSTANTIATE(T)                                                                     \
  template struct D3adAlgorithm<CudaOf<T>>;                                                \
  template class D3adMethod<CudaOf<T>>;                                                    \
  template std::map<std::string, MethodFactory<CudaOf<T>>>& method_factories<CudaOf<T>>(); \
  template std::map<std::string, MethodLearner<CudaOf<T>>>& method_learners<CudaOf<T>>();  \
  template void learn(Method<CudaOf<T>>&, Learning<CudaOf<T>>&, Stage);                    \
  template std::unique_ptr<Method<CudaOf<T>>> make_method(const std::string&,              \
                                                          std::shared_ptr<PretrainedNetworks<CudaOf<T>>>, Settings);

D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad
