#pragma once
// What is made once and kept: plans of libraries by their shapes, and one object of a type for each context.
//
//   struct Key { Shape x, w; std::int64_t stride; bool operator==(const Key&) const = default; };
//   PlanCache<Plan, Key> plans;
//   Plan& plan = plans.get(key, [&] { return Plan(...); });          made at the first call with that key
//
//   TypedSlots slots;                                                a context's (ctx.kept<T>())
//   auto& plans = slots.get<PlanCache<Plan, Key>>();                 the one object of that type, default-constructed
//   auto& handle = slots.get<Handle>([&] { return Handle(stream); });   or made by a function
//
// References stay valid as long as the cache. For one thread at a time, as the context that it belongs to.

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

// Of a key's bytes, eight at a time: a key has no padding.
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

template <class Plan, class Key>
class PlanCache {
 public:
  template <class Make>
  Plan& get(const Key& key, Make&& make) {
    if (const auto known = plans_.find(key); known != plans_.end()) return *known->second;
    auto made = std::unique_ptr<Plan>(new Plan(make()));
    return *plans_.emplace(key, std::move(made)).first->second;
  }

 private:
  std::unordered_map<Key, std::unique_ptr<Plan>, HashOfBytes<Key>> plans_;
};

class TypedSlots {
 public:
  template <class T, class Make>
  T& get(Make&& make) {
    const std::size_t id = id_of<T>();
    if (id >= slots_.size()) slots_.resize(id + 1);
    if (!slots_[id]) {
      auto made = std::unique_ptr<Slot>(new SlotOf<T>(make));  // may use slots itself
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
