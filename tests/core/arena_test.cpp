// The arena: places, reuse, a second pass that allocates nothing, exceptions; Values and their references.

#include "d3ad/core/arena.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <set>
#include <vector>

#include "d3ad/backend/cpu/memory.hpp"
#include "d3ad/core/rng.hpp"
#include "d3ad/core/value.hpp"

namespace arena_test {

using namespace d3ad;

namespace {

// A pass with overlapping lifetimes; every block keeps what was written to it until it goes.
void pass(Arena<Cpu>& arena, std::uint64_t seed, int blocks) {
  const Rng rng(seed, 1);
  std::vector<std::pair<Value<float, Cpu>, float>> alive;
  for (int i = 0; i < blocks; ++i) {
    const auto number = static_cast<std::uint64_t>(i);
    auto v = make_value<float>(arena, {.c = 1 + rng.below(2 * number, 5000)});
    const float mark = static_cast<float>(i);
    std::fill_n(v.view().data, v.view().size(), mark);
    alive.emplace_back(std::move(v), mark);
    if (rng.below(2 * number + 1, 5) == 0) {
      auto& some = alive[rng.below(2 * number, alive.size())].first;
      some.shrink({.c = (some.shape().c + 1) / 2});
    }
    if (rng.below(2 * number + 1, 3) != 0) {
      const auto at = rng.below(2 * number + 1, alive.size());
      const auto& [value, expected] = alive[at];
      for (std::int64_t k = 0; k < value.view().size(); ++k) REQUIRE(value.view().data[k] == expected);
      alive.erase(alive.begin() + at);
    }
  }
}

}  // namespace

TEST_CASE("what a block is shrunk by is given back, and what it keeps stays") {
  constexpr std::int64_t kLarge = 1 << 20;
  Arena<Cpu> arena;
  for (int i = 0; i < 3; ++i) {
    auto a = make_value<float>(arena, {.c = kLarge});
    for (std::int64_t k = 0; k < kLarge; ++k) a.view().data[k] = static_cast<float>(k);
    a.shrink({.h = 2, .c = kLarge / 4});
    CHECK(a.shape() == Shape{.h = 2, .c = kLarge / 4});
    auto b = make_value<float>(arena, {.c = kLarge / 2});
    std::fill_n(b.view().data, kLarge / 2, -1.0f);
    std::int64_t wrong = 0;
    for (std::int64_t k = 0; k < kLarge / 2; ++k) wrong += a.view().data[k] != static_cast<float>(k);
    CHECK(wrong == 0);
    // In the slab b lies where the rest of a lay.
    if (i > 0) CHECK(static_cast<std::size_t>(b.view().data - a.view().data) < kLarge / 2 + 4096);
    auto c = make_value<float>(arena, {.c = 8});
    const auto also = c;
    CHECK_THROWS_WITH_AS(c.shrink({.c = 4}), doctest::Contains("others refer to"), Error);
    CHECK_THROWS_WITH_AS(b.shrink({.c = kLarge}), doctest::Contains("larger"), Error);
    b.reset();
    a.shrink({.c = 16});
  }
  CHECK(arena.empty());
  CHECK(arena.peak_bytes() < std::size_t{kLarge} * sizeof(float) + 16384);
}

TEST_CASE("a second pass of the same requests allocates nothing") {
  Arena<Cpu> arena;
  pass(arena, 1, 300);
  CHECK(arena.empty());
  pass(arena, 1, 300);  // takes the slab
  const auto growths = arena.growths();
  const auto allocations = Memory<Cpu>::allocations();
  for (int i = 0; i < 5; ++i) pass(arena, 1, 300);
  CHECK(arena.growths() == growths);
  CHECK(Memory<Cpu>::allocations() == allocations);
  CHECK(arena.slab_bytes() >= arena.peak_bytes());
  // A smaller pass needs nothing either, a larger one plans again and then rests.
  pass(arena, 1, 20);
  CHECK(arena.growths() == growths);
  pass(arena, 2, 900);
  pass(arena, 2, 900);
  const auto grown = arena.growths();
  CHECK(grown > growths);
  pass(arena, 2, 900);
  CHECK(arena.growths() == grown);
}

TEST_CASE("blocks that are alive together do not overlap, and start at multiples of 64 bytes") {
  Arena<Cpu> arena;
  for (int repeat = 0; repeat < 3; ++repeat) {
    std::vector<Value<float, Cpu>> alive;
    std::set<std::pair<const float*, const float*>> ranges;
    for (int i = 1; i < 50; ++i) {
      alive.push_back(make_value<float>(arena, {.c = 7 * i}));
      const auto v = alive.back().view();
      CHECK(reinterpret_cast<std::uintptr_t>(v.data) % 64 == 0);
      ranges.emplace(v.data, v.data + v.size());
      if (i % 5 == 0) {
        const auto gone = alive[static_cast<std::size_t>(i / 10)].view();
        ranges.erase({gone.data, gone.data + gone.size()});
        alive.erase(alive.begin() + i / 10);
      }
      const float* end = nullptr;
      for (const auto& [first, last] : ranges) {
        CHECK(first >= end);
        end = last;
      }
    }
  }
}

TEST_CASE("a Value counts its references; the last one gives the block back") {
  Arena<Cpu> arena;
  auto a = make_value<float>(arena, {2, 1, 1, 3});
  CHECK(a.unique());
  auto b = a;
  CHECK_FALSE(a.unique());
  a.reset();
  CHECK_FALSE(a);
  CHECK(b.unique());
  CHECK_FALSE(arena.empty());
  const auto c = b.reshaped({.c = 6});
  CHECK(c.view().data == b.view().data);
  CHECK_THROWS_WITH_AS(b.reshaped({.c = 7}), doctest::Contains("has not as many elements"), Error);
  const auto d = std::move(b);
  CHECK_FALSE(b);  // NOLINT: what a moved-from Value is, is the point
  CHECK(d);
  CHECK_FALSE(d.unique());
}

TEST_CASE("a borrowed value owns nothing and is never unique") {
  Tensor<float, Cpu> t({.c = 4});
  const auto v = Value<float, Cpu>::borrow(t.view());
  CHECK(v);
  CHECK_FALSE(v.unique());
  CHECK(v.view().data == t.data());
}

TEST_CASE("a request that no machine can meet is a sentence, and the arena goes on") {
  Arena<Cpu> arena;
  const auto kept = make_value<float>(arena, {.c = 16});
  std::fill_n(kept.view().data, 16, 3.0f);
  CHECK_THROWS_WITH_AS(make_value<float>(arena, {.c = std::int64_t{1} << 60}), doctest::Contains("out of memory"),
                       Error);
  const auto after = make_value<float>(arena, {.c = 16});
  std::fill_n(after.view().data, 16, 4.0f);
  CHECK(kept.view().data[15] == 3.0f);
}

TEST_CASE("trim gives the memory back when nothing is alive") {
  Arena<Cpu> arena;
  pass(arena, 1, 50);
  pass(arena, 1, 50);
  CHECK(arena.slab_bytes() > 0);
  {
    const auto v = make_value<float>(arena, {.c = 1});
    arena.trim();
    CHECK(arena.slab_bytes() > 0);
  }
  arena.trim();
  CHECK(arena.slab_bytes() == 0);
  pass(arena, 1, 50);
}

}  // namespace arena_test
