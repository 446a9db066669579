#pragma once
// Weights and training state of rank 0 given to all processes of a group, as they lie on the device.
//
//   share_parameters(group, store);                     // values; also of parameters that are not trained
//   share_training_state(group, store, optimizer);      // and moments, averages, the step count

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/autograd/adamw.hpp"
#include "d3ad/parallel/group.hpp"
#include "d3ad/weights/parameters.hpp"

namespace d3ad {

namespace detail {

// `from` is what `to` holds, for reading.
template <class T, class Device>
void share_tensor(Group& group, View<const T, Device> from, View<T, Device> to) {
  std::vector<T> host(static_cast<std::size_t>(from.size()));
  if (group.first()) copy_to_host(host.data(), from);
  group.broadcast(host.data(), host.size() * sizeof(T));
  if (!group.first()) copy_from_host(to, host.data());
}

}  // namespace detail

template <class Device>
void share_parameters(Group& group, ParameterStore<Device>& store) {
  if (group.size() == 1) return;
  std::string names;
  for (const auto& p : store) names += concat(p.name(), ' ', p.size(), '\n');
  group.agree(names, "a network");
  for (auto& p : store) {
    const auto value = p.value();
    detail::share_tensor(group, value, p.edit());
  }
}

template <class Device>
void share_training_state(Group& group, ParameterStore<Device>& store, AdamW<Device>& optimizer) {
  if (group.size() == 1) return;
  share_parameters(group, store);
  std::int64_t state[2] = {optimizer.steps(), optimizer.has_averages()};
  group.broadcast(state, sizeof(state));
  optimizer.set_steps(state[0]);
  if (state[1] && !optimizer.has_averages()) optimizer.allocate_averages();
  optimizer.each_state([&](const std::string&, Parameter<Device>&, auto& tensor) {
    auto to = tensor.view();
    detail::share_tensor(group, decltype(std::as_const(tensor).view())(to), to);
  });
}

}  // namespace d3ad
