// The schedule against the reference's, bit for bit.

#include "d3ad/diffusion/schedule.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "support/golden.hpp"

namespace schedule_test {

using namespace d3ad;

namespace {

// How many entries of the golden file differ.
int differences(const Schedule& schedule, int shift = 0) {
  const test::Golden golden("schedule");
  const auto beta = golden.file.floats("betas"), alpha_bar = golden.file.floats("alpha_bar");
  REQUIRE(beta.size() == 1000);
  REQUIRE(alpha_bar.size() == 1001);  // entry i belongs to step i - 1
  int count = 0;
  for (int t = 0; t < 1000; ++t) count += schedule.beta(t) != beta[static_cast<std::size_t>(t)];
  for (int t = -1; t < 1000; ++t)
    count += schedule.alpha_bar(std::clamp(t + shift, -1, 999)) != alpha_bar[static_cast<std::size_t>(t + 1)];
  return count;
}

}  // namespace

TEST_CASE("the schedule is the reference's") {
  CHECK(differences(Schedule()) == 0);
  CHECK(Schedule().alpha_bar(-1) == 1.0f);
  CHECK(Schedule().alpha_bar(0) == 1.0f - Schedule().beta(0));
  CHECK(Schedule().steps() == 1000);
}

TEST_CASE("another schedule, or a shifted index, would be noticed") {
  CHECK(differences(Schedule({.beta_first = 0.0001, .beta_last = 0.02})) > 1000);
  CHECK(differences(Schedule({.beta_last = 0.0195001})) > 900);
  CHECK(differences(Schedule(), 1) > 900);
  CHECK(differences(Schedule(), -1) > 900);
}

TEST_CASE("the schedule's ends and limits") {
  const Schedule short_one({.beta_first = 0.1, .beta_last = 0.3, .steps = 3});
  CHECK(short_one.beta(1) == 0.2f);
  CHECK(short_one.alpha_bar(2) == doctest::Approx(0.9 * 0.8 * 0.7));
  const Schedule single({.beta_first = 0.1, .beta_last = 0.3, .steps = 1});
  CHECK(single.beta(0) == 0.1f);
  CHECK_THROWS_AS(single.beta(1), Error);
  CHECK_THROWS_AS(single.alpha_bar(-2), Error);
  CHECK_THROWS_AS(single.alpha_bar(1), Error);
  CHECK_THROWS_AS(Schedule({.steps = 0}), Error);
  CHECK_THROWS_AS(Schedule({.beta_first = 0}), Error);
  CHECK_THROWS_AS(Schedule({.beta_last = 1}), Error);
}

}  // namespace schedule_test
