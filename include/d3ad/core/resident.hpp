#pragma once
// Numbers of the host that a device reads repeatedly. A GPU gets a copy in its memory. On the CPU it is the numbers
// themselves, which have to outlive this object.
//
//   const Resident<float, Device> edges(View<const float, Cpu>(host.data(), {.c = 11}));
//   ops::nearest_mean(ctx, ..., edges.view(), ...);

#include "d3ad/core/tensor.hpp"

namespace d3ad {

template <class T, class Device>
class Resident {
 public:
  explicit Resident(View<const T, Cpu> host) : copy_(host.shape) { copy_from_host(copy_.view(), host.data); }
  View<const T, Device> view() const { return copy_.view(); }

 private:
  Tensor<T, Device> copy_;
};

template <class T>
class Resident<T, Cpu> {
 public:
  explicit Resident(View<const T, Cpu> host) : host_(host) {}
  View<const T, Cpu> view() const { return host_; }

 private:
  View<const T, Cpu> host_;
};

}  // namespace d3ad
