#pragma once
// Weights of products and convolutions in the activations' type.
//
//   const Value<T, CudaOf<T>> weights = weights_of(ctx, parameter);
//
// For float it is the parameter's value itself. For half and bfloat16 it is a copy that is kept with the parameter and
// made again after it changed. The copy of a frozen parameter replaces its float value, so that weights are in memory
// once. Weights that are stored narrow (bfloat16) are used as they are, or converted in scratch at each use.
//
// Contexts of several threads may share a parameter for reading: one makes the copy and waits until it is complete.
// The first use allocates (and frees) memory, so it has to come before a graph is captured.

#include <cstdint>
#include <memory>
#include <mutex>
#include <type_traits>
#include <utility>

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/core/parameter.hpp"
#include "d3ad/ops/convert.hpp"

namespace d3ad {

namespace cuda::detail {

template <class T>
struct PackedWeights final : PackedCopies<CudaOf<T>> {
  Tensor<T, CudaOf<T>> data;
  std::uint64_t version = 0;  // of the parameter's value it holds; parameters count from 1

  bool unpack(std::uint64_t, View<float, CudaOf<T>>) const override { return false; }  // it is rounded
};

}  // namespace cuda::detail

template <class T>
Value<T, CudaOf<T>> weights_of(Context<CudaOf<T>>& ctx, const Parameter<CudaOf<T>>& parameter) {
  using Weights = Value<T, CudaOf<T>>;
  if (parameter.narrow()) {
    if constexpr (std::is_same_v<T, bfloat16>) {
      return Weights::borrow(parameter.narrow_value());
    } else {
      auto converted = make_value<T>(ctx, parameter.shape());
      ops::convert(ctx, converted.view(), parameter.narrow_value());
      return converted;
    }
  }
  if constexpr (std::is_same_v<T, float>) {
    return Weights::borrow(parameter.value());
  } else {
    using Packed = cuda::detail::PackedWeights<T>;
    auto& shared = parameter.shared();
    const std::lock_guard<std::mutex> lock(shared.mutex);
    if (!shared.packed) shared.packed = std::make_unique<Packed>();
    auto& packed = static_cast<Packed&>(*shared.packed);
    if (packed.version != parameter.version()) {
      const bool first = packed.data.empty();
      if (first) packed.data = Tensor<T, CudaOf<T>>(parameter.shape());
      ops::convert(ctx, packed.data.view(), std::as_const(*shared.plain).view());
      // Other contexts read it on their own streams. Later copies follow a change, when one thread uses the parameter.
      if (first) ctx.synchronize();
      packed.version = parameter.version();
    }
    if (parameter.frozen() && !shared.kept) shared.plain.reset();
    return Weights::borrow(packed.data.view());
  }
}

}  // namespace d3ad
