#pragma once
// Safetensors files made byte by byte, honest or not, and the walk through one that fuzzing repeats.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "d3ad/weights/safetensors.hpp"

namespace d3ad::test {

inline std::vector<std::byte> to_bytes(std::string_view text) {
  std::vector<std::byte> bytes(text.size());
  if (!text.empty()) std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

// Length (claimed, or the header's own), header, data.
inline std::string safetensors_text(std::string_view header, std::string_view data, std::int64_t claimed = -1) {
  const std::uint64_t length = claimed >= 0 ? static_cast<std::uint64_t>(claimed) : header.size();
  std::string text(sizeof(length), '\0');
  std::memcpy(text.data(), &length, sizeof(length));
  text += header;
  text += data;
  return text;
}

// Opens the bytes and reads all there is; throws only Error. Returns the number of tensors.
inline std::size_t read_everything(std::vector<std::byte> bytes) {
  const SafetensorsFile file(std::move(bytes), "fuzz");
  for (const std::string& name : file.names()) {
    const auto values = file.floats(name);
    D3AD_CHECK(values.size() * size_of(file.dtype(name)) == file.bytes(name).size(), "sizes differ");
    if (file.dtype(name) >= DType::i64) static_cast<void>(file.ints(name));
  }
  return file.size();
}

}  // namespace d3ad::test
