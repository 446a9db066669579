// Borders behind blocks: a write past a block's end is found (where they are built in: the sanitizers' build).

#include "d3ad/core/border.hpp"

#include <doctest/doctest.h>

#include "d3ad/backend/cpu/memory.hpp"
#include "d3ad/core/value.hpp"

namespace border_test {

using namespace d3ad;

TEST_CASE("a write past the end of a block is an error at the next request, one up to its end is none") {
  if (border::kBytes == 0) return;
  const auto request = [] { Tensor<float, Cpu>({.c = 1}); };
  Arena<Cpu> arena;
  const auto write = [&](std::int64_t at) { make_value<float>(arena, {.c = 16}).view().data[at] = 1; };
  write(15);
  CHECK_NOTHROW(make_value<float>(arena, {.c = 16}));
  write(16);
  CHECK_THROWS_WITH_AS(make_value<float>(arena, {.c = 16}),
                       doctest::Contains("memory was written past the end of a block of 64 bytes"), Error);
  CHECK_NOTHROW(make_value<float>(arena, {.c = 16}));  // said once
  write(16);
  CHECK_THROWS_AS(arena.settle(), Error);

  const auto write_tensor = [](std::int64_t at) { Tensor<float, Cpu>({.c = 5}).data()[at] = 1; };
  write_tensor(4);
  CHECK_NOTHROW(request());
  write_tensor(5);
  CHECK_THROWS_WITH_AS(request(), doctest::Contains("a block of 20 bytes"), Error);
  CHECK_NOTHROW(request());
  write_tensor(5);
  CHECK(border::take_broken() == 20);
  CHECK(border::take_broken() == -1);
}

}  // namespace border_test
