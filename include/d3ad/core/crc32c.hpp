#pragma once
// CRC-32C (Castagnoli; RFC 3720, B.4): the checksum of TensorFlow's records.
//
//   crc32c("123456789") == 0xe3069283

#include <array>
#include <cstdint>
#include <string_view>

namespace d3ad {

inline std::uint32_t crc32c(std::string_view bytes) {
  static constexpr auto table = [] {
    std::array<std::uint32_t, 256> out{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t rest = i;
      for (int bit = 0; bit < 8; ++bit) rest = rest >> 1 ^ (rest & 1 ? 0x82f63b78u : 0u);
      out[i] = rest;
    }
    return out;
  }();
  std::uint32_t crc = 0xffffffffu;
  for (const char c : bytes) crc = crc >> 8 ^ table[(crc ^ static_cast<unsigned char>(c)) & 0xffu];
  return ~crc;
}

}  // namespace d3ad
