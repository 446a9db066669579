#pragma once
// Weights in the layouts that the CPU's operations read, kept with their parameter.
//
//   const HeldWeights panels = packed_panels(ctx, parameter);               // for our own kernels (tiled_conv.hpp)
//   const HeldWeights weights = packed_for(ctx, parameter, onednn_conv);    // for oneDNN's
//   const HeldWeights plain = plain_weights(ctx, parameter);                // for matrix products
//   const float* data = plain.data();                                       // valid as long as `plain`
//
// A packed copy is made again after the parameter changed. The first packed copy of a frozen parameter replaces its
// plain value, so that weights are in memory once; other layouts are made from this copy. A copy in bfloat16 does not
// replace it, because it is rounded. Weights that are stored narrow are widened (and packed) in scratch at each call.
//
// Contexts of several threads may share a parameter. Each holds counted references to what it reads; a layout that was
// replaced is freed with its last reference. The parameter's lock is held during a look-up, and while a missing copy is
// made.

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

// The layout of packed weights: panels of this number of columns, or the format of a oneDNN convolution.
struct WeightLayout {
  int columns = 0;
  bool turned = false;  // panels of the gradient's convolution
  dnnl::memory::desc onednn{};

  // Whether it has the exact weights, so that other layouts can be made from it. bfloat16 is rounded.
  bool exact() const { return columns > 0 || onednn::type_of(onednn) == dnnl::memory::data_type::f32; }
  bool operator==(const WeightLayout& other) const {
    return columns == other.columns && turned == other.turned && (columns > 0 || onednn == other.onednn);
  }
};

// Weights that an op reads: its own scratch, or a counted reference to what the parameter keeps.
class HeldWeights {
 public:
  explicit HeldWeights(Value<float, Cpu> scratch) : scratch_(std::move(scratch)), data_(scratch_.view().data) {}
  // shared: keeps the weights alive.
  HeldWeights(std::shared_ptr<const void> shared, const float* weights) : shared_(std::move(shared)), data_(weights) {}

  const float* data() const { return data_; }

 private:
  std::shared_ptr<const void> shared_;
  Value<float, Cpu> scratch_;
  const float* data_;
};

namespace detail {

// The packed copies of one parameter, one for each layout that was asked for. To be used under the parameter's lock.
struct PackedLayouts final : PackedCopies<Cpu> {
  struct Copy {
    WeightLayout layout;
    std::uint64_t version = 0;  // of the parameter's value it holds; parameters count from 1
    Tensor<float, Cpu> data;
  };
  using Shared = std::shared_ptr<Copy>;

  Shape shape;
  std::vector<Shared> copies;
  bool plain_in_use = false;  // the format of some convolution is the plain layout: it is kept

  explicit PackedLayouts(Shape weights) : shape(weights) {}

  static PackedLayouts& of(const Parameter<Cpu>& parameter) {
    auto& packed = parameter.shared().packed;
    if (!packed) packed = std::make_unique<PackedLayouts>(parameter.shape());
    return static_cast<PackedLayouts&>(*packed);
  }

  // A copy from which others can be made; null if there is none.
  std::shared_ptr<const Copy> exact(std::uint64_t version) const {
    for (const Shared& copy : copies)
      if (copy->version == version && copy->layout.exact()) return copy;
    return nullptr;
  }
  static void unpack(Context<Cpu>& ctx, Shape shape, const Copy& copy, float* plain) {
    if (copy.layout.columns > 0)
      conv::unpack_panels(ctx, {shape, copy.layout.columns, copy.layout.turned}, copy.data.data(), plain);
    else
      onednn::unpack(ctx, shape, copy.layout.onednn, copy.data.data(), plain);
  }
  bool unpack(std::uint64_t version, View<float, Cpu> plain) const override {
    const auto copy = exact(version);
    if (!copy) return false;
    Context<Cpu> ctx({.threads = 1});
    unpack(ctx, shape, *copy, plain.data);
    return true;
  }
};

// Call it without the lock.
inline HeldWeights unpacked(Context<Cpu>& ctx, const Parameter<Cpu>& parameter, const PackedLayouts::Copy* copy) {
  D3AD_CHECK(copy, "parameter '", parameter.name(), "' has no value any more");
  auto plain = make_value<float>(ctx, parameter.shape());
  PackedLayouts::unpack(ctx, parameter.shape(), *copy, plain.view().data);
  return HeldWeights(std::move(plain));
}

inline Value<float, Cpu> widened(Context<Cpu>& ctx, const Parameter<Cpu>& parameter) {
  auto wide = make_value<float>(ctx, parameter.shape());
  ops::widen(ctx, wide.view(), parameter.narrow_value());
  return wide;
}

// Call it under the lock. pack(plain, to) writes `floats` floats in `layout`.
template <class Pack>
HeldWeights packed(Context<Cpu>& ctx, const Parameter<Cpu>& parameter, const WeightLayout& layout, std::int64_t floats,
                   Pack&& pack) {
  auto& weights = PackedLayouts::of(parameter);
  auto& plain = parameter.shared().plain;
  const std::uint64_t version = parameter.version();
  auto at = std::find_if(weights.copies.begin(), weights.copies.end(),
                         [&](const auto& copy) { return copy->layout == layout; });
  if (at == weights.copies.end())
    at = weights.copies.insert(at, std::make_shared<PackedLayouts::Copy>(PackedLayouts::Copy{layout, 0, {}}));
  const PackedLayouts::Shared copy = *at;
  if (copy->version != version) {
    if (copy->data.empty()) copy->data = Tensor<float, Cpu>({.c = floats});
    copy->version = 0;
    if (plain)
      pack(plain->data(), copy->data.data());
    else
      pack(unpacked(ctx, parameter, weights.exact(version).get()).data(), copy->data.data());
    copy->version = version;
  }
  if (parameter.frozen() && plain && !parameter.shared().kept && !weights.plain_in_use && layout.exact()) {
    // What was packed for training, or before the last change, is not needed any more.
    weights.copies.assign(1, copy);
    plain.reset();
  }
  return {copy, copy->data.data()};
}

}  // namespace detail

// The value in its plain layout: as it is stored, widened or unpacked.
inline HeldWeights plain_weights(Context<Cpu>& ctx, const Parameter<Cpu>& parameter) {
  if (parameter.narrow()) return HeldWeights(detail::widened(ctx, parameter));
  std::shared_ptr<const detail::PackedLayouts::Copy> copy;
  {
    auto& shared = parameter.shared();
    const std::lock_guard<std::mutex> lock(shared.mutex);
    if (shared.plain) return {shared.plain, shared.plain->data()};
    copy = detail::PackedLayouts::of(parameter).exact(parameter.version());
  }
  return detail::unpacked(ctx, parameter, copy.get());
}

// turned: for the convolution that computes the gradient of the input.
inline HeldWeights packed_panels(Context<Cpu>& ctx, const Parameter<Cpu>& parameter, bool turned = false) {
  const conv::PanelLayout layout{parameter.shape(), kernels::table().columns, turned};
  if (parameter.narrow()) {
    const auto wide = detail::widened(ctx, parameter);
    auto panels = make_value<float>(ctx, {.c = layout.size()});
    conv::pack_panels(ctx, layout, wide.view().data, panels.view().data);
    return HeldWeights(std::move(panels));
  }
  const std::lock_guard<std::mutex> lock(parameter.shared().mutex);
  return detail::packed(ctx, parameter, {.columns = layout.columns, .turned = turned}, layout.size(),
                        [&](const float* plain, float* to) { conv::pack_panels(ctx, layout, plain, to); });
}

inline HeldWeights packed_for(Context<Cpu>& ctx, const Parameter<Cpu>& parameter, onednn::Convolution& conv) {
  const auto floats = static_cast<std::int64_t>((conv.format_bytes() + sizeof(float) - 1) / sizeof(float));
  if (parameter.narrow()) {
    auto wide = detail::widened(ctx, parameter);
    if (conv.plain()) return HeldWeights(std::move(wide));
    auto packed = make_value<float>(ctx, {.c = floats});
    conv.pack(ctx, wide.view().data, packed.view().data);
    return HeldWeights(std::move(packed));
  }
  auto& shared = parameter.shared();
  const std::lock_guard<std::mutex> lock(shared.mutex);
  if (conv.plain() && shared.plain) {
    detail::PackedLayouts::of(parameter).plain_in_use = true;
    return {shared.plain, shared.plain->data()};
  }
  return detail::packed(ctx, parameter, {.onednn = conv.format()}, floats,
                        [&](const float* plain, float* to) { conv.pack(ctx, plain, to); });
}

}  // namespace d3ad
