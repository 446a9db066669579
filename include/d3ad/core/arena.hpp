#pragma once
// Planned memory for activations and workspaces.
//
//   Arena<Cpu> arena;
//   auto x = arena.make<float>({8, 32, 32, 64});   // a Value: counted reference to a block, freed with the last one
//   x.view()                                       // what ops take
//
// The first pass is the plan: each block is placed by first fit in an imagined, endless slab while its memory comes
// from the device directly, or from a block of the pass that is done with. When the last block of a pass is gone the
// arena takes one slab as large as the highest end any block had. The same sequence of requests then finds the same
// places in that slab, so from the second pass on nothing is allocated (growths() stands still). A larger pass simply
// plans again.
//
// An arena belongs to one context and one thread at a time; Values must not outlive their arena.
//
// With D3AD_CHECK_BORDERS defined as 1 (for tests of kernels, generated code among them, that no sanitizer sees into)
// every block is followed by a border, and the program ends with a message where one was written to.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "d3ad/core/border.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad {

template <class Device>
class Arena {
 public:
  struct Block {
    Arena* owner = nullptr;
    std::byte* data = nullptr;
    std::size_t offset = 0, bytes = 0;
    int references = 0;
    std::size_t own_bytes = 0;  // of its own memory, where it is not (yet) in the slab
  };

  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() {
    release_idle(0);
    Memory<Device>::release(slab_);
  }

  // A block of at least `bytes`, aligned to 64, with one reference.
  Block* acquire(std::size_t bytes) {
    bytes = (bytes + kAlign - 1) / kAlign * kAlign;
    if (bytes == 0) bytes = kAlign;
    bytes += border::kBytes;
    settle();
    ++requests_;
    const std::size_t offset = place(bytes);
    Block* block = spare_.empty() ? &blocks_.emplace_back() : spare_.back();
    if (!spare_.empty()) spare_.pop_back();
    *block = {this, nullptr, offset, bytes, 1, 0};
    if (offset + bytes > slab_bytes_) {
      try {
        take_own_memory(*block);
      } catch (...) {
        unplace(offset, bytes);
        spare_.push_back(block);
        throw;
      }
    } else {
      block->data = slab_ + offset;
    }
    border::draw<Memory<Device>>(block->data + bytes - border::kBytes);
    ++live_;
    live_bytes_ += bytes;
    if (live_bytes_ > peak_bytes_) peak_bytes_ = live_bytes_;
    return block;
  }

  void release(Block* block) noexcept {
    border::check<Memory<Device>>(block->data + block->bytes - border::kBytes, block->bytes - border::kBytes);
    unplace(block->offset, block->bytes);
    live_bytes_ -= block->bytes;
    --live_;
    if (block->own_bytes) keep_idle(block->data, block->own_bytes);
    if (live_ == 0) release_idle(0);
    spare_.push_back(block);  // never reallocates: capacity is kept at blocks_.size() by acquire's growth below
  }

  // Gives back all of a block but its first `bytes`.
  void shrink(Block* block, std::size_t bytes) noexcept {
    border::check<Memory<Device>>(block->data + block->bytes - border::kBytes, block->bytes - border::kBytes);
    bytes = std::max((bytes + kAlign - 1) / kAlign * kAlign, kAlign) + border::kBytes;
    if (bytes >= block->bytes) return;
    used_.find(block->offset)->second = block->offset + bytes;
    live_bytes_ -= block->bytes - bytes;
    if (block->own_bytes) Memory<Device>::discard(block->data + bytes, block->own_bytes - bytes);
    block->bytes = bytes;
    border::draw<Memory<Device>>(block->data + bytes - border::kBytes);
  }

  template <class T>
  class Value;

  // Uninitialised memory for `shape` elements of T.
  template <class T>
  Value<T> make(Shape shape) {
    if (spare_.capacity() < blocks_.size() + 1) spare_.reserve(2 * blocks_.size() + 64);
    return Value<T>(acquire(static_cast<std::size_t>(shape.size()) * sizeof(T)), shape);
  }

  bool empty() const { return live_ == 0; }
  std::int64_t growths() const { return growths_; }       // times memory was taken from the device
  std::size_t peak_bytes() const { return peak_bytes_; }  // most bytes alive at once
  std::size_t slab_bytes() const { return slab_bytes_; }  // bytes held

  // Where nothing is alive: takes one slab for all that the passes so far needed, now rather than at the next request.
  void settle() {
    if (live_ != 0 || highest_ <= slab_bytes_) return;
    Memory<Device>::release(slab_);
    slab_ = nullptr;
    slab_bytes_ = 0;
    slab_ = static_cast<std::byte*>(Memory<Device>::allocate(highest_));
    slab_bytes_ = highest_;
    ++growths_;
  }

  // Gives the slab back when nothing is alive; the next pass plans anew.
  void trim() {
    if (live_ != 0) return;
    Memory<Device>::release(slab_);
    slab_ = nullptr;
    slab_bytes_ = highest_ = peak_bytes_ = 0;
  }

 private:
  static constexpr std::size_t kAlign = 64;

  // Memory for a block that is not in the slab: of one that is done with, if it is not more than twice as large, else
  // from the device, which has to find and clear it. All together is never more than what was alive at once, and what
  // nobody wanted for a while goes back.
  void take_own_memory(Block& block) {
    const auto fit = idle_.lower_bound(block.bytes);
    if (fit != idle_.end() && fit->first <= 2 * block.bytes) {
      block.own_bytes = fit->first, block.data = fit->second.memory;
      idle_bytes_ -= fit->first;
      idle_.erase(fit);
      return;
    }
    constexpr std::int64_t kWhile = 64;  // requests
    for (auto i = idle_.begin(); i != idle_.end();) i = i->second.since + kWhile < requests_ ? give_back(i) : ++i;
    const std::size_t alive = live_bytes_ + block.bytes;
    release_idle(peak_bytes_ > alive ? peak_bytes_ - alive : 0);
    block.data = static_cast<std::byte*>(Memory<Device>::allocate(block.bytes));
    block.own_bytes = block.bytes;
    ++growths_;
  }
  void keep_idle(std::byte* memory, std::size_t bytes) noexcept {
    try {
      idle_.emplace(bytes, Idle{memory, requests_});
      idle_bytes_ += bytes;
    } catch (...) {
      Memory<Device>::release(memory);
    }
  }
  // Gives idle memory back, the largest first, until `most` bytes are left.
  void release_idle(std::size_t most) noexcept {
    while (idle_bytes_ > most) give_back(std::prev(idle_.end()));
  }
  struct Idle {
    std::byte* memory;
    std::int64_t since;  // the number of requests until then
  };
  using IdleBySize = std::multimap<std::size_t, Idle>;
  typename IdleBySize::iterator give_back(typename IdleBySize::iterator which) noexcept {
    Memory<Device>::release(which->second.memory);
    idle_bytes_ -= which->first;
    return idle_.erase(which);
  }

  // First fit between the used ranges (offset -> end).
  std::size_t place(std::size_t bytes) {
    std::size_t offset = 0;
    for (const auto& [begin, end] : used_) {
      if (begin - offset >= bytes) break;
      offset = end;
    }
    used_.emplace(offset, offset + bytes);
    if (offset + bytes > highest_) highest_ = offset + bytes;
    return offset;
  }
  void unplace(std::size_t offset, std::size_t) noexcept { used_.erase(offset); }

  std::map<std::size_t, std::size_t> used_;
  IdleBySize idle_;
  std::deque<Block> blocks_;
  std::vector<Block*> spare_;
  std::byte* slab_ = nullptr;
  std::size_t slab_bytes_ = 0, highest_ = 0, live_bytes_ = 0, peak_bytes_ = 0, idle_bytes_ = 0;
  std::int64_t live_ = 0, growths_ = 0, requests_ = 0;
};

// Tensor memory that the arena takes back with the last reference, or a borrowed view (no reference at all).
// `node` is its place on a tape, -1 where nothing was recorded (autograd/tape.hpp). A value may carry a note about its
// numbers, such as their moments (ops/conv_block.hpp); whoever writes to it without making a new value drops it.
template <class Device>
template <class T>
class Arena<Device>::Value {
 public:
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
  void set_note(Value<Weight<Device>> other) {
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
  // The same memory, off the tape and without its note: for who is going to write to it.
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
  template <class>
  friend class Arena<Device>::Value;
  void swap_note(Value& other) { std::swap(note_, other.note_); }

  Block* block_ = nullptr;
  Block* note_ = nullptr;
  T* data_ = nullptr;
  Shape shape_{0, 0, 0, 0};
};

template <class T, class Device>
using Value = typename Arena<Device>::template Value<T>;

}  // namespace d3ad
