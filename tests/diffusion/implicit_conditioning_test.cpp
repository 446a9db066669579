// Dynamic implicit conditioning against the golden file, and where there is little to go by.

#include "d3ad/diffusion/implicit_conditioning.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "support/compare.hpp"
#include "support/golden.hpp"

namespace implicit_conditioning_test {

using namespace d3ad;
using Features = ImplicitConditioning::Features;

namespace {

Features rows(const test::Golden& golden, const std::string& name) {
  const auto values = golden.file.floats(name);
  const auto dims = golden.file.dims(name);
  Features all;
  for (auto it = values.begin(); it != values.end(); it += dims[1]) all.emplace_back(it, it + dims[1]);
  return all;
}

double largest_error(const std::vector<float>& got, const std::vector<float>& want) {
  REQUIRE(got.size() == want.size());
  double error = 0, largest = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    error = std::max(error, std::abs(double{got[i]} - double{want[i]}));
    largest = std::max(largest, std::abs(double{want[i]}));
  }
  return error / largest;
}

const test::Golden& golden() {
  static const test::Golden file("dic");
  return file;
}

int different_T_hat(const ImplicitConditioning& good) {
  const auto want = golden().file.ints("T_hat");
  const auto got = good.query(rows(golden(), "test"));
  REQUIRE(got.size() == want.size());
  int count = 0;
  for (std::size_t i = 0; i < want.size(); ++i) count += got[i].T_hat != want[i];
  return count;
}

}  // namespace

TEST_CASE("conditioning equals the reference: distances, edges, histogram, bins, steps") {
  const auto good = ImplicitConditioning::fit(rows(golden(), "train"), {.k = 20, .bins = 10, .T_max = 80});
  const auto& file = golden().file;
  CHECK(largest_error(good.state().distances, file.floats("train_mean_distance")) < 1e-6);
  CHECK(largest_error(good.state().edges, file.floats("edges")) < 1e-6);
  CHECK(diffusion::histogram(good.state().distances, good.state().edges) == file.ints("histogram"));

  const auto seen = good.query(rows(golden(), "test"));
  const auto distance = file.floats("test_mean_distance");
  const auto bin = file.ints("bin"), T_hat = file.ints("T_hat");
  REQUIRE(seen.size() == bin.size());
  std::vector<float> got;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    CAPTURE(i);
    got.push_back(seen[i].distance);
    CHECK(seen[i].bin == bin[i]);
    CHECK(seen[i].T_hat == T_hat[i]);
  }
  CHECK(largest_error(got, distance) < 1e-6);
}

TEST_CASE("another k, number of bins or T_max would be noticed") {
  const auto fit = [](ImplicitConditioning::Options options) {
    return ImplicitConditioning::fit(rows(golden(), "train"), options);
  };
  const auto want = golden().file.floats("train_mean_distance");
  CHECK(different_T_hat(fit({})) == 0);
  CHECK(largest_error(fit({.k = 19}).state().distances, want) > 1e-3);
  CHECK(largest_error(fit({.k = 21}).state().distances, want) > 1e-3);
  CHECK(different_T_hat(fit({.bins = 5})) > 0);
  CHECK(different_T_hat(fit({.bins = 30})) > 0);
  CHECK(different_T_hat(fit({.T_max = 70})) > 0);
}

TEST_CASE("each training image is its own first neighbour, at 0, unless it is left out") {
  const auto good = ImplicitConditioning::fit(rows(golden(), "train"), {.k = 1});
  for (const float d : good.state().distances) CHECK(d == 0.0f);
  const auto twenty = ImplicitConditioning::fit(rows(golden(), "train"), {.k = 20});
  const auto nineteen = ImplicitConditioning::fit(rows(golden(), "train"), {.k = 19});
  const auto seen = twenty.query(rows(golden(), "train"));
  const auto as_new = nineteen.leaving_out(0).query(rows(golden(), "train"));
  for (std::size_t i = 0; i < seen.size(); ++i) {
    CHECK(seen[i].distance == twenty.state().distances[i]);
    // Without itself, the 19 nearest are those that 20 with itself at 0 were.
    CHECK(as_new[i].distance * 19 == doctest::Approx(seen[i].distance * 20).epsilon(1e-6));
  }
  Features one{rows(golden(), "train")[5]};
  CHECK(nineteen.leaving_out(5).query(one)[0].distance == as_new[5].distance);
  CHECK(nineteen.leaving_out(6).query(one)[0].distance < as_new[5].distance);
  CHECK_THROWS_AS(nineteen.leaving_out(64), Error);
}

TEST_CASE("the same bits with any number of threads, and from a kept state") {
  const auto one = ImplicitConditioning::fit(rows(golden(), "train"), {.threads = 1});
  const auto four = ImplicitConditioning::fit(rows(golden(), "train"), {.threads = 4});
  CHECK(one.state().distances == four.state().distances);
  const auto& kept = one.state();
  Tensor<float, Cpu> features(kept.features.shape());
  std::copy_n(kept.features.data(), features.size(), features.data());
  const ImplicitConditioning again({std::move(features), kept.edges, kept.distances, kept.k, kept.T_max});
  CHECK(different_T_hat(again) == 0);
  CHECK(again.bins() == 10);
}

TEST_CASE("bins: numpy's digitize with right = true, at and between the edges") {
  ImplicitConditioning::State state;
  state.features = test::random({.n = 2, .c = 3}, 1);
  state.edges = {10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
  state.distances = {10, 20};
  state.k = 1, state.T_max = 80;
  const ImplicitConditioning good(std::move(state));
  const auto at = [&](float d) { return good.at(d); };
  CHECK(at(0).bin == 0);
  CHECK(at(10).bin == 0);  // not above the first edge
  CHECK(at(10.001f).bin == 1);
  CHECK(at(11).bin == 1);
  CHECK(at(11.001f).bin == 2);
  CHECK(at(20).bin == 10);
  CHECK(at(1000).bin == 10);
  const int steps[] = {20, 20, 20, 20, 30, 40, 50, 60, 60, 70, 80};  // of bins 0 ... 10
  for (int b = 0; b <= 10; ++b) CHECK(at(9.5f + static_cast<float>(b)).T_hat == steps[b]);
}

TEST_CASE("round10 rounds to the nearest ten, 5 up") {
  CHECK(diffusion::round10(0) == 0);
  CHECK(diffusion::round10(4.9) == 0);
  CHECK(diffusion::round10(5) == 10);
  CHECK(diffusion::round10(14.999) == 10);
  CHECK(diffusion::round10(64) == 60);
  CHECK(diffusion::round10(0.7 * 50) == 40);
  for (int p = 1; p <= 10; ++p)
    for (int T = 10; T <= 1000; T += 10) CHECK(diffusion::round10(p / 10.0 * T) == (p * T + 50) / 100 * 10);
}

TEST_CASE("identical images: the range is widened by 0.5 and every T̂ is the least") {
  const Features same(12, std::vector<float>(40, 0.25f));
  const auto good = ImplicitConditioning::fit(same, {});
  for (const float d : good.state().distances) CHECK(d == 0.0f);
  CHECK(good.state().edges.front() == -0.5f);
  CHECK(good.state().edges[5] == 0.0f);
  CHECK(good.state().edges.back() == 0.5f);
  CHECK(diffusion::histogram(good.state().distances, good.state().edges) ==
        std::vector<std::int64_t>{0, 0, 0, 0, 0, 12, 0, 0, 0, 0});
  const auto seen = good.query({std::vector<float>(40, 0.25f), std::vector<float>(40, 1.0f)});
  CHECK(seen[0].bin == 5);  // numpy's own answer: not above the middle edge
  CHECK(seen[0].T_hat == 40);
  CHECK(seen[1].bin == 10);
  CHECK(seen[1].T_hat == 80);
}

TEST_CASE("few training images: k counts as their number; one image is at 0 from itself") {
  const Features three{{0, 0}, {1, 0}, {0, 3}};
  const auto good = ImplicitConditioning::fit(three, {.k = 20});
  CHECK(good.state().distances == std::vector<float>{4.0f / 3, 5.0f / 3, 7.0f / 3});
  const auto one = ImplicitConditioning::fit({{1, 2, 3}}, {.k = 20});
  CHECK(one.state().distances == std::vector<float>{0.0f});
  CHECK(one.query({{1, 2, 4}})[0].distance == 1.0f);
  CHECK(one.leaving_out(0).query({{1, 2, 4}})[0].distance == 0.0f);
}

TEST_CASE("a small T_max still gives steps") {
  const auto good = ImplicitConditioning::fit(rows(golden(), "train"), {.T_max = 10});
  for (const auto& c : good.query(rows(golden(), "test"))) CHECK(c.T_hat == 10);
}

TEST_CASE("conditioning refuses what makes no sense, with a sentence") {
  CHECK_THROWS_WITH_AS(ImplicitConditioning::fit({}, {}), doctest::Contains("no training images"), Error);
  CHECK_THROWS_WITH_AS(ImplicitConditioning::fit({{1, 2}, {1}}, {}), doctest::Contains("image 2 has 1 features"),
                       Error);
  CHECK_THROWS_WITH_AS(ImplicitConditioning::fit({{}}, {}), doctest::Contains("empty"), Error);
  CHECK_THROWS_WITH_AS(ImplicitConditioning::fit({{1, 2}, {NAN, 1}}, {}), doctest::Contains("finite"), Error);
  CHECK_THROWS_WITH_AS(ImplicitConditioning::fit({{1}}, {.k = 0}), doctest::Contains("k 0"), Error);
  const auto good = ImplicitConditioning::fit({{1, 2}, {3, 4}}, {});
  CHECK(good.query({}).empty());
  CHECK_THROWS_WITH_AS(good.query({{1, 2, 3}}), doctest::Contains("3 features an image"), Error);
  CHECK_THROWS_WITH_AS(good.query({{1, INFINITY}}), doctest::Contains("finite"), Error);

  const auto state = [](std::vector<float> edges, std::size_t distances, int k) {
    ImplicitConditioning::State s;
    s.features = test::random({.n = 2, .c = 3}, 1);
    s.edges = std::move(edges), s.distances.resize(distances), s.k = k, s.T_max = 80;
    return s;
  };
  CHECK_NOTHROW(ImplicitConditioning(state({0, 1}, 2, 1)));
  CHECK_THROWS_AS(ImplicitConditioning(state({0}, 2, 1)), Error);
  CHECK_THROWS_AS(ImplicitConditioning(state({1, 0}, 2, 1)), Error);
  CHECK_THROWS_AS(ImplicitConditioning(state({0, NAN, 1}, 2, 1)), Error);
  CHECK_THROWS_AS(ImplicitConditioning(state({0, 1}, 3, 1)), Error);
  CHECK_THROWS_AS(ImplicitConditioning(state({0, 1}, 2, 0)), Error);
  CHECK_THROWS_AS(ImplicitConditioning(ImplicitConditioning::State{}), Error);
}

}  // namespace implicit_conditioning_test
