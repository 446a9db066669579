#pragma once
// Reads event files as TensorBoard does: record by record, up to the first that is not whole.
//
//   const test::Events events = test::read_events(bytes);
//   events.scalars.at({"unet/loss", 50}).value;  events.whole

#include <bit>
#include <cstdint>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "d3ad/core/check.hpp"
#include "d3ad/methods/event_file.hpp"

namespace d3ad::test {

struct Scalar {
  float value;
  double wall_time;
};

struct Events {
  std::string version;
  std::map<std::pair<std::string, std::int64_t>, Scalar> scalars;  // by tag and step
  std::map<std::string, std::string> plugins;                      // by tag
  std::size_t records = 0, repeated = 0;                           // repeated: a tag's step that was there before
  bool whole = true;                                               // all bytes are records
};

namespace detail {

template <class T>
T little(std::string_view bytes) {
  D3AD_CHECK(bytes.size() >= sizeof(T), "a number is cut short");
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

// Calls visit(field, number, bytes) for each field of a protocol buffer; of the two the one that its type has.
template <class Visit>
void each_field(std::string_view message, Visit&& visit) {
  const auto take = [&](std::size_t count) {
    D3AD_CHECK(count <= message.size(), "a field is cut short");
    const auto part = message.substr(0, count);
    message.remove_prefix(count);
    return part;
  };
  const auto varint = [&] {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= std::uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
  };
  while (!message.empty()) {
    const std::uint64_t key = varint();
    const int field = static_cast<int>(key >> 3);
    switch (key & 7) {
      case 0:
        visit(field, varint(), std::string_view());
        break;
      case 1:
        visit(field, std::uint64_t{0}, take(8));
        break;
      case 2:
        visit(field, std::uint64_t{0}, take(varint()));
        break;
      case 5:
        visit(field, std::uint64_t{0}, take(4));
        break;
      default:
        fail("a field of type ", key & 7);
    }
  }
}

inline void read_value(Events& out, std::string_view value, std::int64_t step, double wall_time) {
  std::string tag, plugin;
  float number = 0;
  each_field(value, [&](int field, std::uint64_t, std::string_view bytes) {
    if (field == 1) tag = bytes;
    if (field == 2) number = little<float>(bytes);
    if (field == 9)
      each_field(bytes, [&](int inner, std::uint64_t, std::string_view data) {
        if (inner == 1) each_field(data, [&](int, std::uint64_t, std::string_view name) { plugin = name; });
      });
  });
  if (!plugin.empty()) out.plugins[tag] = plugin;
  if (!out.scalars.emplace(std::pair(tag, step), Scalar{number, wall_time}).second) ++out.repeated;
}

inline void read_event(Events& out, std::string_view event) {
  double wall_time = 0;
  std::int64_t step = 0;
  std::string_view summary;
  each_field(event, [&](int field, std::uint64_t number, std::string_view bytes) {
    if (field == 1) wall_time = little<double>(bytes);
    if (field == 2) step = static_cast<std::int64_t>(number);
    if (field == 3) out.version = bytes;
    if (field == 5) summary = bytes;
  });
  each_field(summary, [&](int field, std::uint64_t, std::string_view value) {
    if (field == 1) read_value(out, value, step, wall_time);
  });
}

}  // namespace detail

inline Events read_events(std::string_view bytes) {
  Events out;
  const auto bad = [&] { return out.whole = false, out; };
  while (!bytes.empty()) {
    if (bytes.size() < 12) return bad();
    const auto length = detail::little<std::uint64_t>(bytes);
    if (detail::little<std::uint32_t>(bytes.substr(8)) != EventFile::checksum(bytes.substr(0, 8))) return bad();
    if (length > bytes.size() - 12 || bytes.size() - 12 - length < 4) return bad();
    const auto payload = bytes.substr(12, length);
    if (detail::little<std::uint32_t>(bytes.substr(12 + length)) != EventFile::checksum(payload)) return bad();
    detail::read_event(out, payload);
    ++out.records;
    bytes.remove_prefix(12 + length + 4);
  }
  return out;
}

}  // namespace d3ad::test
