#pragma once
// Weights in the layouts that convolutions want, kept beside their parameter.
//
//   const float* panels = packed_panels(ctx, parameter, holder);              for our own kernels (tiled_conv.hpp)
//   const float* weights = packed_for(ctx, parameter, onednn_conv, holder);   for oneDNN's
//
// They are valid until the parameter changes, and made again then. A frozen parameter gives up its plain value for the
// first packed one, so that weights lie in memory once; other layouts are made of that. Rounded to bfloat16 they lie
// beside it. Weights stored narrow are
// widened and packed at each call, in scratch that `holder` keeps. Contexts of several threads may share a parameter:
// one packs at a time.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/backend/cpu/convert.hpp"
#include "d3ad/backend/cpu/onednn.hpp"
#include "d3ad/backend/cpu/tiled_conv.hpp"
#include "d3ad/core/parameter.hpp"

namespace d3ad {

// How packed weights lie: in panels of so many columns, or as a oneDNN convolution asked for.
struct WeightLayout {
  int columns = 0;
  bool turned = false;  // panels of the gradient's convolution
  dnnl::memory::desc onednn{};

  // Holds the weights as they are: others can be made of it. bfloat16 is rounded.
  bool exact() const { return columns > 0 || onednn::type_of(onednn) == dnnl::memory::data_type::f32; }
  bool operator==(const WeightLayout& other) const {
    return columns == other.columns && turned == other.turned && (columns > 0 || onednn == other.onednn);
  }
};

namespace detail {

// The packed copies of one parameter, one for each layout that some convolution wanted.
struct PackedWeights {
  struct Copy {
    WeightLayout layout;
    std::uint64_t version = 0;  // of the parameter's value it holds
    Tensor<float, Cpu> data;
  };
  std::vector<Copy> copies;
  bool plain_in_use = false;  // some convolution reads the plain value itself, possibly right now

  static PackedWeights& of(const Parameter<Cpu>& parameter) {
    auto& slot = parameter.packed();
    if (!slot.data) slot.data = std::make_shared<PackedWeights>();
    return *static_cast<PackedWeights*>(slot.data.get());
  }
  static std::mutex& mutex() {
    static std::mutex packing;
    return packing;
  }
};

// From whichever packed copy holds the parameter's present value.
inline void unpack(Context<Cpu>& ctx, const Parameter<Cpu>& parameter, float* plain) {
  for (const auto& copy : PackedWeights::of(parameter).copies) {
    if (copy.version != parameter.version() || !copy.layout.exact()) continue;
    if (copy.layout.columns > 0)
      return conv::unpack_panels(ctx, {parameter.shape(), copy.layout.columns, copy.layout.turned}, copy.data.data(),
                                 plain);
    return onednn::unpack(ctx, parameter.shape(), copy.layout.onednn, copy.data.data(), plain);
  }
  fail("parameter '", parameter.name(), "' has no value any more; load the network again");
}

// pack(plain, to): into `layout`, of `floats` floats.
template <class Pack>
const float* packed(Context<Cpu>& ctx, const Parameter<Cpu>& parameter, const WeightLayout& layout, std::int64_t floats,
                    Pack&& pack) {
  auto& weights = PackedWeights::of(parameter);
  const std::uint64_t version = parameter.version();
  const auto find = [&](auto&& wanted) -> PackedWeights::Copy* {
    const auto at = std::find_if(weights.copies.begin(), weights.copies.end(), wanted);
    return at == weights.copies.end() ? nullptr : &*at;
  };
  auto* copy = find([&](const auto& c) { return c.layout == layout; });
  if (!copy) {
    weights.copies.push_back({layout, 0, Tensor<float, Cpu>({.c = floats})});
    copy = &weights.copies.back();
  }
  if (copy->version != version) {
    copy->version = 0;  // parameters count from 1
    if (parameter.has_plain()) {
      pack(parameter.value().data, copy->data.data());
    } else {
      const auto plain = ctx.arena.make<float>(parameter.shape());
      unpack(ctx, parameter, plain.view().data);
      pack(plain.view().data, copy->data.data());
    }
    copy->version = parameter.packed().version = version;
  }
  if (parameter.frozen() && parameter.has_plain() && !weights.plain_in_use && layout.exact()) {
    // What was packed for training, or before the last change, is of no use any more.
    if (weights.copies.size() > 1) {
      PackedWeights::Copy kept = std::move(*copy);
      weights.copies.clear();
      weights.copies.push_back(std::move(kept));
      copy = &weights.copies.back();
    }
    parameter.drop_plain();
  }
  return copy->data.data();
}

}  // namespace detail

// The value in its plain layout, whatever became of it: borrowed, widened or unpacked into the arena.
inline Value<float, Cpu> unpacked_value(Context<Cpu>& ctx, const Parameter<Cpu>& parameter) {
  if (parameter.has_plain() || parameter.narrow()) return ops::plain_value(ctx, parameter);
  auto plain = ctx.arena.make<float>(parameter.shape());
  const std::lock_guard<std::mutex> lock(detail::PackedWeights::mutex());
  detail::unpack(ctx, parameter, plain.view().data);
  return plain;
}

// turned: for the convolution that the gradient of the input is.
inline const float* packed_panels(Context<Cpu>& ctx, const Parameter<Cpu>& parameter, Value<float, Cpu>& holder,
                                  bool turned = false) {
  const conv::PanelLayout layout{parameter.shape(), kernels::table().columns, turned};
  if (!parameter.has_plain() && parameter.narrow()) {
    const auto wide = ops::plain_value(ctx, parameter);
    holder = ctx.arena.make<float>({.c = layout.size()});
    conv::pack_panels(ctx, layout, wide.view().data, holder.view().data);
    return holder.view().data;
  }
  const std::lock_guard<std::mutex> lock(detail::PackedWeights::mutex());
  return detail::packed(ctx, parameter, {.columns = layout.columns, .turned = turned}, layout.size(),
                        [&](const float* plain, float* to) { conv::pack_panels(ctx, layout, plain, to); });
}

inline const float* packed_for(Context<Cpu>& ctx, const Parameter<Cpu>& parameter, onednn::Convolution& conv,
                               Value<float, Cpu>& holder) {
  const auto floats = static_cast<std::int64_t>((conv.format_bytes() + sizeof(float) - 1) / sizeof(float));
  if (!parameter.has_plain() && parameter.narrow()) {
    auto wide = ops::plain_value(ctx, parameter);
    if (conv.plain()) {
      holder = std::move(wide);
    } else {
      holder = ctx.arena.make<float>({.c = floats});
      conv.pack(ctx, wide.view().data, holder.view().data);
    }
    return holder.view().data;
  }
  const std::lock_guard<std::mutex> lock(detail::PackedWeights::mutex());
  if (conv.plain() && parameter.has_plain()) {
    detail::PackedWeights::of(parameter).plain_in_use = true;
    return parameter.value().data;
  }
  return detail::packed(ctx, parameter, {.onednn = conv.format()}, floats,
                        [&](const float* plain, float* to) { conv.pack(ctx, plain, to); });
}

}  // namespace d3ad
