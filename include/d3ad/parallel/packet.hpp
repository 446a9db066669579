#pragma once
// Values as bytes and back, for messages between processes of one program.
//
//   Packet packet;
//   packet.put(score), packet.put(map);                      // numbers, vectors of numbers, texts
//   PacketReader reader(packet.bytes());
//   reader.get(score), reader.get(map);                      // in the same order
//
// All processes are of one build on machines of one kind, so numbers are sent as they lie in memory.

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "d3ad/core/check.hpp"

namespace d3ad::parallel {

template <class T>
concept Plain = std::is_arithmetic_v<T> || std::is_enum_v<T>;

class Packet {
 public:
  template <Plain T>
  void put(T value) {
    append(&value, sizeof(T));
  }
  template <Plain T>
  void put(const std::vector<T>& values) {
    put(static_cast<std::uint64_t>(values.size()));
    append(values.data(), values.size() * sizeof(T));
  }
  void put(std::string_view text) {
    put(static_cast<std::uint64_t>(text.size()));
    append(text.data(), text.size());
  }
  const std::string& bytes() const& { return bytes_; }
  std::string bytes() && { return std::move(bytes_); }

 private:
  void append(const void* data, std::size_t count) {
    if (count) bytes_.append(static_cast<const char*>(data), count);
  }
  std::string bytes_;
};

// Reads `bytes`, which it does not keep.
class PacketReader {
 public:
  explicit PacketReader(std::string_view bytes) : bytes_(bytes) {}

  template <Plain T>
  void get(T& value) {
    std::memcpy(&value, take(sizeof(T)), sizeof(T));
  }
  template <Plain T>
  void get(std::vector<T>& values) {
    values.resize(length(sizeof(T)));
    if (const std::size_t count = values.size() * sizeof(T)) std::memcpy(values.data(), take(count), count);
  }
  void get(std::string& text) {
    const std::size_t count = length(1);
    text.assign(take(count), count);
  }
  bool done() const { return at_ == bytes_.size(); }

 private:
  const char* take(std::size_t count) {
    D3AD_CHECK(count <= bytes_.size() - at_, "packet: ", count, " bytes are asked for, ", bytes_.size() - at_,
               " are left; the processes are not of the same build");
    const char* const data = bytes_.data() + at_;
    at_ += count;
    return data;
  }
  // How many elements of `each` bytes follow; no more than can be there.
  std::size_t length(std::size_t each) {
    std::uint64_t count = 0;
    get(count);
    D3AD_CHECK(count <= (bytes_.size() - at_) / each, "packet: ", count, " elements are announced, ",
               bytes_.size() - at_, " bytes are left; the processes are not of the same build");
    return static_cast<std::size_t>(count);
  }

  std::string_view bytes_;
  std::size_t at_ = 0;
};

}  // namespace d3ad::parallel
