// Axis order: each element's place, by its definition; and what has no place.

#include "d3ad/weights/layout.hpp"

#include <doctest/doctest.h>

#include <numeric>
#include <vector>

#include "support/temporary_folder.hpp"

namespace layout_test {

using namespace d3ad;
using test::contains;

TEST_CASE("dimensions become shapes") {
  CHECK(channels_last({64, 3, 7, 5}) == Shape{.n = 64, .h = 7, .w = 5, .c = 3});
  CHECK(channels_last({96, 32, 1}) == Shape{.n = 96, .c = 32});
  CHECK(channels_last({128, 32}) == Shape{.n = 128, .c = 32});
  CHECK(channels_last({9}) == Shape{.c = 9});
  CHECK(channels_last({}) == Shape{});
  CHECK(contains(test::refusal([] {
                   channels_last({3, 4, 2});
                 }),
                 "dimensions [3, 4, 2]: of three axes the last must be 1"));
  CHECK(contains(test::refusal([] { channels_last({1, 1, 1, 1, 1}); }), "at most four axes"));
  CHECK(contains(test::refusal([] { channels_last({3, -4}); }), "-4 is negative"));
  CHECK(contains(test::refusal([] { channels_last({1LL << 31, 1LL << 31}); }), "too many elements"));
  CHECK(dims_size({0, 5}) == 0);
  CHECK(dims_text({1, 2}) == "[1, 2]");
  CHECK(dims_text({}) == "[]");
}

TEST_CASE("each element goes to its place and back") {
  for (const std::vector<std::int64_t>& dims : {std::vector<std::int64_t>{2, 3, 4, 5},
                                                {40, 70, 3, 3},
                                                {1, 37, 33, 65},
                                                {300, 33, 3, 3},
                                                {5, 1, 4, 4},
                                                {7, 6, 1, 1}}) {
    CAPTURE(dims_text(dims));
    std::vector<float> file(static_cast<std::size_t>(dims_size(dims)));
    std::iota(file.begin(), file.end(), 0.0f);
    const auto inside = to_channels_last(file, dims);
    const Shape s = channels_last(dims);
    int wrong = 0, shifted = 0;
    for (std::int64_t n = 0; n < s.n; ++n)
      for (std::int64_t c = 0; c < s.c; ++c)
        for (std::int64_t h = 0; h < s.h; ++h)
          for (std::int64_t w = 0; w < s.w; ++w) {
            const auto there = static_cast<std::size_t>(((n * s.c + c) * s.h + h) * s.w + w);
            const auto here = static_cast<std::size_t>(((n * s.h + h) * s.w + w) * s.c + c);
            wrong += inside[here] != file[there];
            shifted += inside[here] != file[(there + 1) % file.size()];
          }
    CHECK(wrong == 0);
    CHECK(shifted > 0);
    CHECK(to_file_order(inside, dims) == file);
  }
  for (const std::vector<std::int64_t>& dims : {std::vector<std::int64_t>{}, {6}, {2, 3}, {3, 2, 1}}) {
    std::vector<float> file(static_cast<std::size_t>(dims_size(dims)));
    std::iota(file.begin(), file.end(), 0.0f);
    CHECK(to_channels_last(file, dims) == file);
    CHECK(to_file_order(file, dims) == file);
  }
  CHECK(to_channels_last({}, {0, 3, 2, 2}).empty());
  CHECK(contains(test::refusal([] { to_channels_last({1.0f}, {2}); }), "1 values for [2]"));
  CHECK(contains(test::refusal([] { to_file_order({1.0f}, {2}); }), "1 values for [2]"));
}

}  // namespace layout_test
