#pragma once
// Memory of the CPU device: 64-byte aligned, counted.

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include "d3ad/core/tensor.hpp"

namespace d3ad {

template <>
struct Memory<Cpu> {
  static void* allocate(std::size_t bytes) {
    counter().fetch_add(1, std::memory_order_relaxed);
    void* p = bytes > PTRDIFF_MAX ? nullptr : ::operator new (bytes ? bytes : 1, std::align_val_t{64}, std::nothrow);
    D3AD_CHECK(p, "out of memory: ", bytes, " bytes were asked for; use a smaller batch or image");
    return p;
  }
  static void release(void* p) noexcept { ::operator delete (p, std::align_val_t{64}); }
  static void copy_from_host(void* to, const void* from, std::size_t bytes) {
    if (bytes) std::memcpy(to, from, bytes);
  }
  static void copy_to_host(void* to, const void* from, std::size_t bytes) {
    if (bytes) std::memcpy(to, from, bytes);
  }
  static std::int64_t allocations() { return counter().load(std::memory_order_relaxed); }

 private:
  static std::atomic<std::int64_t>& counter() {
    static std::atomic<std::int64_t> count{0};
    return count;
  }
};

}  // namespace d3ad
