// Hash weights against the reference's own values, and each rule for names.

#include "d3ad/weights/hash_weights.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace hash_weights_test {

using namespace d3ad;

namespace {
std::vector<float> made(const std::string& name, const std::vector<std::int64_t>& dims) {
  std::vector<float> out(static_cast<std::size_t>(dims_size(dims)));
  hash_weights(name, dims, out.data());
  return out;
}
// The reference printed eight decimals.
bool same(float got, double printed) { return std::abs(got - printed) <= 0.5e-8 + 1e-9; }
}  // namespace

TEST_CASE("hash weights equal the reference's") {
  const auto bias = made("unet.out.2.bias", {4});
  CHECK(same(bias[0], 0.00770116));
  CHECK(same(bias[1], -0.00939001));
  CHECK(same(bias[2], 0.02584437));
  CHECK(same(bias[3], -0.06457744));
  const auto weight = made("resnet34.conv1.weight", {64, 3, 7, 7});
  CHECK(same(weight[0], -0.06890120));
  CHECK(same(weight[1], 0.08451002));
  CHECK(same(weight[2], -0.13503619));
  CHECK(same(weight.back(), 0.09277595));
  CHECK(!same(made("unet.out.0.bias", {4})[0], 0.00770116));  // another name, other values
  CHECK(!same(weight[1], -0.06890120));
}

TEST_CASE("each kind of name has its range") {
  const auto range = [](const std::string& name, const std::vector<std::int64_t>& dims) {
    const auto values = made(name, dims);
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    return std::pair(*low, *high);
  };
  const auto near = [](std::pair<float, float> got, double low, double high) {
    const double slack = 0.02 * (high - low);
    return got.first >= low && got.first < low + slack && got.second <= high && got.second > high - slack;
  };
  CHECK(near(range("bn.running_var", {4000}), 1.0, 1.5));
  CHECK(near(range("bn.running_mean", {4000}), -0.1, 0.1));
  CHECK(near(range("conv.bias", {4000}), -0.1, 0.1));
  CHECK(near(range("norm.weight", {4000}), 0.9, 1.1));
  const double bound = std::sqrt(3.0 / 72.0);
  CHECK(near(range("conv.weight", {64, 8, 3, 3}), -bound, bound));
  CHECK(range("bn.num_batches_tracked", {}) == std::pair(0.0f, 0.0f));
  CHECK(made("x", {0, 4}).empty());
}

TEST_CASE("a large tensor, made by several threads, equals the small one's beginning") {
  const auto large = made("w.bias", {200'000}), small = made("w.bias", {1000});
  CHECK(std::equal(small.begin(), small.end(), large.begin()));
  CHECK(large == made("w.bias", {200'000}));
}

}  // namespace hash_weights_test
