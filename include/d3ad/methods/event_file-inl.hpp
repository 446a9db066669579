#pragma once
// Definitions of methods/event_file.hpp. Included by it unless they are compiled.

#include "d3ad/methods/event_file.hpp"

namespace d3ad {

namespace detail {

D3AD_INLINE Message& Message::varint(int field, std::uint64_t value) {
  key(field, 0);
  put_varint(value);
  return *this;
}

D3AD_INLINE Message& Message::number(int field, double value) {
  key(field, 1);
  put_little(bytes_, std::bit_cast<std::uint64_t>(value), 8);
  return *this;
}

D3AD_INLINE Message& Message::number(int field, float value) {
  key(field, 5);
  put_little(bytes_, std::bit_cast<std::uint32_t>(value), 4);
  return *this;
}

D3AD_INLINE Message& Message::text(int field, std::string_view value) {
  key(field, 2);
  put_varint(value.size());
  bytes_ += value;
  return *this;
}

D3AD_INLINE void Message::put_little(std::string& out, std::uint64_t value, int count) {
  for (int i = 0; i < count; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
}

D3AD_INLINE void Message::put_varint(std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(0x80 | (value & 0x7f));
  bytes_ += static_cast<char>(value);
}

}  // namespace detail

D3AD_INLINE EventFile::EventFile(double wall_time) {
  record(detail::Message().number(1, wall_time).text(3, "brain.Event:2").bytes());
}

D3AD_INLINE void EventFile::add(double wall_time, std::int64_t step,
                                const std::vector<std::pair<std::string, double>>& scalars) {
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

D3AD_INLINE void EventFile::record(std::string_view payload) {
  std::string length;
  detail::Message::put_little(length, payload.size(), 8);
  bytes_ += length;
  detail::Message::put_little(bytes_, checksum(length), 4);
  bytes_ += payload;
  detail::Message::put_little(bytes_, checksum(payload), 4);
}

}  // namespace d3ad
