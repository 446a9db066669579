#pragma once
// Definitions of methods/registry.hpp, and the list of the library's methods. Included by it unless they are compiled.

#include <type_traits>

#include "d3ad/methods/d3ad/method.hpp"
#include "d3ad/methods/mean_image/method.hpp"
#include "d3ad/methods/registry.hpp"
#include "d3ad/methods/vae_only/method.hpp"

namespace d3ad::detail {

template <template <class> class... MethodsOn>
struct MethodList {
  // make(std::type_identity<M>()) for each method M on a device, by name.
  template <class Value, class Device, class Make>
  static std::map<std::string, Value> each(Make&& make) {
    std::map<std::string, Value> all;
    (void(all[MethodsOn<Device>::info().name] = make(std::type_identity<MethodsOn<Device>>())), ...);
    return all;
  }
  static void add_infos() { (add_method_info(MethodsOn<Cpu>::info()), ...); }
};

}  // namespace d3ad::detail

namespace d3ad {

// In the order of --help.
using BuiltInMethods = detail::MethodList<D3adMethod, MeanImage, VaeOnly>;

template <class Device>
std::map<std::string, MethodFactory<Device>>& method_factories() {
  static auto all = BuiltInMethods::each<MethodFactory<Device>, Device>([]<class M>(std::type_identity<M>) {
    return [](const MethodInfo& info, std::shared_ptr<PretrainedNetworks<Device>> networks, Settings settings) {
      return std::make_unique<M>(info, std::move(networks), std::move(settings));
    };
  });
  return all;
}

template <class Device>
std::unique_ptr<Method<Device>> make_method(const std::string& name,
                                            std::shared_ptr<PretrainedNetworks<Device>> networks, Settings settings) {
  const MethodInfo& info = method_info(name);
  const auto& all = method_factories<Device>();
  const auto at = all.find(name);
  D3AD_CHECK(at != all.end(), "method '", name, "' is not registered for this device");
  return at->second(info, std::move(networks), std::move(settings));
}

D3AD_INLINE bool add_built_in_methods() {
  BuiltInMethods::add_infos();
  return true;
}

}  // namespace d3ad
