// Anomaly maps against the golden file, and calibration.

#include "d3ad/anomaly/map.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "d3ad/anomaly/score.hpp"
#include "support/compare.hpp"
#include "support/golden.hpp"

namespace map_test {

using namespace d3ad;
using anomaly::RawMaps;
using V = Value<float, Cpu>;

namespace {

const test::Golden& golden() {
  static const test::Golden file("anomaly_map");
  return file;
}

struct Maps {
  Context<Cpu> ctx{{.threads = 2}};
  std::int64_t size = static_cast<std::int64_t>(golden().number("size"));
  float lambda = static_cast<float>(golden().number("lambda")), sigma = static_cast<float>(golden().number("sigma"));
  Tensor<float, Cpu> z0 = golden().tensor("z0"), z_rec = golden().tensor("z_rec");
  Tensor<float, Cpu> want_latent = golden().tensor("latent_map"), want_feature = golden().tensor("feature_map"),
                     want = golden().tensor("anomaly_map");

  V latent() { return anomaly::latent_map(ctx, test::borrow(z_rec), test::borrow(z0), size); }
  V feature(const std::vector<std::string>& layers) {
    std::vector<Tensor<float, Cpu>> hold;
    for (const auto& layer : layers) {
      hold.push_back(golden().tensor("feat_target." + layer));
      hold.push_back(golden().tensor("feat_rec." + layer));
    }
    std::vector<V> target, reconstruction;
    for (std::size_t i = 0; i < hold.size(); i += 2)
      target.push_back(test::borrow(hold[i])), reconstruction.push_back(test::borrow(hold[i + 1]));
    return anomaly::feature_map(ctx, target, reconstruction, size);
  }
};

}  // namespace

TEST_CASE("latent, feature and mixed maps and scores are the reference's") {
  Maps m;
  const auto latent = m.latent(), feature = m.feature({"2", "3"});
  const auto c1 = test::compare(latent.view(), m.want_latent.view(), test::kTolerances.no_layers);
  CHECK_MESSAGE(c1.close, c1);
  const auto c2 = test::compare(feature.view(), m.want_feature.view(), test::kTolerances.no_layers);
  CHECK_MESSAGE(c2.close, c2);

  // Ranges over the whole set of four images.
  const auto ranges = anomaly::ranges_of(anomaly::to_host(std::vector{latent, feature}));
  const auto map = anomaly::combine(m.ctx, latent, feature, ranges, m.lambda, m.sigma);
  const auto c3 = test::compare(map.view(), m.want.view(), test::kTolerances.no_layers);
  CHECK_MESSAGE(c3.close, c3);

  const auto score = anomaly::scores(m.ctx, map);
  const auto want = golden().file.floats("score");
  REQUIRE(score.size() == want.size());
  for (std::size_t i = 0; i < want.size(); ++i)
    CHECK(score[i] == doctest::Approx(want[i]).epsilon(test::kTolerances.no_layers));
}

TEST_CASE("other layers, ranges, lambda or sigma would be noticed") {
  Maps m;
  const auto latent = m.latent(), feature = m.feature({"2", "3"});
  CHECK_FALSE(test::compare(m.feature({"1", "2", "3"}).view(), m.want_feature.view(), 1e-2).close);
  CHECK_FALSE(test::compare(m.feature({"2"}).view(), m.want_feature.view(), 1e-2).close);
  const auto pairs = anomaly::to_host(std::vector{latent, feature});
  const auto ranges = anomaly::ranges_of(pairs);
  const auto differs = [&](const anomaly::Ranges& r, float lambda, float sigma) {
    return !test::compare(anomaly::combine(m.ctx, latent, feature, r, lambda, sigma).view(), m.want.view(), 1e-4).close;
  };
  CHECK_FALSE(differs(ranges, 0.85f, 4));
  CHECK(differs(ranges, 0.84f, 4));
  CHECK(differs(ranges, 0.15f, 4));
  CHECK(differs(ranges, 0.85f, 3.9f));
  CHECK(differs(anomaly::ranges_of({pairs[0], pairs[1], pairs[2]}), 0.85f, 4));  // not of the whole set
  CHECK(differs({{0, ranges[0].hi}, {0, ranges[1].hi}}, 0.85f, 4));
}

TEST_CASE("a pair of maps on the host gives the same map, bit for bit") {
  Maps m;
  const auto latent = m.latent(), feature = m.feature({"2", "3"});
  const auto pairs = anomaly::to_host(std::vector{latent, feature});
  const auto ranges = anomaly::ranges_of(pairs);
  const auto all = anomaly::combine(m.ctx, latent, feature, ranges, 0.85f, 4);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const auto one = anomaly::combine(m.ctx, pairs[i], ranges, 0.85f, 4);
    CHECK(test::compare(one.view(), all.view().images(static_cast<std::int64_t>(i), 1), 0).close);
  }
}

TEST_CASE("maps refuse what makes no sense") {
  Maps m;
  const auto latent = m.latent();
  CHECK_THROWS_AS(anomaly::feature_map(m.ctx, std::vector<V>{}, std::vector<V>{}, 16), Error);
  CHECK_THROWS_AS(anomaly::combine(m.ctx, latent, latent, {}, 2, 4), Error);
  CHECK_THROWS_AS(anomaly::combine(m.ctx, latent, latent, {{NAN, 1}, {0, 1}}, 0.5f, 4), Error);
  CHECK_THROWS_AS(anomaly::combine(m.ctx, RawMaps{2, 2, {{1, 2, 3}, {1, 2, 3, 4}}}, {}, 0.5f, 4), Error);
  CHECK_THROWS_AS(anomaly::ranges_of({}), Error);
  CHECK_THROWS_AS(anomaly::ranges_of({RawMaps{1, 1, {{NAN}, {1}}}}), Error);
  CHECK_THROWS_AS(anomaly::ranges_of({RawMaps{}}), Error);
  auto broken = make_value<float>(m.ctx, {1, 2, 2, 1});
  std::fill_n(broken.view().data, 4, NAN);
  CHECK_THROWS_AS(anomaly::scores(m.ctx, broken), Error);
  CHECK(anomaly::faulty(1.5f, 1.0f));
  CHECK_FALSE(anomaly::faulty(1.0f, 1.0f));
}

}  // namespace map_test
