#pragma once
// Parameter<Device>: one named tensor of a network, with its value, its gradient while it trains, and the layouts into
// which a backend packed it.
//
//   Parameter<Cpu> w("conv.weight", {64, 32, 3, 3}, {.n = 64, .h = 3, .w = 3, .c = 32});
//   View<const float, Cpu> value = w.value();      // for operations
//   View<float, Cpu> values = w.edit();            // for writing; packed copies are out of date from now on
//   View<float, Cpu> gradient = w.gradient();      // zeros at the first call
//
// Storage is Weight<Device> (float; double for the reference device), or bfloat16 after adopt_narrow() (half the memory; ops
// widen it as they read).
//
// freeze() says that the value will not change any more. A backend may then free the plain value and keep only the
// layout that its ops read, so that weights are in memory once. value() restores the plain value if that was freed, and
// keeps it from then on, so that the view is valid as long as the parameter. plain() returns a counted reference
// instead; the plain value may be freed once it is destroyed.
//
// Contexts of several threads may read one parameter at the same time. A thread that changes it (by any function that
// is not const) must be the only one that uses it.

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/core/dtype.hpp"
#include "d3ad/core/tensor.hpp"
#include "d3ad/core/value.hpp"

namespace d3ad {

// What a backend keeps of a parameter beside its plain value, or instead of it.
template <class Device>
class PackedCopies {
 public:
  virtual ~PackedCopies() = default;
  // Writes the value of this version to `plain`. Returns false if there is no copy of it, or only a rounded one.
  virtual bool unpack(std::uint64_t version, View<Weight<Device>, Device> plain) const = 0;
};

template <class Device>
class Parameter {
 public:
  using Plain = Tensor<Weight<Device>, Device>;

  // dims: the axes in the file (PyTorch's order); shape: the same tensor channels last. See weights/layout.hpp.
  Parameter(std::string name, std::vector<std::int64_t> dims, Shape shape, bool trainable = true)
      : name_(std::move(name)), dims_(std::move(dims)), shape_(shape), trainable_(trainable) {
    shared_->plain = std::make_shared<Plain>(shape);
  }

  const std::string& name() const { return name_; }
  const std::vector<std::int64_t>& dims() const { return dims_; }
  Shape shape() const { return shape_; }
  std::int64_t size() const { return shape_.size(); }

  // Whether the plain value is in memory now.
  bool has_plain() const {
    const std::lock_guard<std::mutex> lock(shared_->mutex);
    return shared_->plain != nullptr;
  }
  bool narrow() const { return !narrow_.empty(); }
  // Valid until the parameter is changed, narrowed or destroyed. Throws if the value was narrowed, or is kept only in
  // the activations' type.
  View<const Weight<Device>, Device> value() const {
    if (frozen_ && !shared_->kept.load(std::memory_order_acquire)) {
      const std::lock_guard<std::mutex> lock(shared_->mutex);
      if (!shared_->plain) shared_->plain = restored();
      shared_->kept.store(true, std::memory_order_release);
    }
    return std::as_const(*shared_->plain).view();
  }
  // The same, valid as long as the result.
  std::shared_ptr<const Plain> plain() const {
    const std::lock_guard<std::mutex> lock(shared_->mutex);
    if (shared_->plain) return shared_->plain;
    return restored();
  }
  View<const bfloat16, Device> narrow_value() const { return narrow_.view(); }
  View<Weight<Device>, Device> edit() {
    D3AD_CHECK(!frozen_, "parameter '", name_, "' is frozen; load the network again to change it");
    ++version_;
    return shared_->plain->view();
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

  // The value does not change from now on: frees the gradient, and lets a backend keep only its packed copy.
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
    shared_->plain.reset();
    shared_->packed.reset();
    shared_->kept = false;
  }

  // For backends: what contexts share through a parameter, to be used under the lock. If the parameter is frozen, a
  // backend may reset `plain` once `packed` has the value, unless `kept`.
  struct Shared {
    std::mutex mutex;
    std::shared_ptr<Plain> plain;
    std::unique_ptr<PackedCopies<Device>> packed;
    std::atomic<bool> kept = false;  // a view of `plain` was handed out
  };
  Shared& shared() const { return *shared_; }

 private:
  // The plain value again, after it was freed. Call it under the lock.
  std::shared_ptr<Plain> restored() const {
    D3AD_CHECK(!narrow(), "parameter '", name_, "': its plain float value was freed (bfloat16)");
    auto plain = std::make_shared<Plain>(shape_);
    D3AD_CHECK(shared_->packed && shared_->packed->unpack(version_, plain->view()), "parameter '", name_,
               "': its plain float value was freed when it was rounded to the activations' type");
    return plain;
  }

  std::string name_;
  std::vector<std::int64_t> dims_;
  Shape shape_;
  bool trainable_ = true, frozen_ = false;
  std::uint64_t version_ = 1;
  Tensor<bfloat16, Device> narrow_;
  Tensor<Weight<Device>, Device> gradient_;
  std::unique_ptr<Shared> shared_ = std::make_unique<Shared>();  // keeps its address if a parameter is moved
};

}  // namespace d3ad
