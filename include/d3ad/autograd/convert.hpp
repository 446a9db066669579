#pragma once
// Conversion between the type of a device's activations (Real) and the type of everything else (Weight): for images and
// latents that enter a network, and for its results.
//
//   auto eps = fn::to_weight(ctx, unet(ctx, fn::to_real(ctx, x), t));
//
// If both are the same type, as on the CPU, nothing is copied. For use outside of tapes.

#include <type_traits>
#include <utility>

#include "d3ad/backend/ops.hpp"
#include "d3ad/core/value.hpp"

namespace d3ad::fn {

namespace detail {

template <class To, class From, class Device>
Value<To, Device> converted(Context<Device>& ctx, Value<From, Device> x) {
  if constexpr (std::is_same_v<To, From>) {
    return x;
  } else {
    if (!x) return {};
    auto out = make_value<To>(ctx, x.shape());
    ops::convert(ctx, out.view(), View<const From, Device>(x.view()));
    return out;
  }
}

}  // namespace detail

template <class Device>
Value<Real<Device>, Device> to_real(Context<Device>& ctx, Value<Weight<Device>, Device> x) {
  return detail::converted<Real<Device>, Weight<Device>>(ctx, std::move(x));
}
template <class Device>
Value<Weight<Device>, Device> to_weight(Context<Device>& ctx, Value<Real<Device>, Device> x) {
  return detail::converted<Weight<Device>, Real<Device>>(ctx, std::move(x));
}

}  // namespace d3ad::fn
