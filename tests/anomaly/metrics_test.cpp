// Metrics against the golden file, against their definitions by brute force, and where they are not defined.

#include "d3ad/anomaly/metrics.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "d3ad/core/rng.hpp"
#include "support/golden.hpp"

namespace metrics_test {

using namespace d3ad;
using anomaly::PixelScores;
using anomaly::rank_metrics;
using Bytes = std::vector<std::uint8_t>;
using Floats = std::vector<float>;

namespace {

Bytes bytes(const std::vector<std::int64_t>& values) { return {values.begin(), values.end()}; }

// The golden maps and masks; `mutate` may change an image's map or mask before it is counted.
template <class Mutate>
anomaly::PixelMetrics golden_pixels(Mutate mutate) {
  const test::Golden maps("anomaly_map"), golden("metrics");
  const auto map = maps.file.floats("anomaly_map");
  const auto mask = bytes(golden.file.ints("mask"));
  PixelScores pixels;
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t each = 128 * 128;
    Floats m(map.begin() + static_cast<std::ptrdiff_t>(i * each),
             map.begin() + static_cast<std::ptrdiff_t>((i + 1) * each));
    Bytes g(mask.begin() + static_cast<std::ptrdiff_t>(i * each),
            mask.begin() + static_cast<std::ptrdiff_t>((i + 1) * each));
    mutate(i, m, g);
    pixels.add(m, g, 128, 128);
  }
  return pixels.metrics();
}

struct Example {
  Floats score;
  Bytes label;
};
// `levels` distinct scores, so that there are ties.
Example example(std::uint64_t seed, std::size_t count, std::uint32_t levels, float positives = 0.4f) {
  const Rng rng(seed, Rng::stream("metrics"));
  Example e;
  for (std::size_t i = 0; i < count; ++i) {
    const bool positive = rng.uniform(3 * i) < positives;
    e.label.push_back(positive);
    e.score.push_back((static_cast<float>(rng.below(3 * i + 1, levels)) - (positive ? 0.0f : 2.0f)) / 4);
  }
  e.label[0] = 1, e.label[1] = 0;
  return e;
}

double auroc_by_pairs(const Example& e) {
  double wins = 0, pairs = 0;
  for (std::size_t i = 0; i < e.score.size(); ++i)
    for (std::size_t j = 0; j < e.score.size(); ++j)
      if (e.label[i] && !e.label[j]) {
        ++pairs;
        wins += e.score[i] > e.score[j] ? 1.0 : e.score[i] == e.score[j] ? 0.5 : 0.0;
      }
  return wins / pairs;
}

struct Counts {
  double tp = 0, fp = 0, positives = 0, negatives = 0;
  double f1() const { return 2 * tp / (tp + fp + positives); }
  double gain() const { return tp / positives - fp / negatives; }
};
Counts at(const Example& e, float threshold) {
  Counts c;
  for (std::size_t i = 0; i < e.score.size(); ++i) {
    (e.label[i] ? c.positives : c.negatives) += 1;
    if (e.score[i] >= threshold) (e.label[i] ? c.tp : c.fp) += 1;
  }
  return c;
}
Floats thresholds(const Example& e) {
  Floats t = e.score;
  std::sort(t.rbegin(), t.rend());
  t.erase(std::unique(t.begin(), t.end()), t.end());
  return t;
}

}  // namespace

TEST_CASE("pixel metrics are the reference's") {
  const test::Golden golden("metrics");
  const auto m = golden_pixels([](std::size_t, Floats&, Bytes&) {});
  CHECK(std::abs(m.rank.auroc - golden.number("p_auroc")) < 1e-6);
  CHECK(std::abs(m.rank.average_precision - golden.number("p_ap")) < 1e-6);
  CHECK(std::abs(m.pro_200 - golden.number("pro_200")) < 1e-6);
  CHECK(std::abs(m.aupro - golden.number("aupro_exact")) < 1e-6);
  CHECK(m.regions == 5);
}

TEST_CASE("image metrics are the reference's") {
  const test::Golden golden("metrics");
  const auto m = rank_metrics(golden.file.floats("score"), bytes(golden.file.ints("label")));
  CHECK(m.auroc == golden.number("i_auroc"));
  CHECK(m.average_precision == golden.number("i_ap"));
  CHECK(m.f1_youden == golden.number("i_f1_at_youden"));
  CHECK(std::abs(m.youden_threshold - golden.number("youden_threshold")) < 1e-6);
}

TEST_CASE("changed maps or masks would be noticed in every pixel metric") {
  const auto good = golden_pixels([](std::size_t, Floats&, Bytes&) {});
  const auto all_differ = [&](const anomaly::PixelMetrics& m) {
    return std::abs(m.rank.auroc - good.rank.auroc) > 1e-5 &&
           std::abs(m.rank.average_precision - good.rank.average_precision) > 1e-5 &&
           std::abs(m.pro_200 - good.pro_200) > 1e-5 && std::abs(m.aupro - good.aupro) > 1e-5;
  };
  CHECK(all_differ(golden_pixels([](std::size_t, Floats& map, Bytes&) {  // a row further down
    std::rotate(map.begin(), map.end() - 128, map.end());
  })));
  CHECK(all_differ(golden_pixels([](std::size_t i, Floats&, Bytes& mask) {  // a mask is forgotten
    if (i == 2) std::fill(mask.begin(), mask.end(), std::uint8_t{0});
  })));
}

TEST_CASE("ranking metrics equal their definitions, ties included") {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const auto e = example(seed, 5 + seed * 7, 3 + static_cast<std::uint32_t>(seed));
    const auto m = rank_metrics(e.score, e.label);
    CAPTURE(seed);
    CHECK(m.auroc == doctest::Approx(auroc_by_pairs(e)).epsilon(1e-12));

    double precision = 0, recall_before = 0, gain = 0, f1_youden = 0, f1_max = 0;
    double youden = std::numeric_limits<double>::infinity();
    for (const float t : thresholds(e)) {
      const auto c = at(e, t);
      precision += (c.tp / c.positives - recall_before) * c.tp / (c.tp + c.fp);
      recall_before = c.tp / c.positives;
      if (c.gain() > gain) gain = c.gain(), youden = double{t}, f1_youden = c.f1();
      f1_max = std::max(f1_max, c.f1());
    }
    CHECK(m.average_precision == doctest::Approx(precision).epsilon(1e-12));
    CHECK(m.f1_youden == doctest::Approx(f1_youden).epsilon(1e-12));
    CHECK(m.youden_threshold == youden);
    CHECK(m.f1_max == doctest::Approx(f1_max).epsilon(1e-12));
    CHECK(at(e, static_cast<float>(m.f1_max_threshold)).f1() == doctest::Approx(f1_max).epsilon(1e-12));
    CHECK(m.positives + m.negatives == static_cast<std::int64_t>(e.score.size()));
  }
}

TEST_CASE("known values: sklearn's documentation") {
  const Floats score{0.1f, 0.4f, 0.35f, 0.8f};
  const Bytes label{0, 0, 1, 1};
  const auto m = rank_metrics(score, label);
  CHECK(m.auroc == 0.75);
  CHECK(m.average_precision == doctest::Approx(5.0 / 6));
  CHECK(m.f1_max == doctest::Approx(0.8));
  // Of the two thresholds with the same gain the higher one.
  CHECK(m.youden_threshold == doctest::Approx(0.8));
  // Ties are one threshold, whatever their order.
  CHECK(rank_metrics(Floats{1, 1}, Bytes{1, 0}).auroc == 0.5);
  CHECK(rank_metrics(Floats{1, 1}, Bytes{0, 1}).average_precision == 0.5);
  CHECK(rank_metrics(Floats{0.0f, -0.0f}, Bytes{1, 0}).auroc == 0.5);
  // All wrong: calling nothing positive is best.
  const auto wrong = rank_metrics(Floats{1, 2}, Bytes{1, 0});
  CHECK(wrong.auroc == 0.0);
  CHECK(wrong.f1_youden == 0.0);
  CHECK(std::isinf(wrong.youden_threshold));
  CHECK(wrong.f1_max == doctest::Approx(2.0 / 3));
}

TEST_CASE("many scores of every sign sort as few do") {
  // Beyond the size where sorting changes its method, against the metric of the ranks.
  auto e = example(5, 20000, 4000000000u, 0.1f);
  const Rng rng(1, 2);
  for (std::size_t i = 0; i < e.score.size(); ++i)
    e.score[i] = rng.normal(i) * (e.label[i] ? 3.0f : 1.0f) * std::exp2(static_cast<float>(i % 60) - 40.0f);
  std::vector<std::size_t> order(e.score.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return e.score[a] < e.score[b]; });
  double rank_sum = 0, positives = 0;
  for (std::size_t r = 0; r < order.size(); ++r)
    if (e.label[order[r]]) rank_sum += static_cast<double>(r + 1), ++positives;
  const double negatives = static_cast<double>(order.size()) - positives;
  const double want = (rank_sum - positives * (positives + 1) / 2) / (positives * negatives);
  CHECK(rank_metrics(e.score, e.label).auroc == doctest::Approx(want).epsilon(1e-9));
}

TEST_CASE("PRO by hand: two regions of different size count alike") {
  // One row: region A (4 pixels), region B (1 pixel), 10 normal pixels.
  const Bytes mask{1, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  const auto metrics = [&](const Floats& map) {
    PixelScores pixels;
    pixels.add(map, mask, 1, 15);
    return pixels.metrics();
  };
  // Perfect: every faulty pixel above every normal one.
  const auto perfect = metrics({9, 9, 9, 9, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  CHECK(perfect.aupro == doctest::Approx(1));
  CHECK(perfect.pro_200 == doctest::Approx(1));
  CHECK(perfect.regions == 2);
  // B found, A not: half, although A is four fifths of the pixels. Normal pixels between.
  const auto half = metrics({-9, -9, -9, -9, 0, 9, 0, 1, 1, 2, 2, 3, 3, 4, 4});
  CHECK(half.aupro == doctest::Approx(0.5));
  CHECK(half.pro_200 == doctest::Approx(0.5));
  // A quarter of A above all, B below all; at FPR 0.2 the rest of A, at 0.4 B: cut at 0.3, halfway.
  const auto mixed = metrics({9, 5, 5, 5, 8, 3, 8, 4, 4, 0, 0, 0, 0, 0, 0});
  // Points (FPR, overlap): (0, 1/8), (0.2, 1/8), (0.2, 1/2), (0.4, 1/2)
  CHECK(mixed.aupro == doctest::Approx((0.2 / 8 + 0.1 / 2) / 0.3));
  // Published: FPR 0 and 0.2 are kept, with overlaps at FPR 0.2 of 1/8 and, lower, 1/2; divided by 0.2.
  CHECK(mixed.pro_200 == doctest::Approx(1.0 / 8));
}

TEST_CASE("what cannot be said is NaN") {
  const auto all_unknown = [](const anomaly::RankMetrics& m) {
    return std::isnan(m.auroc) && std::isnan(m.average_precision) && std::isnan(m.f1_youden) &&
           std::isnan(m.youden_threshold) && std::isnan(m.f1_max) && std::isnan(m.f1_max_threshold);
  };
  CHECK(all_unknown(rank_metrics(Floats{}, Bytes{})));
  CHECK(all_unknown(rank_metrics(Floats{1, 2}, Bytes{0, 0})));
  CHECK(all_unknown(rank_metrics(Floats{1, 2}, Bytes{1, 1})));
  CHECK(rank_metrics(Floats{1, 2}, Bytes{1, 1}).positives == 2);

  PixelScores nothing, no_fault, only_fault, flat;
  no_fault.add(Floats{1, 2, 3, 4}, {}, 2, 2);
  no_fault.add(Floats{1, 2, 3, 4}, Bytes{0, 0, 0, 0}, 2, 2);
  only_fault.add(Floats{1, 2, 3, 4}, Bytes{1, 1, 1, 1}, 2, 2);
  for (auto* pixels : {&nothing, &no_fault, &only_fault}) {
    const auto m = pixels->metrics();
    CHECK(all_unknown(m.rank));
    CHECK(std::isnan(m.pro_200));
    CHECK(std::isnan(m.aupro));
  }
  CHECK(no_fault.metrics().rank.negatives == 8);
  // All scores equal: the published grid has no width; the exact curve is the diagonal.
  flat.add(Floats{1, 1, 1, 1}, Bytes{1, 0, 0, 0}, 2, 2);
  CHECK(flat.metrics().rank.auroc == 0.5);
  CHECK(std::isnan(flat.metrics().pro_200));
  CHECK(flat.metrics().aupro == doctest::Approx(0.15));
}

TEST_CASE("metrics refuse what makes no sense") {
  CHECK_THROWS_AS(rank_metrics(Floats{1, 2}, Bytes{1}), Error);
  CHECK_THROWS_AS(rank_metrics(Floats{1, NAN}, Bytes{1, 0}), Error);
  CHECK_THROWS_AS(rank_metrics(Floats{1, INFINITY}, Bytes{1, 0}), Error);
  PixelScores pixels;
  CHECK_THROWS_AS(pixels.add(Floats{1, 2}, {}, 2, 2), Error);
  CHECK_THROWS_AS(pixels.add(Floats{1, 2}, Bytes{1, 0, 0}, 1, 2), Error);
}

}  // namespace metrics_test
