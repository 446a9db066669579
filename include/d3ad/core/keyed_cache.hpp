#pragma once
// Objects that are made once and kept: by a key, such as a library's kernels by their shapes; and one of each type.
//
//   struct Key { Shape x, w; std::int64_t stride; bool operator==(const Key&) const = default; };
//   KeyedCache<Kernel, Key> kernels;
//   Kernel& kernel = kernels.get(key, [&] { return Kernel(key); });      // made at the first call with that key
//
//   TypedSlots slots;                                                    // a context has one: ctx.kept<T>()
//   auto& cache = slots.get<KeyedCache<Kernel, Key>>();                  // default-constructed at the first call
//   auto& handle = slots.get<Handle>([&] { return Handle(stream); });    // or made by a function
//
// References stay valid as long as the cache. One thread at a time may use it, as the context that it belongs to.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "d3ad/core/compiled.hpp"

namespace d3ad {

// The hash of a key's bytes, eight at a time. A key has no padding.
template <class Key>
struct HashOfBytes {
  static_assert(std::has_unique_object_representations_v<Key>, "a key's bytes say all of its value: no padding");
  static_assert(sizeof(Key) % 8 == 0, "a key is made of eight-byte words");

  std::size_t operator()(const Key& key) const noexcept {
    std::uint64_t words[sizeof(Key) / 8];
    std::memcpy(words, &key, sizeof(Key));
    std::uint64_t hash = 0;
    for (const std::uint64_t word : words) {
      hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
      hash ^= hash >> 29;
    }
    return static_cast<std::size_t>(hash);
  }
};

template <class T, class Key>
class KeyedCache {
 public:
  template <class Make>
  T& get(const Key& key, Make&& make) {
    if (const auto known = made_.find(key); known != made_.end()) return *known->second;
    auto made = std::unique_ptr<T>(new T(make()));
    return *made_.emplace(key, std::move(made)).first->second;
  }

 private:
  std::unordered_map<Key, std::unique_ptr<T>, HashOfBytes<Key>> made_;
};

class TypedSlots {
 public:
  template <class T, class Make>
  T& get(Make&& make) {
    const std::size_t id = id_of<T>();
    if (id >= slots_.size()) slots_.resize(id + 1);
    if (!slots_[id]) {
      auto made = std::unique_ptr<Slot>(new SlotOf<T>(make));  // make() may use the slots itself
      slots_[id] = std::move(made);
    }
    return static_cast<SlotOf<T>*>(slots_[id].get())->value;
  }
  template <class T>
  T& get() {
    return get<T>([] { return T(); });
  }

 private:
  struct Slot {
    virtual ~Slot() = default;
  };
  template <class T>
  struct SlotOf final : Slot {
    T value;
    template <class Make>
    explicit SlotOf(Make& make) : value(make()) {}
  };

  static std::size_t next_id() {
    static std::atomic<std::size_t> next = 0;
    return next++;
  }
  template <class T>
  static std::size_t id_of() {
    static const std::size_t id = next_id();
    return id;
  }

  std::vector<std::unique_ptr<Slot>> slots_;
};

}  // namespace d3ad
