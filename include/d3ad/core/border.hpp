#pragma once
// Borders behind blocks of memory, for tests: a write past the end of a block is found when the block is released.
//
//   border::draw<Memory<Cpu>>(end);            // writes kBytes of a pattern from `end` on
//   border::check<Memory<Cpu>>(end, size);     // records a changed pattern; it cannot throw, since memory is released
//   border::settle();                          // throws an Error if one was recorded; the next request calls it
//   auto bytes = border::take_broken();        // the same without an exception, for the end of a program
//
// Sanitizers check what a compiler translated, but not the code that oneDNN generates at run time; borders check both.
// They are off (kBytes is 0) unless D3AD_CHECK_BORDERS is defined as 1, in all files of a program.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "d3ad/core/check.hpp"
#include "d3ad/core/compiled.hpp"

#ifndef D3AD_CHECK_BORDERS
#define D3AD_CHECK_BORDERS 0
#endif

namespace d3ad::border {

inline constexpr std::size_t kBytes = D3AD_CHECK_BORDERS ? 1024 : 0;  // a multiple of every alignment in use

using Pattern = std::array<unsigned char, kBytes ? kBytes : 1>;
inline const Pattern& pattern() {
  static const Pattern bytes = [] {
    Pattern p{};
    for (std::size_t i = 0; i < p.size(); ++i) p[i] = static_cast<unsigned char>(0xa5 + 37 * i);
    return p;
  }();
  return bytes;
}

template <class Memory>
void draw(std::byte* end) {
  if constexpr (kBytes > 0) Memory::copy_from_host(end, pattern().data(), kBytes);
}

// The size of the first block whose border was changed; -1: none.
inline std::atomic<std::int64_t>& broken() {
  static std::atomic<std::int64_t> bytes = -1;
  return bytes;
}

template <class Memory>
void check(const std::byte* end, std::size_t size) noexcept {
  if constexpr (kBytes > 0) {
    Pattern found;
    Memory::copy_to_host(found.data(), end, kBytes);
    std::int64_t none = -1;
    if (found != pattern()) broken().compare_exchange_strong(none, static_cast<std::int64_t>(size));
  }
}

// Returns this size and sets it to -1.
inline std::int64_t take_broken() noexcept { return broken().exchange(-1); }

inline void settle() {
  if constexpr (kBytes > 0)
    if (const std::int64_t bytes = take_broken(); bytes >= 0)
      fail("memory was written past the end of a block of ", bytes, " bytes");
}

}  // namespace d3ad::border
