#pragma once
// Definitions of weights/safetensors_header.hpp. Included by it unless they are compiled.

#include <nlohmann/json.hpp>

#include "d3ad/weights/safetensors_header.hpp"

namespace d3ad::detail {

// Receives the JSON's events (nlohmann's SAX interface) and accepts only
//   { "__metadata__": { string: string ... }, name: { "dtype": string, "shape": [n ...], "data_offsets": [n, n] } ... }
class SafetensorsHeaderReader {
 public:
  using Json = nlohmann::json;

  SafetensorsHeaderReader(std::string_view file, SafetensorsHeader& header) : file_(file), header_(header) {}

  bool null() { refuse("null"); }
  bool boolean(bool) { refuse("a truth value"); }
  bool number_integer(Json::number_integer_t value) { refuse("the negative number ", value); }
  bool number_float(Json::number_float_t, const std::string& text) { refuse("the number ", printable(text)); }
  bool binary(Json::binary_t&) { refuse("binary data"); }

  bool number_unsigned(Json::number_unsigned_t value) {
    if (where_ == Where::shape) {
      if (entry_.dims.size() >= kMaxAxes) broken("tensor '", printable(name_), "' has more than ", kMaxAxes, " axes");
      if (value > static_cast<std::uint64_t>(INT64_MAX))
        broken("tensor '", printable(name_), "': the dimension ", value, " is too large");
      entry_.dims.push_back(static_cast<std::int64_t>(value));
    } else if (where_ == Where::offsets) {
      if (offsets_ == 2) broken("tensor '", printable(name_), "': data_offsets has more than two numbers");
      (offsets_++ == 0 ? entry_.begin : entry_.end) = static_cast<std::size_t>(value);
    } else {
      refuse("the number ", value);
    }
    return true;
  }
  bool string(std::string& value) {
    if (where_ == Where::metadata) {
      header_.metadata[key_] = std::move(value);
    } else if (where_ == Where::tensor && key_ == "dtype") {
      entry_.dtype = type(value);
    } else {
      refuse("the string '", printable(value), "'");
    }
    return true;
  }
  bool start_object(std::size_t) {
    switch (where_) {
      case Where::start:
        where_ = Where::root;
        return true;
      case Where::root:
        where_ = name_ == kSafetensorsMetadata ? Where::metadata : Where::tensor;
        entry_ = {};
        offsets_ = 0;
        seen_dtype_ = seen_shape_ = seen_offsets_ = false;
        return true;
      default:
        refuse("an object");
    }
  }
  bool key(std::string& value) {
    if (where_ == Where::root) {
      name_ = std::move(value);
      const bool metadata = name_ == kSafetensorsMetadata;
      if (metadata ? std::exchange(seen_metadata_, true) : header_.tensors.count(name_) > 0)
        broken("'", printable(name_), "' stands in it twice");
      if (header_.tensors.size() >= kMaxTensors) broken("it names more than ", kMaxTensors, " tensors");
      return true;
    }
    key_ = std::move(value);
    if (where_ == Where::metadata) {
      if (header_.metadata.count(key_)) broken("the metadata '", printable(key_), "' stands in it twice");
      return true;
    }
    bool* const seen = key_ == "dtype"          ? &seen_dtype_
                       : key_ == "shape"        ? &seen_shape_
                       : key_ == "data_offsets" ? &seen_offsets_
                                                : nullptr;
    if (!seen) broken("tensor '", printable(name_), "' has the unknown field '", printable(key_), "'");
    if (std::exchange(*seen, true)) broken("tensor '", printable(name_), "' has the field '", key_, "' twice");
    return true;
  }
  bool end_object() {
    if (where_ == Where::tensor) {
      if (!seen_dtype_ || !seen_shape_ || offsets_ != 2)
        broken("tensor '", printable(name_), "' lacks one of dtype, shape and two data_offsets");
      header_.tensors.emplace(name_, std::move(entry_));
    }
    where_ = where_ == Where::root ? Where::end : Where::root;
    return true;
  }
  bool start_array(std::size_t) {
    if (where_ == Where::tensor && key_ == "shape") {
      where_ = Where::shape;
    } else if (where_ == Where::tensor && key_ == "data_offsets") {
      where_ = Where::offsets;
    } else {
      refuse("an array");
    }
    return true;
  }
  bool end_array() {
    where_ = Where::tensor;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) {
    broken("no valid JSON at its byte ", position);
  }

 private:
  enum class Where { start, root, metadata, tensor, shape, offsets, end };

  template <class... Parts>
  [[noreturn]] void broken(const Parts&... parts) const {
    fail(file_, ": the header is damaged: ", parts..., "; get the file anew");
  }
  // Something of a kind that must not stand here.
  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    if (where_ == Where::start) broken(parts..., " where an object was expected");
    if (where_ == Where::metadata)
      broken(parts..., " in the metadata '", printable(key_), "', where a string was expected");
    if (where_ == Where::root) broken(parts..., " for '", printable(name_), "', where an object was expected");
    broken(parts..., " in ", key_.empty() ? "" : printable(key_) + " of ", "tensor '", printable(name_), "'");
  }
  DType type(const std::string& text) const {
    for (const DType t : {DType::f64, DType::f32, DType::f16, DType::bf16, DType::i64, DType::i32, DType::i16,
                          DType::i8, DType::u8, DType::boolean})
      if (text == d3ad::name(t)) return t;
    fail(file_, ": tensor '", printable(name_), "' has the type '", printable(text),
         "', expected F64, F32, F16, BF16, I64, I32, I16, I8, U8 or BOOL; convert it to one of them");
  }

  std::string_view file_;
  SafetensorsHeader& header_;
  Where where_ = Where::start;
  std::string name_, key_;
  SafetensorsEntry entry_;
  int offsets_ = 0;
  bool seen_metadata_ = false, seen_dtype_ = false, seen_shape_ = false, seen_offsets_ = false;
};

// Each tensor's bytes are what its dimensions say, and together they cover the data exactly.
inline void check_safetensors_data(std::string_view file, const SafetensorsHeader& header, std::size_t data_bytes) {
  using Item = std::pair<const std::string, SafetensorsEntry>;
  std::vector<const Item*> order;
  order.reserve(header.tensors.size());
  for (const Item& item : header.tensors) {
    const std::string& name = item.first;  // not a structured binding: a lambda reads it
    const SafetensorsEntry& entry = item.second;
    const auto check = [&](bool good, const auto&... parts) {
      D3AD_CHECK(good, file, ": tensor '", printable(name), "': ", parts..., "; the file is damaged, get it anew");
    };
    check(entry.begin <= entry.end, "its bytes end at ", entry.end, ", before their begin at ", entry.begin);
    check(entry.end <= data_bytes, "its bytes end at ", entry.end, ", but the file holds ", data_bytes,
          " bytes of data");
    std::int64_t count = 0;
    try {
      count = dims_size(entry.dims);
    } catch (const Error& error) {
      check(false, error.what());
    }
    // count is at most 2^60; compared by division, because the product with the type's size may not fit
    const std::size_t bytes = entry.end - entry.begin, element = size_of(entry.dtype);
    check(bytes % element == 0 && bytes / element == static_cast<std::size_t>(count), d3ad::name(entry.dtype), " ",
          dims_text(entry.dims), " needs ", count, " times ", element, " bytes, but it has ", bytes);
    order.push_back(&item);
  }
  std::sort(order.begin(), order.end(), [](const Item* a, const Item* b) {
    return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
  });
  std::size_t end = 0;
  for (const Item* item : order) {
    D3AD_CHECK(item->second.begin == end, file, ": tensor '", printable(item->first), "' begins at byte ",
               item->second.begin, " of the data, expected ", end, ": there is ",
               item->second.begin < end ? "an overlap" : "a hole", "; the file is damaged, get it anew");
    end = item->second.end;
  }
  D3AD_CHECK(end == data_bytes, file, ": the tensors end at byte ", end, " of the data, but the file holds ",
             data_bytes, " bytes of it; the file is damaged, get it anew");
}

}  // namespace d3ad::detail

namespace d3ad {

D3AD_INLINE SafetensorsHeader read_safetensors_header(std::string_view file, std::span<const std::byte> bytes) {
  D3AD_CHECK(!bytes.empty(), file, ": the file is empty; get it anew");
  D3AD_CHECK(bytes.size() >= 10, file, ": ", bytes.size(), " bytes are too few for a safetensors file; get it anew");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof(length));
  const std::size_t rest = bytes.size() - sizeof(length);
  const auto* text = reinterpret_cast<const char*>(bytes.data()) + sizeof(length);
  D3AD_CHECK(text[0] == '{', file, ": this is not a safetensors file (no header after its length); ",
             "convert other formats first");
  D3AD_CHECK(length <= detail::kMaxHeader, file, ": a header of ", length, " bytes, the format allows ",
             detail::kMaxHeader, "; the file is damaged, get it anew");
  D3AD_CHECK(length <= rest, file, ": a header of ", length, " bytes, but only ", rest,
             " follow; the file is cut short, get it anew");
  // The parser would take a zero byte for the end and not look at what follows.
  D3AD_CHECK(length >= 2 && !std::memchr(text, 0, length), file,
             ": the header is damaged: it is empty or holds a zero byte; get the file anew");

  SafetensorsHeader header;
  header.data_begin = sizeof(length) + static_cast<std::size_t>(length);
  detail::SafetensorsHeaderReader reader(file, header);
  nlohmann::json::sax_parse(text, text + length, &reader);
  detail::check_safetensors_data(file, header, bytes.size() - header.data_begin);
  return header;
}

D3AD_INLINE std::string make_safetensors_header(std::string_view file,
                                                const std::vector<std::pair<std::string, SafetensorsEntry>>& tensors,
                                                const std::map<std::string, std::string>& metadata) {
  const auto quoted = [&](const std::string& text) {
    try {
      return nlohmann::json(text).dump();
    } catch (const nlohmann::json::exception&) {
      fail("cannot write '", file, "': '", printable(text), "' is not valid UTF-8; choose another name");
    }
  };
  std::string json = "{";
  if (!metadata.empty()) {
    json += "\"" + std::string(kSafetensorsMetadata) + "\":{";
    for (const auto& [key, value] : metadata)
      json += (json.back() == '{' ? "" : ",") + quoted(key) + ":" + quoted(value);
    json += "}";
  }
  for (const auto& [name, entry] : tensors) {
    std::string dims = dims_text(entry.dims);
    dims.erase(std::remove(dims.begin(), dims.end(), ' '), dims.end());
    json += (json.size() == 1 ? "" : ",") + quoted(name) + ":{\"dtype\":\"" + d3ad::name(entry.dtype) +
            "\",\"shape\":" + dims + ",\"data_offsets\":[" + std::to_string(entry.begin) + "," +
            std::to_string(entry.end) + "]}";
  }
  json += "}";
  while (json.size() % 8 != 0) json += ' ';
  D3AD_CHECK(json.size() <= detail::kMaxHeader, "cannot write '", file, "': its header would take ", json.size(),
             " bytes, the format allows ", detail::kMaxHeader);
  const std::uint64_t length = json.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + json;
}

}  // namespace d3ad
