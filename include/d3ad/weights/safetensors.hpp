#pragma once
// Safetensors files: 8 bytes length, a JSON header, the tensors' bytes. Nothing in a file is trusted.
//
//   SafetensorsFile file("unet.safetensors");            mapped, not read; Error where anything in the header is wrong
//   file.names(), file.has(n), file.dims(n), file.dtype(n), file.bytes(n), file.metadata()
//   std::vector<float> x = file.floats("conv.weight");   file order, any type converted
//
//   SafetensorsWriter writer;
//   writer.metadata["kind"] = "unet";
//   writer.add_floats("conv.weight", {64, 3, 3, 3}, pointer);        `pointer` is read by write()
//   writer.write("unet.safetensors");                                 atomically (core/file.hpp)
//
// Equal content gives equal bytes: tensors are written by falling element size, then by name, so that each is aligned.

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

inline void convert_to_floats(DType type, const std::byte* from, std::size_t count, float* out) {
  switch (type) {
    case DType::f64:
      return convert_to_floats<double>(from, count, out);
    case DType::f32:
      if (count) std::memcpy(out, from, count * sizeof(float));
      return;
    case DType::f16:
      return convert_to_floats<half>(from, count, out);
    case DType::bf16:
      return convert_to_floats<bfloat16>(from, count, out);
    case DType::i64:
      return convert_to_floats<std::int64_t>(from, count, out);
    case DType::i32:
      return convert_to_floats<std::int32_t>(from, count, out);
    case DType::i16:
      return convert_to_floats<std::int16_t>(from, count, out);
    case DType::i8:
      return convert_to_floats<std::int8_t>(from, count, out);
    case DType::u8:
      return convert_to_floats<std::uint8_t>(from, count, out);
    case DType::boolean:
      return for_each_element<std::uint8_t>(from, count,
                                            [out](std::size_t i, std::uint8_t v) { out[i] = v ? 1.0f : 0.0f; });
  }
}

}  // namespace detail

class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path)
      : path_(path.string()), mapped_(path), data_(mapped_.bytes()), header_(read_safetensors_header(path_, data_)) {}
  // A file that is in memory already; `name` stands for it in sentences.
  SafetensorsFile(std::vector<std::byte> bytes, std::string name)
      : path_(std::move(name)),
        owned_(std::move(bytes)),
        data_(owned_),
        header_(read_safetensors_header(path_, data_)) {}
  SafetensorsFile(SafetensorsFile&&) = default;
  SafetensorsFile& operator=(SafetensorsFile&&) = default;

  const std::string& path() const { return path_; }
  std::size_t file_bytes() const { return data_.size(); }
  std::size_t size() const { return header_.tensors.size(); }  // number of tensors
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }

  std::vector<std::string> names() const {  // sorted
    std::vector<std::string> all;
    all.reserve(header_.tensors.size());
    for (const auto& [name, entry] : header_.tensors) all.push_back(name);
    return all;
  }
  bool has(std::string_view name) const { return header_.tensors.find(name) != header_.tensors.end(); }
  const std::vector<std::int64_t>& dims(std::string_view name) const { return find(name).dims; }
  DType dtype(std::string_view name) const { return find(name).dtype; }
  std::int64_t count(std::string_view name) const { return dims_size(find(name).dims); }  // of its elements
  std::span<const std::byte> bytes(std::string_view name) const {
    const SafetensorsEntry& entry = find(name);
    return data_.subspan(header_.data_begin + entry.begin, entry.end - entry.begin);
  }

  // All elements in the file's order, as float. `out` has room for count(name).
  void read_floats(std::string_view name, float* out) const {
    const SafetensorsEntry& entry = find(name);
    const auto from = bytes(name);
    detail::convert_to_floats(entry.dtype, from.data(), from.size() / size_of(entry.dtype), out);
  }
  std::vector<float> floats(std::string_view name) const {
    std::vector<float> out(static_cast<std::size_t>(count(name)));
    read_floats(name, out.data());
    return out;
  }
  std::vector<std::int64_t> ints(std::string_view name) const {
    const DType type = dtype(name);
    const auto from = bytes(name);
    std::vector<std::int64_t> out(static_cast<std::size_t>(count(name)));
    const auto store = [&out](std::size_t i, auto value) { out[i] = static_cast<std::int64_t>(value); };
    switch (type) {
      case DType::i64:
        detail::for_each_element<std::int64_t>(from.data(), out.size(), store);
        break;
      case DType::i32:
        detail::for_each_element<std::int32_t>(from.data(), out.size(), store);
        break;
      case DType::i16:
        detail::for_each_element<std::int16_t>(from.data(), out.size(), store);
        break;
      case DType::i8:
        detail::for_each_element<std::int8_t>(from.data(), out.size(), store);
        break;
      case DType::u8:
        detail::for_each_element<std::uint8_t>(from.data(), out.size(), store);
        break;
      case DType::boolean:
        detail::for_each_element<std::uint8_t>(from.data(), out.size(),
                                               [&out](std::size_t i, std::uint8_t v) { out[i] = v != 0; });
        break;
      default:
        fail(path_, ": tensor '", printable(name), "' holds ", d3ad::name(type), ", integers were expected");
    }
    return out;
  }

  // Gives back the memory its pages take after they were read; it can be read again.
  void release_pages(std::string_view name) const {
    const SafetensorsEntry& entry = find(name);
    mapped_.release_pages(header_.data_begin + entry.begin, entry.end - entry.begin);
  }

 private:
  const SafetensorsEntry& find(std::string_view name) const {
    const auto found = header_.tensors.find(name);
    if (found == header_.tensors.end())
      fail(path_, ": there is no tensor '", printable(name), "'", nearest_names(names(), name));
    return found->second;
  }

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
  void add(const std::string& name, std::vector<std::int64_t> dims, DType dtype, const void* data) {
    const std::size_t bytes = bytes_of(name, dims, dtype);
    insert(name, {std::move(dims), dtype, bytes, [data, bytes](AtomicFile& out) { out.write(data, bytes); }});
  }
  // Floats, stored as F32, F64, F16 or BF16; `values` must live until write() returns.
  void add_floats(const std::string& name, std::vector<std::int64_t> dims, const float* values,
                  DType stored = DType::f32) {
    const std::size_t bytes = bytes_of(name, dims, stored), count = bytes / size_of(stored);
    check_float_type(name, stored);
    insert(name, {std::move(dims), stored, bytes,
                  [name, values, count, stored](AtomicFile& out) { put_floats(out, name, values, count, stored); }});
  }
  // The same, kept by the writer.
  void add_floats(const std::string& name, std::vector<std::int64_t> dims, std::vector<float> values,
                  DType stored = DType::f32) {
    add_made(
        name, std::move(dims),
        [values = std::move(values)](const std::string& tensor, std::size_t count) {
          D3AD_CHECK(values.size() == count, "safetensors: tensor '", tensor, "' has ", values.size(),
                     " values, its dimensions ask for ", count);
          return values;
        },
        stored);
  }
  // Floats made when they are written, so that not all tensors are in memory at once.
  using Make = std::function<std::vector<float>(const std::string& name, std::size_t count)>;
  void add_made(const std::string& name, std::vector<std::int64_t> dims, Make make, DType stored = DType::f32) {
    const std::size_t bytes = bytes_of(name, dims, stored), count = bytes / size_of(stored);
    check_float_type(name, stored);
    insert(name, {std::move(dims), stored, bytes, [name, make = std::move(make), count, stored](AtomicFile& out) {
                    const std::vector<float> values = make(name, count);
                    D3AD_CHECK(values.size() == count, "safetensors: tensor '", printable(name), "' has ",
                               values.size(), " values, its dimensions ask for ", count);
                    put_floats(out, name, values.data(), count, stored);
                  }});
  }
  void add_ints(const std::string& name, std::vector<std::int64_t> dims, std::vector<std::int64_t> values) {
    const std::size_t bytes = bytes_of(name, dims, DType::i64);
    D3AD_CHECK(values.size() * sizeof(std::int64_t) == bytes, "safetensors: tensor '", printable(name), "' has ",
               values.size(), " values for the dimensions ", dims_text(dims));
    insert(name, {std::move(dims), DType::i64, bytes,
                  [values = std::move(values), bytes](AtomicFile& out) { out.write(values.data(), bytes); }});
  }

  std::size_t size() const { return pieces_.size(); }
  bool has(const std::string& name) const { return pieces_.count(name) > 0; }

  void write(const std::filesystem::path& path) const {
    std::vector<const Pieces::value_type*> order;
    for (const auto& piece : pieces_) order.push_back(&piece);  // by name, then stably by element size
    std::stable_sort(order.begin(), order.end(),
                     [](const auto* a, const auto* b) { return size_of(a->second.dtype) > size_of(b->second.dtype); });
    std::vector<std::pair<std::string, SafetensorsEntry>> tensors;
    std::size_t offset = 0;
    for (const auto* piece : order) {
      tensors.push_back(
          {piece->first, {piece->second.dtype, piece->second.dims, offset, offset + piece->second.bytes}});
      offset += piece->second.bytes;
    }
    const std::string header = make_safetensors_header(path.string(), tensors, metadata);
    AtomicFile out(path);
    out.write(header);
    for (const auto* piece : order) piece->second.put(out);
    out.commit();
  }

 private:
  struct Piece {
    std::vector<std::int64_t> dims;
    DType dtype;
    std::size_t bytes;
    std::function<void(AtomicFile&)> put;
  };
  using Pieces = std::map<std::string, Piece>;

  static std::size_t bytes_of(const std::string& name, const std::vector<std::int64_t>& dims, DType dtype) {
    try {
      return static_cast<std::size_t>(dims_size(dims)) * size_of(dtype);
    } catch (const Error& error) {
      fail("safetensors: tensor '", printable(name), "': ", error.what());
    }
  }
  static void check_float_type(const std::string& name, DType stored) {
    D3AD_CHECK(stored == DType::f32 || stored == DType::f64 || stored == DType::f16 || stored == DType::bf16,
               "safetensors: tensor '", printable(name), "': floats cannot be stored as ", d3ad::name(stored),
               "; choose F32, F64, F16 or BF16");
  }
  void insert(const std::string& name, Piece piece) {
    D3AD_CHECK(name != kSafetensorsMetadata, "safetensors: no tensor can be named '", name, "'");
    D3AD_CHECK(pieces_.emplace(name, std::move(piece)).second, "safetensors: tensor '", printable(name),
               "' was added twice");
  }

  template <class T>
  static void put_as(AtomicFile& out, const float* values, std::size_t count) {
    std::vector<T> chunk(std::min<std::size_t>(count, std::size_t{1} << 18));
    for (std::size_t first = 0; first < count; first += chunk.size()) {
      const std::size_t part = std::min(chunk.size(), count - first);
      for (std::size_t i = 0; i < part; ++i) chunk[i] = static_cast<T>(values[first + i]);
      out.write(chunk.data(), part * sizeof(T));
    }
  }
  static void put_floats(AtomicFile& out, const std::string& name, const float* values, std::size_t count,
                         DType stored) {
    if (stored == DType::f32) return out.write(values, count * sizeof(float));
    if (stored == DType::f64) return put_as<double>(out, values, count);
    if (stored == DType::bf16) return put_as<bfloat16>(out, values, count);
    for (std::size_t i = 0; i < count; ++i)  // half ends at 65504: an infinity must not come from a number
      D3AD_CHECK(!(std::abs(values[i]) >= 65520.0f) || std::isinf(values[i]), "safetensors: tensor '", printable(name),
                 "' holds ", values[i], ", which F16 cannot; store it as BF16 or F32");
    put_as<half>(out, values, count);
  }

  Pieces pieces_;
};

}  // namespace d3ad
