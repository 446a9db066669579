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

#include "d3ad/core/compiled.hpp"
#include "d3ad/core/crc32c.hpp"

namespace d3ad {

namespace detail {

// A protocol buffer as it is written, field by field.
class Message {
 public:
  Message& varint(int field, std::uint64_t value);
  Message& number(int field, double value);
  Message& number(int field, float value);
  Message& text(int field, std::string_view value);
  Message& message(int field, const Message& value) { return text(field, value.bytes()); }
  const std::string& bytes() const { return bytes_; }

  static void put_little(std::string& out, std::uint64_t value, int count);

 private:
  void key(int field, int type) { put_varint(static_cast<std::uint64_t>(field) << 3 | static_cast<unsigned>(type)); }
  void put_varint(std::uint64_t value);

  std::string bytes_;
};

}  // namespace detail

class EventFile {
 public:
  explicit EventFile(double wall_time);

  // Values of one step, each under its tag. Tags with the same word before a '/' are shown together.
  void add(double wall_time, std::int64_t step, const std::vector<std::pair<std::string, double>>& scalars);

  const std::string& bytes() const { return bytes_; }

  // The checksum of a record's length or payload: turned and shifted, so that a record of records is none of its own.
  static std::uint32_t checksum(std::string_view bytes) { return std::rotr(crc32c(bytes), 15) + 0xa282ead8u; }

 private:
  void record(std::string_view payload);

  std::string bytes_;
  std::set<std::string> described_;  // tags that were there
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/methods/event_file-inl.hpp"
#endif
