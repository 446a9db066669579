// Regions of a mask, against flood filling.

#include "d3ad/anomaly/regions.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "d3ad/core/rng.hpp"

namespace regions_test {

using namespace d3ad;

namespace {

// Labels as digits, '.' for background; `picture` holds one row after the other.
std::string labelled(const std::string& picture, std::int64_t w, int* count = nullptr) {
  std::vector<std::uint8_t> mask;
  for (const char c : picture) mask.push_back(c == '#' ? 255 : 0);
  std::vector<std::int32_t> region;
  const int n = anomaly::label_regions(mask, static_cast<std::int64_t>(mask.size()) / w, w, region);
  if (count) *count = n;
  std::string text;
  for (const auto r : region) text += r ? static_cast<char>('0' + r) : '.';
  return text;
}

// reach 1 with corners: 8-connected; without: 4-connected.
int flood(std::vector<std::uint8_t> mask, std::int64_t h, std::int64_t w, bool corners,
          std::vector<std::int32_t>& region) {
  region.assign(mask.size(), 0);
  int count = 0;
  std::vector<std::int64_t> stack;
  for (std::int64_t start = 0; start < h * w; ++start) {
    if (!mask[static_cast<std::size_t>(start)]) continue;
    ++count;
    mask[static_cast<std::size_t>(start)] = 0;
    stack.push_back(start);
    while (!stack.empty()) {
      const std::int64_t i = stack.back();
      stack.pop_back();
      region[static_cast<std::size_t>(i)] = count;
      for (int dy = -1; dy <= 1; ++dy)
        for (int dx = -1; dx <= 1; ++dx) {
          const std::int64_t y = i / w + dy, x = i % w + dx;
          if ((!corners && dy && dx) || y < 0 || y >= h || x < 0 || x >= w) continue;
          auto& m = mask[static_cast<std::size_t>(y * w + x)];
          if (m) stack.push_back(y * w + x);
          m = 0;
        }
    }
  }
  return count;
}

}  // namespace

TEST_CASE("corners connect; regions are numbered in reading order") {
  CHECK(labelled("#..#"
                 ".##."
                 "...."
                 "#..#",
                 4) ==
        "1..1"
        ".11."
        "...."
        "2..3");
  // Two arms that meet only in the last row.
  CHECK(labelled("#.#.#"
                 "#.#.#"
                 "#.###"
                 ".#...",
                 5) ==
        "1.1.1"
        "1.1.1"
        "1.111"
        ".1...");
  CHECK(labelled(".#"
                 "#.",
                 2) ==
        ".1"
        "1.");
  int count = -1;
  CHECK(labelled("....", 2, &count) == "....");
  CHECK(count == 0);
  CHECK(labelled("", 1, &count).empty());
  CHECK(count == 0);
  // Left and right border do not touch.
  CHECK(labelled("..#"
                 "#..",
                 3) ==
        "..1"
        "2..");
}

TEST_CASE("random masks are labelled as flood filling does, and 4-connected regions would be noticed") {
  int noticed = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const Rng rng(seed, Rng::stream("mask"));
    const std::int64_t h = 1 + rng.below(0, 40), w = 1 + rng.below(1, 40);
    const float density = 0.1f + 0.7f * rng.uniform(2);
    std::vector<std::uint8_t> mask(static_cast<std::size_t>(h * w));
    for (std::size_t i = 0; i < mask.size(); ++i) mask[i] = rng.uniform(3 + i) < density;
    std::vector<std::int32_t> got, want, four;
    CHECK(anomaly::label_regions(mask, h, w, got) == flood(mask, h, w, true, want));
    CHECK(got == want);
    flood(mask, h, w, false, four);
    noticed += got != four;
  }
  CHECK(noticed > 20);
}

TEST_CASE("a mask of another size is refused") {
  std::vector<std::int32_t> region;
  CHECK_THROWS_AS(anomaly::label_regions(std::vector<std::uint8_t>(5), 2, 3, region), Error);
  CHECK_THROWS_AS(anomaly::label_regions({}, -1, 0, region), Error);
}

}  // namespace regions_test
