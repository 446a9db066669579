#pragma once
// Definitions of methods/learners.hpp. Included by it unless they are compiled.

#include "d3ad/methods/d3ad/learner.hpp"
#include "d3ad/methods/learners.hpp"
#include "d3ad/methods/registry-inl.hpp"

namespace d3ad {

template <class Device>
std::map<std::string, MethodLearner<Device>>& method_learners() {
  static auto all = BuiltInMethods::each<MethodLearner<Device>, Device>([]<class M>(std::type_identity<M>) {
    return [](Method<Device>& method, Learning<Device>& learning, Stage from) {
      static_cast<M&>(method).learn(learning, from);
    };
  });
  return all;
}

template <class Device>
void learn(Method<Device>& method, Learning<Device>& learning, Stage from) {
  const auto& all = method_learners<Device>();
  const auto at = all.find(method.info().name);
  D3AD_CHECK(at != all.end(), "method '", method.info().name, "' is not registered for learning on this device");
  at->second(method, learning, from);
}

}  // namespace d3ad
