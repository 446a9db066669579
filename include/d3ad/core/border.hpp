#pragma once
// Borders behind blocks of memory, for tests: who writes past the end of a block is found when the block is released.
//
//   border::draw<Memory<Cpu>>(end);           // kBytes of a pattern from `end` on
//   border::check<Memory<Cpu>>(end, size);    // ends the program where the pattern is broken
//
// Sanitizers see what a compiler made, not the code that oneDNN generates at run time; this sees both. Off (kBytes is
// 0) unless D3AD_CHECK_BORDERS is defined as 1, for all of a program alike.

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

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

template <class Memory>
void check(const std::byte* end, std::size_t size) noexcept {
  if constexpr (kBytes > 0) {
    Pattern found;
    Memory::copy_to_host(found.data(), end, kBytes);
    if (found == pattern()) return;
    std::fprintf(stderr, "memory was written past the end of a block of %zu bytes\n", size);
    std::abort();  // the program's state is lost already
  }
}

}  // namespace d3ad::border
