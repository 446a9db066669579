// The detection methods, instantiated for the CPU.

#include "d3ad/methods/d3ad/algorithm-inl.hpp"
#include "d3ad/methods/d3ad/learner-inl.hpp"
#include "d3ad/methods/d3ad/method-inl.hpp"
#include "d3ad/methods/learners-inl.hpp"
#include "d3ad/methods/registry-inl.hpp"
#include "d3ad/model/method_info-inl.hpp"

namespace d3ad {

template struct D3adAlgorithm<Cpu>;
template class D3adMethod<Cpu>;
template std::map<std::string, MethodFactory<Cpu>>& method_factories<Cpu>();
template std::map<std::string, MethodLearner<Cpu>>& method_learners<Cpu>();
template void learn(Method<Cpu>&, Learning<Cpu>&, Stage);
template std::unique_ptr<Method<Cpu>> make_method(const std::string&, std::shared_ptr<PretrainedNetworks<Cpu>>,
                                                  Settings);

}  // namespace d3ad
