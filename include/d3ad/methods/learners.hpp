#pragma once
// How methods learn, by name: what a training calls.
//
//   learn(method, learning, Stage::train);       // Method::learn() of whichever method it is
//
// Apart from the methods themselves (methods/registry.hpp), so that detection does not compile it. A program that adds a
// method of its own registers both in one line:
//
//   const d3ad::MethodRegistration<Darkness, d3ad::Cpu> darkness;

#include <functional>
#include <map>
#include <string>

#include "d3ad/core/compiled.hpp"
#include "d3ad/methods/learning.hpp"
#include "d3ad/methods/registry.hpp"

namespace d3ad {

template <class Device>
using MethodLearner = std::function<void(Method<Device>& method, Learning<Device>& learning, Stage from)>;

// Of this device, by name; those of the library are in it.
template <class Device>
std::map<std::string, MethodLearner<Device>>& method_learners();

// From the good images. from: the first stage to go through; what earlier ones give was loaded.
template <class Device>
void learn(Method<Device>& method, Learning<Device>& learning, Stage from);

template <template <class> class MethodOn, class Device>
struct MethodRegistration {
  MethodRegistration() {
    register_method<MethodOn, Device>();
    method_learners<Device>()[MethodOn<Device>::info().name] = [](Method<Device>& method, Learning<Device>& learning,
                                                                  Stage from) {
      static_cast<MethodOn<Device>&>(method).learn(learning, from);
    };
  }
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/methods/learners-inl.hpp"
#endif
