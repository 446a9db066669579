#pragma once
// One number on a context's device, in the type of its weights.

#include "d3ad/core/value.hpp"

namespace d3ad::test {

template <class Device>
Value<Weight<Device>, Device> number(Context<Device>& ctx, double number) {
  auto out = make_value<Weight<Device>>(ctx, {});
  const auto host = static_cast<Weight<Device>>(number);
  copy_from_host(out.view(), &host);
  return out;
}

}  // namespace d3ad::test
