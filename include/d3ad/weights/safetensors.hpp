#pragma once
// Safetensors files: 8 bytes length, a JSON header, the tensors' bytes. Nothing in a file is trusted.
//
//   SafetensorsFile file("unet.safetensors");            mapped, not read; Error if anything in the header is wrong
//   file.names(), file.has(n), file.dims(n), file.dtype(n), file.bytes(n), file.metadata()
//   std::vector<float> x = file.floats("conv.weight");   file order, any type converted
//
//   SafetensorsWriter writer;
//   writer.metadata["kind"] = "unet";
//   writer.add_floats("conv.weight", {64, 3, 3, 3}, pointer);        `pointer` is read by write()
//   writer.write("unet.safetensors");                                 atomically (core/file.hpp)
//
// Equal content gives equal bytes: tensors are ordered by falling element size, then by name, so that each is aligned.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "d3ad/core/check.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/core/dtype.hpp"
#include "d3ad/core/file.hpp"
#include "d3ad/weights/layout.hpp"
#include "d3ad/weights/nearest_names.hpp"
#include "d3ad/weights/safetensors_header.hpp"

namespace d3ad {

static_assert(std::endian::native == std::endian::little, "safetensors is little-endian, and so is all of this");

namespace detail {

// double, half, bfloat16, integer -> float. Beyond float's range is infinity, said explicitly.
template <class T>
float to_float(T value) {
  if constexpr (std::is_same_v<T, double>) {
    constexpr double kMax = std::numeric_limits<float>::max();
    if (value > kMax || value < -kMax)
      return std::copysign(std::numeric_limits<float>::infinity(), value < 0 ? -1.0f : 1.0f);
  }
  return static_cast<float>(value);
}

// Calls visit(i, element i) for `count` elements of T at any alignment.
template <class T, class Visit>
void for_each_element(const std::byte* from, std::size_t count, Visit&& visit) {
  for (std::size_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, from + i * sizeof(T), sizeof(T));
    visit(i, value);
  }
}

template <class T>
void convert_to_floats(const std::byte* from, std::size_t count, float* out) {
  for_each_element<T>(from, count, [out](std::size_t i, T value) { out[i] = to_float(value); });
}

void convert_to_floats(DType type, const std::byte* from, std::size_t count, float* out);

}  // namespace detail

class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);
  // A file that is in memory already; `name` stands for it in sentences.
  SafetensorsFile(std::vector<std::byte> bytes, std::string name);
  SafetensorsFile(SafetensorsFile&&) = default;
  SafetensorsFile& operator=(SafetensorsFile&&) = default;

  const std::string& path() const { return path_; }
  std::size_t file_bytes() const { return data_.size(); }
  std::size_t size() const { return header_.tensors.size(); }  // number of tensors
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }

  std::vector<std::string> names() const;
  bool has(std::string_view name) const { return header_.tensors.find(name) != header_.tensors.end(); }
  const std::vector<std::int64_t>& dims(std::string_view name) const { return find(name).dims; }
  DType dtype(std::string_view name) const { return find(name).dtype; }
  std::int64_t count(std::string_view name) const { return dims_size(find(name).dims); }  // of its elements
  std::span<const std::byte> bytes(std::string_view name) const;

  // All elements in the file's order, as float. `out` has room for count(name).
  void read_floats(std::string_view name, float* out) const;
  std::vector<float> floats(std::string_view name) const;
  std::vector<std::int64_t> ints(std::string_view name) const;

  // Gives back the memory its pages take after they were read; it can be read again.
  void release_pages(std::string_view name) const;

 private:
  const SafetensorsEntry& find(std::string_view name) const;

  std::string path_;
  MappedFile mapped_;
  std::vector<std::byte> owned_;
  std::span<const std::byte> data_;
  SafetensorsHeader header_;
};

class SafetensorsWriter {
 public:
  std::map<std::string, std::string> metadata;

  // `data` holds the elements in the file's order and must live until write() returns.
  void add(const std::string& name, std::vector<std::int64_t> dims, DType dtype, const void* data);
  // Floats, stored as F32, F64, F16 or BF16; `values` must live until write() returns.
  void add_floats(const std::string& name, std::vector<std::int64_t> dims, const float* values,
                  DType stored = DType::f32);
  // The same, kept by the writer.
  void add_floats(const std::string& name, std::vector<std::int64_t> dims, std::vector<float> values,
                  DType stored = DType::f32);
  // Floats made when they are written, so that not all tensors are in memory at once.
  using Make = std::function<std::vector<float>(const std::string& name, std::size_t count)>;
  void add_made(const std::string& name, std::vector<std::int64_t> dims, Make make, DType stored = DType::f32);
  void add_ints(const std::string& name, std::vector<std::int64_t> dims, std::vector<std::int64_t> values);

  std::size_t size() const { return pieces_.size(); }
  bool has(const std::string& name) const { return pieces_.count(name) > 0; }

  void write(const std::filesystem::path& path) const;

 private:
  struct Piece {
    std::vector<std::int64_t> dims;
    DType dtype;
    std::size_t bytes;
    std::function<void(AtomicFile&)> put;
  };
  using Pieces = std::map<std::string, Piece>;

  static std::size_t bytes_of(const std::string& name, const std::vector<std::int64_t>& dims, DType dtype);
  static void check_float_type(const std::string& name, DType stored);
  void insert(const std::string& name, Piece piece);

  template <class T>
  static void put_as(AtomicFile& out, const float* values, std::size_t count);
  static void put_floats(AtomicFile& out, const std::string& name, const float* values, std::size_t count,
                         DType stored);

  Pieces pieces_;
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/weights/safetensors-inl.hpp"
#endif
