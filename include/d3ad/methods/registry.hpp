#pragma once
// The methods there are, by name.
//
//   auto method = make_method<Cpu>("d3ad", networks, settings);       // nothing learned yet: learn() or load() it
//
// A method of the library is one folder here and one entry of BuiltInMethods. A program adds its own by one line at
// namespace scope, for each device that it computes on (methods/learners.hpp); settings and model folders then know it:
//
//   const d3ad::MethodRegistration<Darkness, d3ad::Cpu> darkness;

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "d3ad/core/compiled.hpp"
#include "d3ad/methods/method.hpp"

namespace d3ad {

template <class Device>
using MethodFactory = std::function<std::unique_ptr<Method<Device>>(
    const MethodInfo& info, std::shared_ptr<PretrainedNetworks<Device>> networks, Settings settings)>;

// Of this device, by name; those of the library are in it.
template <class Device>
std::map<std::string, MethodFactory<Device>>& method_factories();

// Error if there is no such method, or if it cannot be computed on this device.
template <class Device>
std::unique_ptr<Method<Device>> make_method(const std::string& name,
                                            std::shared_ptr<PretrainedNetworks<Device>> networks, Settings settings);

// Makes the infos of the library's methods known (model/method_info.hpp). Called before main().
bool add_built_in_methods();
inline const bool kBuiltInMethodsAdded = add_built_in_methods();

// For detection alone.
template <template <class> class MethodOn, class Device>
void register_method() {
  auto info = MethodOn<Device>::info();
  method_factories<Device>()[info.name] = [](const MethodInfo& about, auto networks, Settings settings) {
    return std::make_unique<MethodOn<Device>>(about, std::move(networks), std::move(settings));
  };
  add_method_info(std::move(info));
}

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/methods/registry-inl.hpp"
#endif
