#pragma once
// The header of a safetensors file: reads it and checks every claim, and makes one. Used by weights/safetensors.hpp.
//
//   SafetensorsHeader header = read_safetensors_header("name for error texts", bytes of the whole file);
//
// Checks: the header's length against the file and against 100 MB; JSON of exactly the format's form, read as a stream
// so that depth and size cost nothing; no key twice; known types; dimensions whose product does not overflow; bytes of
// each tensor equal to dimensions times type; tensors cover the data without a gap or overlap.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "d3ad/core/check.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/core/dtype.hpp"
#include "d3ad/weights/layout.hpp"
#include "d3ad/weights/nearest_names.hpp"

namespace d3ad {

struct SafetensorsEntry {
  DType dtype = DType::f32;
  std::vector<std::int64_t> dims;
  std::size_t begin = 0, end = 0;  // of its bytes, from the start of the data
};

struct SafetensorsHeader {
  std::map<std::string, SafetensorsEntry, std::less<>> tensors;
  std::map<std::string, std::string> metadata;
  std::size_t data_begin = 0;  // in the file
};

inline constexpr std::string_view kSafetensorsMetadata = "__metadata__";

namespace detail {

// The format's own limit; and limits that no network reaches.
inline constexpr std::uint64_t kMaxHeader = 100'000'000;
inline constexpr std::size_t kMaxTensors = 1'000'000, kMaxAxes = 16;

}  // namespace detail

SafetensorsHeader read_safetensors_header(std::string_view file, std::span<const std::byte> bytes);

// Length and header, padded with spaces so that the data begins at a multiple of 8.
std::string make_safetensors_header(std::string_view file,
                                    const std::vector<std::pair<std::string, SafetensorsEntry>>& tensors,
                                    const std::map<std::string, std::string>& metadata);

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/weights/safetensors_header-inl.hpp"
#endif
