#pragma once
// Value<T, Device>: a tensor in an arena, by counted reference.
//
//   auto x = make_value<float>(ctx, {8, 32, 32, 64});   // uninitialised memory, given back with the last reference
//   x.view()                                            // what ops take
//
// Values must not outlive their arena, and are of one thread, as it is.

#include <cstddef>
#include <utility>

#include "d3ad/core/arena.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad {

// Tensor memory that the arena takes back with the last reference, or a borrowed view (no reference at all).
// `node` is its place on a tape, -1 where nothing was recorded (autograd/tape.hpp). A value may carry a note about its
// numbers, such as their moments (ops/conv_block.hpp); whoever writes to it without making a new value drops it.
template <class T, class Device>
class Value {
 public:
  using Block = typename Arena<Device>::Block;

  int node = -1;

  Value() = default;
  Value(Block* block, Shape shape) : block_(block), data_(reinterpret_cast<T*>(block->data)), shape_(shape) {}
  Value(const Value& other)
      : node(other.node), block_(other.block_), note_(other.note_), data_(other.data_), shape_(other.shape_) {
    if (block_) ++block_->references;
    if (note_) ++note_->references;
  }
  Value(Value&& other) noexcept
      : node(std::exchange(other.node, -1)),
        block_(std::exchange(other.block_, nullptr)),
        note_(std::exchange(other.note_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        shape_(std::exchange(other.shape_, Shape{0, 0, 0, 0})) {}
  Value& operator=(Value other) noexcept {
    std::swap(node, other.node);
    std::swap(block_, other.block_);
    std::swap(note_, other.note_);
    std::swap(data_, other.data_);
    std::swap(shape_, other.shape_);
    return *this;
  }
  ~Value() {
    if (block_ && --block_->references == 0) block_->owner->release(block_);
    if (note_ && --note_->references == 0) note_->owner->release(note_);
  }

  // A value that owns nothing: the caller keeps `view` alive. Never written through by a runner.
  static Value borrow(View<const T, Device> view) {
    Value value;
    value.data_ = const_cast<T*>(view.data);
    value.shape_ = view.shape;
    return value;
  }

  explicit operator bool() const { return data_ != nullptr; }
  Shape shape() const { return shape_; }
  View<T, Device> view() const { return {data_, shape_}; }
  // The only reference: whoever holds it may overwrite it.
  bool unique() const { return block_ && block_->references == 1; }
  // A note: the numbers of another value of the arena, of a shape that its reader knows. Without one: null.
  void set_note(Value<Weight<Device>, Device> other) {
    Value().swap_note(*this);
    note_ = std::exchange(other.block_, nullptr);
  }
  Weight<Device>* note() const { return note_ ? reinterpret_cast<Weight<Device>*>(note_->data) : nullptr; }
  // The same memory under another shape (and the same place on the tape).
  Value reshaped(Shape shape) const {
    Value other = *this;
    other.shape_ = view().reshaped(shape).shape;
    Value().swap_note(other);  // it is about the other shape
    return other;
  }
  // Detached from the tape and without cached moments; use before writing in place.
  Value detached() const {
    Value other = *this;
    other.node = -1;
    Value().swap_note(other);
    return other;
  }
  void reset() { *this = Value(); }
  // Keeps the first elements only, under another shape, and gives the rest of the memory back. For a sole owner.
  void shrink(Shape shape) {
    D3AD_CHECK(unique() && shape.size() <= shape_.size(), "shrink: ", shape_, " to ", shape,
               unique() ? ", which is larger" : ", which others refer to");
    block_->owner->shrink(block_, static_cast<std::size_t>(shape.size()) * sizeof(T));
    shape_ = shape;
    Value().swap_note(*this);
  }

 private:
  template <class, class>
  friend class Value;
  void swap_note(Value& other) { std::swap(note_, other.note_); }

  Block* block_ = nullptr;
  Block* note_ = nullptr;
  T* data_ = nullptr;
  Shape shape_{0, 0, 0, 0};
};

// Uninitialised memory for `shape` elements of T, of an arena or of a context's.
template <class T, class Device>
Value<T, Device> make_value(Arena<Device>& arena, Shape shape) {
  return {arena.acquire(static_cast<std::size_t>(shape.size()) * sizeof(T)), shape};
}
template <class T, class Device>
Value<T, Device> make_value(Context<Device>& ctx, Shape shape) {
  return make_value<T>(ctx.arena, shape);
}

}  // namespace d3ad
