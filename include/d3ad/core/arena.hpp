#pragma once
// Memory for activations and workspaces, in blocks that Values refer to (core/value.hpp).
//
//   Arena<Cpu> arena;
//   auto x = make_value<float>(arena, {8, 32, 32, 64});
//   arena.growths();                                        // stays the same from the second pass of such requests on
//
// The first pass finds out how much memory is needed. Each block gets an offset, by first fit, in a slab that is not
// allocated yet; meanwhile its memory comes from the device, or from a block of the same pass that was released. When
// the last block of the pass is released, the size of the slab is known: the highest end of any block. The slab is
// allocated at the next request. The same sequence of requests then gets the same offsets, so from the second pass on
// nothing is allocated. For a larger pass this is repeated.
//
// An arena belongs to one context and is used by one thread at a time. Values must not outlive their arena.
//
// If D3AD_CHECK_BORDERS is defined as 1 (for tests of code that sanitizers cannot check, such as code that a library
// generates), every block is followed by a border, and the next request throws an Error if one was written to
// (core/border.hpp).

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
    std::size_t own_bytes = 0;  // size of its own memory; 0: it is in the slab
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
    if (spare_.capacity() < blocks_.size() + 1) spare_.reserve(2 * blocks_.size() + 64);  // release() must not fail
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
    spare_.push_back(block);  // never reallocates: acquire() has reserved a place for every block
  }

  // Releases all of a block except its first `bytes`.
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

  bool empty() const { return live_ == 0; }
  std::int64_t growths() const { return growths_; }       // how often memory was allocated
  std::size_t peak_bytes() const { return peak_bytes_; }  // most bytes in use at once
  std::size_t slab_bytes() const { return slab_bytes_; }  // bytes of the slab

  // Allocates the slab for the passes so far, if it is too small and no block is in use. A request does so too.
  void settle() {
    border::settle();
    if (live_ != 0 || highest_ <= slab_bytes_) return;
    Memory<Device>::release(slab_);
    slab_ = nullptr;
    slab_bytes_ = 0;
    slab_ = static_cast<std::byte*>(Memory<Device>::allocate(highest_));
    slab_bytes_ = highest_;
    ++growths_;
  }

  // Frees the slab, if no block is in use, and forgets the passes so far.
  void trim() {
    if (live_ != 0) return;
    Memory<Device>::release(slab_);
    slab_ = nullptr;
    slab_bytes_ = highest_ = peak_bytes_ = 0;
  }

 private:
  static constexpr std::size_t kAlign = 64;

  // Memory for a block that is not in the slab: that of a released block, if it is not more than twice as large, else
  // new memory, which the device has to find and clear. The total is never more than what was in use at once. Memory
  // that was idle for kWhile requests is freed.
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
  // Frees idle memory, the largest first, until at most `most` bytes are left.
  void release_idle(std::size_t most) noexcept {
    while (idle_bytes_ > most) give_back(std::prev(idle_.end()));
  }
  struct Idle {
    std::byte* memory;
    std::int64_t since;  // the number of requests before
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

}  // namespace d3ad
