#pragma once
// Curves as TensorBoard reads them: scalars by tag and step, as the bytes of a file whose name holds "tfevents".
//
//   EventFile events(1.7e9);                                  // seconds since 1970: when the first was
//   events.add(1.7e9, 50, {{"unet/loss", 0.3}, {"unet/learning_rate", 1e-4}});
//   write_growing("events.out.tfevents.1.unet", events.bytes());
//
// The same calls give the same bytes. The format is TensorFlow's: records (length, its checksum, an Event, its
// checksum; little endian) whose payloads are protocol buffers. The fields, by message:
//
//   Event            1 wall_time double, 2 step int64, 3 file_version string (of the first), 5 summary
//   Summary          1 value, repeated
//   Summary.Value    1 tag string, 2 simple_value float, 9 metadata (of the tag's first)
//   SummaryMetadata  1 plugin_data {1 plugin_name string}, 4 data_class (1: scalar)

#include <bit>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "d3ad/core/crc32c.hpp"

namespace d3ad {

namespace detail {

// A protocol buffer as it is written, field by field.
class Message {
 public:
  Message& varint(int field, std::uint64_t value) {
    key(field, 0);
    put_varint(value);
    return *this;
  }
  Message& number(int field, double value) {
    key(field, 1);
    put_little(bytes_, std::bit_cast<std::uint64_t>(value), 8);
    return *this;
  }
  Message& number(int field, float value) {
    key(field, 5);
    put_little(bytes_, std::bit_cast<std::uint32_t>(value), 4);
    return *this;
  }
  Message& text(int field, std::string_view value) {
    key(field, 2);
    put_varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& message(int field, const Message& value) { return text(field, value.bytes()); }
  const std::string& bytes() const { return bytes_; }

  static void put_little(std::string& out, std::uint64_t value, int count) {
    for (int i = 0; i < count; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
  }

 private:
  void key(int field, int type) { put_varint(static_cast<std::uint64_t>(field) << 3 | static_cast<unsigned>(type)); }
  void put_varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(0x80 | (value & 0x7f));
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

}  // namespace detail

class EventFile {
 public:
  explicit EventFile(double wall_time) {
    record(detail::Message().number(1, wall_time).text(3, "brain.Event:2").bytes());
  }

  // Values of one step, each under its tag. Tags with the same word before a '/' are shown together.
  void add(double wall_time, std::int64_t step, const std::vector<std::pair<std::string, double>>& scalars) {
    detail::Message summary;
    for (const auto& [tag, value] : scalars) {
      detail::Message one;
      one.text(1, tag).number(2, static_cast<float>(value));
      if (described_.insert(tag).second)
        one.message(9, detail::Message().message(1, detail::Message().text(1, "scalars")).varint(4, 1));
      summary.message(1, one);
    }
    record(
        detail::Message().number(1, wall_time).varint(2, static_cast<std::uint64_t>(step)).message(5, summary).bytes());
  }

  const std::string& bytes() const { return bytes_; }

  // The checksum of a record's length or payload: turned and shifted, so that a record of records is none of its own.
  static std::uint32_t checksum(std::string_view bytes) { return std::rotr(crc32c(bytes), 15) + 0xa282ead8u; }

 private:
  void record(std::string_view payload) {
    std::string length;
    detail::Message::put_little(length, payload.size(), 8);
    bytes_ += length;
    detail::Message::put_little(bytes_, checksum(length), 4);
    bytes_ += payload;
    detail::Message::put_little(bytes_, checksum(payload), 4);
  }

  std::string bytes_;
  std::set<std::string> described_;  // tags that were there
};

}  // namespace d3ad
