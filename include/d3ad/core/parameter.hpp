#pragma once
// Parameter<Device>: one named tensor of a network: its value, its gradient while it trains, and the form a backend
// packed it into.
//
//   Parameter<Cpu> w("conv.weight", {64, 32, 3, 3}, {.n = 64, .h = 3, .w = 3, .c = 32});
//   w.value()      View<const float>   what ops read
//   w.edit()       View<float>         for writers; tells backends that packed copies are stale
//   w.gradient()   View<float>         made of zeros at the first call
//
// Storage is Weight<Device> (float; double for the reference device), or bfloat16 after narrow() (half the memory; ops
// widen it as they read). freeze() says that the value will not change any more: a backend may then keep its packed
// copy only and drop the plain one, so that weights stay in memory once.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/core/arena.hpp"
#include "d3ad/core/dtype.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad {

template <class Device>
class Parameter {
 public:
  // dims: the axes in the file (PyTorch's order); shape: the same tensor channels last. See weights/layout.hpp.
  Parameter(std::string name, std::vector<std::int64_t> dims, Shape shape, bool trainable = true)
      : name_(std::move(name)), dims_(std::move(dims)), shape_(shape), trainable_(trainable), value_(shape) {}

  const std::string& name() const { return name_; }
  const std::vector<std::int64_t>& dims() const { return dims_; }
  Shape shape() const { return shape_; }
  std::int64_t size() const { return shape_.size(); }

  bool has_plain() const { return !value_.empty(); }
  bool narrow() const { return !narrow_.empty(); }
  View<const Weight<Device>, Device> value() const {
    D3AD_CHECK(has_plain(), "parameter '", name_, "': its plain float value was given up (",
               narrow() ? "bfloat16" : "frozen and packed", "); load the network again to read it");
    return value_.view();
  }
  View<const bfloat16, Device> narrow_value() const { return narrow_.view(); }
  View<Weight<Device>, Device> edit() {
    D3AD_CHECK(has_plain() && !frozen_, "parameter '", name_, "' is frozen; load the network again to change it");
    ++version_;
    return value_.view();
  }
  std::uint64_t version() const { return version_; }

  bool trainable() const { return trainable_; }
  void set_trainable(bool trainable) { trainable_ = trainable; }
  bool has_gradient() const { return !gradient_.empty(); }
  View<Weight<Device>, Device> gradient() {
    if (gradient_.empty()) {
      gradient_ = Tensor<Weight<Device>, Device>(shape_);
      const std::vector<Weight<Device>> zeros(static_cast<std::size_t>(size()));
      copy_from_host(gradient_.view(), zeros.data());
    }
    return gradient_.view();
  }
  void drop_gradient() { gradient_ = {}; }

  // No more changes: gradients go, and a backend may keep only its packed copy.
  void freeze() {
    frozen_ = true;
    trainable_ = false;
    drop_gradient();
  }
  bool frozen() const { return frozen_; }

  // Takes over bfloat16 storage for the value (made by the backend's narrow op) and frees the float one.
  void adopt_narrow(Tensor<bfloat16, Device> narrow) {
    narrow_ = std::move(narrow);
    freeze();
    value_ = {};
    packed_.reset();
  }

  // For backends: what they keep beside the plain value, and for which version of it they made it.
  struct Packed {
    std::shared_ptr<void> data;
    std::uint64_t version = 0;
    void reset() { data.reset(); }
  };
  Packed& packed() const { return packed_; }
  void drop_plain() const {
    if (frozen_ && packed_.data) value_ = {};
  }

 private:
  std::string name_;
  std::vector<std::int64_t> dims_;
  Shape shape_;
  bool trainable_ = true, frozen_ = false;
  std::uint64_t version_ = 1;
  mutable Tensor<Weight<Device>, Device> value_;
  Tensor<bfloat16, Device> narrow_;
  Tensor<Weight<Device>, Device> gradient_;
  mutable Packed packed_;
};

}  // namespace d3ad
