#pragma once
// Memory of the CPU device: 64-byte aligned, counted.
//
// Blocks of 128 KiB and more are mapped, and return to the system when they are released. With malloc they would leave
// gaps: half a gigabyte after a network of one gigabyte was loaded, whose tensors are packed one by one. They are
// mapped in large pages if the system has them: the first pass then has a quarter of the page faults, and weights, all
// of which are read in every step, need fewer look-ups of addresses.

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

#include "d3ad/core/border.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad {

template <>
struct Memory<Cpu> {
  static void* allocate(std::size_t bytes) {
    border::settle();
    counter().fetch_add(1, std::memory_order_relaxed);
    std::byte* block = nullptr;
    const std::size_t whole = bytes + kHeader + border::kBytes;
    const bool mapped = kMaps && bytes >= kLarge;
    if (bytes <= PTRDIFF_MAX - kHeader - border::kBytes) {
      if (mapped) {
        block = map(whole);
      } else {
        block = static_cast<std::byte*>(::operator new (whole, std::align_val_t{kHeader}, std::nothrow));
      }
    }
    D3AD_CHECK(block, "out of memory: ", bytes, " bytes were asked for; use a smaller batch or image");
    const Header header{mapped ? whole : 0, bytes};
    std::memcpy(block, &header, sizeof(header));
    border::draw<Memory>(block + kHeader + bytes);
    return block + kHeader;
  }
  static void release(void* p) noexcept {
    if (!p) return;
    std::byte* const block = static_cast<std::byte*>(p) - kHeader;
    Header header;
    std::memcpy(&header, block, sizeof(header));
    border::check<Memory>(block + kHeader + header.bytes, header.bytes);
    if (header.to_unmap)
      ::munmap(block, header.to_unmap);
    else
      ::operator delete (block, std::align_val_t{kHeader});
  }
  // Returns these pages to the system; if they are used again, they are zero. For small parts the call is not worth it.
  static void discard(void* p, std::size_t bytes) noexcept {
#if defined(MADV_DONTNEED)
    if (!kMaps || bytes < kLarge) return;
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE)), at = reinterpret_cast<std::uintptr_t>(p);
    const std::uintptr_t first = (at + page - 1) / page * page, last = (at + bytes) / page * page;
    if (first < last) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
#endif
  }
  static void copy_from_host(void* to, const void* from, std::size_t bytes) {
    if (bytes) std::memcpy(to, from, bytes);
  }
  static void copy_to_host(void* to, const void* from, std::size_t bytes) {
    if (bytes) std::memcpy(to, from, bytes);
  }
  static std::int64_t allocations() { return counter().load(std::memory_order_relaxed); }

 private:
  // Before each block: the number of bytes to unmap, 0 if it came from operator new; and its own size.
  struct Header {
    std::size_t to_unmap, bytes;
  };
  static constexpr std::size_t kHeader = 64, kLarge = std::size_t{1} << 17, kLargePage = std::size_t{2} << 20;

  // New pages from the system, large ones if `bytes` fill at least one; null if it has none.
  static std::byte* map(std::size_t bytes) {
    const bool in_large_pages = bytes >= 2 * kLargePage;
    const std::size_t more = in_large_pages ? kLargePage : 0;  // to begin at a large page
    if (bytes > PTRDIFF_MAX - more) return nullptr;
    void* const p = ::mmap(nullptr, bytes + more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return nullptr;
    auto* block = static_cast<std::byte*>(p);
#if defined(MADV_HUGEPAGE)
    if (in_large_pages) {
      const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
      const auto whole_pages = [page](std::size_t n) { return (n + page - 1) / page * page; };
      const std::size_t before = (kLargePage - reinterpret_cast<std::uintptr_t>(p) % kLargePage) % kLargePage;
      const std::size_t end = before + whole_pages(bytes), after = whole_pages(bytes + more) - end;
      if (before) ::munmap(block, before);
      if (after) ::munmap(block + end, after);
      block += before;
      ::madvise(block, bytes, MADV_HUGEPAGE);  // a hint, which the system may ignore
    }
#endif
    return block;
  }
  // Address sanitizers check the borders of memory from operator new, but not of mappings.
#if defined(__SANITIZE_ADDRESS__)
  static constexpr bool kMaps = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
  static constexpr bool kMaps = false;
#else
  static constexpr bool kMaps = true;
#endif
#else
  static constexpr bool kMaps = true;
#endif

  static std::atomic<std::int64_t>& counter() {
    static std::atomic<std::int64_t> count{0};
    return count;
  }
};

}  // namespace d3ad
