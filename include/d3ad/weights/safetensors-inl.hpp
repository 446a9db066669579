#pragma once
// Definitions of weights/safetensors.hpp. Included by it unless they are compiled.

#include "d3ad/weights/safetensors.hpp"

namespace d3ad::detail {

D3AD_INLINE void convert_to_floats(DType type, const std::byte* from, std::size_t count, float* out) {
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

}  // namespace d3ad::detail

namespace d3ad {

D3AD_INLINE SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : path_(path.string()), mapped_(path), data_(mapped_.bytes()), header_(read_safetensors_header(path_, data_)) {}

D3AD_INLINE SafetensorsFile::SafetensorsFile(std::vector<std::byte> bytes, std::string name)
    : path_(std::move(name)), owned_(std::move(bytes)), data_(owned_), header_(read_safetensors_header(path_, data_)) {}

D3AD_INLINE std::vector<std::string> SafetensorsFile::names() const {  // sorted
  std::vector<std::string> all;
  all.reserve(header_.tensors.size());
  for (const auto& [name, entry] : header_.tensors) all.push_back(name);
  return all;
}

D3AD_INLINE std::span<const std::byte> SafetensorsFile::bytes(std::string_view name) const {
  const SafetensorsEntry& entry = find(name);
  return data_.subspan(header_.data_begin + entry.begin, entry.end - entry.begin);
}

D3AD_INLINE void SafetensorsFile::read_floats(std::string_view name, float* out) const {
  const SafetensorsEntry& entry = find(name);
  const auto from = bytes(name);
  detail::convert_to_floats(entry.dtype, from.data(), from.size() / size_of(entry.dtype), out);
}

D3AD_INLINE std::vector<float> SafetensorsFile::floats(std::string_view name) const {
  std::vector<float> out(static_cast<std::size_t>(count(name)));
  read_floats(name, out.data());
  return out;
}

D3AD_INLINE std::vector<std::int64_t> SafetensorsFile::ints(std::string_view name) const {
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

D3AD_INLINE void SafetensorsFile::release_pages(std::string_view name) const {
  const SafetensorsEntry& entry = find(name);
  mapped_.release_pages(header_.data_begin + entry.begin, entry.end - entry.begin);
}

D3AD_INLINE const SafetensorsEntry& SafetensorsFile::find(std::string_view name) const {
  const auto found = header_.tensors.find(name);
  if (found == header_.tensors.end())
    fail(path_, ": there is no tensor '", printable(name), "'", nearest_names(names(), name));
  return found->second;
}

D3AD_INLINE void SafetensorsWriter::add(const std::string& name, std::vector<std::int64_t> dims, DType dtype,
                                        const void* data) {
  const std::size_t bytes = bytes_of(name, dims, dtype);
  insert(name, {std::move(dims), dtype, bytes, [data, bytes](AtomicFile& out) { out.write(data, bytes); }});
}

D3AD_INLINE void SafetensorsWriter::add_floats(const std::string& name, std::vector<std::int64_t> dims,
                                               const float* values, DType stored) {
  const std::size_t bytes = bytes_of(name, dims, stored), count = bytes / size_of(stored);
  check_float_type(name, stored);
  insert(name, {std::move(dims), stored, bytes,
                [name, values, count, stored](AtomicFile& out) { put_floats(out, name, values, count, stored); }});
}

D3AD_INLINE void SafetensorsWriter::add_floats(const std::string& name, std::vector<std::int64_t> dims,
                                               std::vector<float> values, DType stored) {
  add_made(
      name, std::move(dims),
      [values = std::move(values)](const std::string& tensor, std::size_t count) {
        D3AD_CHECK(values.size() == count, "safetensors: tensor '", tensor, "' has ", values.size(),
                   " values, its dimensions ask for ", count);
        return values;
      },
      stored);
}

D3AD_INLINE void SafetensorsWriter::add_made(const std::string& name, std::vector<std::int64_t> dims, Make make,
                                             DType stored) {
  const std::size_t bytes = bytes_of(name, dims, stored), count = bytes / size_of(stored);
  check_float_type(name, stored);
  insert(name, {std::move(dims), stored, bytes, [name, make = std::move(make), count, stored](AtomicFile& out) {
                  const std::vector<float> values = make(name, count);
                  D3AD_CHECK(values.size() == count, "safetensors: tensor '", printable(name), "' has ", values.size(),
                             " values, its dimensions ask for ", count);
                  put_floats(out, name, values.data(), count, stored);
                }});
}

D3AD_INLINE void SafetensorsWriter::add_ints(const std::string& name, std::vector<std::int64_t> dims,
                                             std::vector<std::int64_t> values) {
  const std::size_t bytes = bytes_of(name, dims, DType::i64);
  D3AD_CHECK(values.size() * sizeof(std::int64_t) == bytes, "safetensors: tensor '", printable(name), "' has ",
             values.size(), " values for the dimensions ", dims_text(dims));
  insert(name, {std::move(dims), DType::i64, bytes,
                [values = std::move(values), bytes](AtomicFile& out) { out.write(values.data(), bytes); }});
}

D3AD_INLINE void SafetensorsWriter::write(const std::filesystem::path& path) const {
  std::vector<const Pieces::value_type*> order;
  for (const auto& piece : pieces_) order.push_back(&piece);  // by name, then stably by element size
  std::stable_sort(order.begin(), order.end(),
                   [](const auto* a, const auto* b) { return size_of(a->second.dtype) > size_of(b->second.dtype); });
  std::vector<std::pair<std::string, SafetensorsEntry>> tensors;
  std::size_t offset = 0;
  for (const auto* piece : order) {
    tensors.push_back({piece->first, {piece->second.dtype, piece->second.dims, offset, offset + piece->second.bytes}});
    offset += piece->second.bytes;
  }
  const std::string header = make_safetensors_header(path.string(), tensors, metadata);
  AtomicFile out(path);
  out.write(header);
  for (const auto* piece : order) piece->second.put(out);
  out.commit();
}

D3AD_INLINE std::size_t SafetensorsWriter::bytes_of(const std::string& name, const std::vector<std::int64_t>& dims,
                                                    DType dtype) {
  try {
    return static_cast<std::size_t>(dims_size(dims)) * size_of(dtype);
  } catch (const Error& error) {
    fail("safetensors: tensor '", printable(name), "': ", error.what());
  }
}

D3AD_INLINE void SafetensorsWriter::check_float_type(const std::string& name, DType stored) {
  D3AD_CHECK(stored == DType::f32 || stored == DType::f64 || stored == DType::f16 || stored == DType::bf16,
             "safetensors: tensor '", printable(name), "': floats cannot be stored as ", d3ad::name(stored),
             "; choose F32, F64, F16 or BF16");
}

D3AD_INLINE void SafetensorsWriter::insert(const std::string& name, Piece piece) {
  D3AD_CHECK(name != kSafetensorsMetadata, "safetensors: no tensor can be named '", name, "'");
  D3AD_CHECK(pieces_.emplace(name, std::move(piece)).second, "safetensors: tensor '", printable(name),
             "' was added twice");
}

template <class T>
void SafetensorsWriter::put_as(AtomicFile& out, const float* values, std::size_t count) {
  std::vector<T> chunk(std::min<std::size_t>(count, std::size_t{1} << 18));
  for (std::size_t first = 0; first < count; first += chunk.size()) {
    const std::size_t part = std::min(chunk.size(), count - first);
    for (std::size_t i = 0; i < part; ++i) chunk[i] = static_cast<T>(values[first + i]);
    out.write(chunk.data(), part * sizeof(T));
  }
}

D3AD_INLINE void SafetensorsWriter::put_floats(AtomicFile& out, const std::string& name, const float* values,
                                               std::size_t count, DType stored) {
  if (stored == DType::f32) return out.write(values, count * sizeof(float));
  if (stored == DType::f64) return put_as<double>(out, values, count);
  if (stored == DType::bf16) return put_as<bfloat16>(out, values, count);
  for (std::size_t i = 0; i < count; ++i)  // half ends at 65504: an infinity must not come from a number
    D3AD_CHECK(!(std::abs(values[i]) >= 65520.0f) || std::isinf(values[i]), "safetensors: tensor '", printable(name),
               "' holds ", values[i], ", which F16 cannot; store it as BF16 or F32");
  put_as<half>(out, values, count);
}

}  // namespace d3ad
