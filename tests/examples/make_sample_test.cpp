// The sample's products: repeatable, with exact masks, and with defects that no threshold on brightness finds.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "d3ad/anomaly/metrics.hpp"
#include "make_sample/board.hpp"
#include "make_sample/cloth.hpp"
#include "make_sample/links.hpp"
#include "make_sample/render.hpp"

namespace make_sample_test {

using namespace d3ad;
using sample::Fault;

namespace {

constexpr int kSize = 128;
constexpr Fault kFaults[] = {Fault::scratch, Fault::stain, Fault::part, Fault::deformation};

double marked(const Image& mask) {
  return static_cast<double>(std::count(mask.pixels.begin(), mask.pixels.end(), 255)) /
         static_cast<double>(mask.pixels.size());
}

float grey(const Image& photo, std::size_t pixel) {
  return (photo.pixels[3 * pixel] + photo.pixels[3 * pixel + 1] + photo.pixels[3 * pixel + 2]) / 3.0f;
}

// How well a value tells faulty from good where either direction may be the right one.
double either_auroc(const std::vector<float>& faulty, const std::vector<float>& good) {
  anomaly::Ranking ranking;
  for (const float v : faulty) ranking.add(v, true);
  for (const float v : good) ranking.add(v, false);
  ranking.sort();
  const double auroc = anomaly::rank_metrics(ranking).auroc;
  return std::max(auroc, 1 - auroc);
}

template <class Product>
void check_product() {
  CAPTURE(Product::kName);
  const auto first = sample::take<Product>(1, 5, Fault::none, kSize);
  CHECK(first.photo.pixels == sample::take<Product>(1, 5, Fault::none, kSize).photo.pixels);
  CHECK(first.photo.pixels != sample::take<Product>(2, 5, Fault::none, kSize).photo.pixels);
  CHECK(first.photo.pixels != sample::take<Product>(1, 6, Fault::none, kSize).photo.pixels);
  CHECK(marked(first.mask) == 0);

  std::vector<float> brightest[2], darkest[2], mean[2], pixels[2];  // of good and of faulty ones
  const auto measure = [&](const Image& photo, const Image& mask, bool faulty) {
    float hi = 0, lo = 255, sum = 0;
    const std::size_t count = mask.pixels.size();
    for (std::size_t i = 0; i < count; ++i) {
      const float v = grey(photo, i);
      hi = std::max(hi, v), lo = std::min(lo, v), sum += v;
      if (i % 7 == 0 || mask.pixels[i]) pixels[mask.pixels[i] != 0].push_back(v);
    }
    brightest[faulty].push_back(hi), darkest[faulty].push_back(lo);
    mean[faulty].push_back(sum / static_cast<float>(count));
  };
  for (std::uint64_t i = 0; i < 20; ++i) {
    const auto good = sample::take<Product>(3, i, Fault::none, kSize);
    measure(good.photo, good.mask, false);
  }
  for (const Fault fault : kFaults)
    for (std::uint64_t i = 0; i < 6; ++i) {
      CAPTURE(static_cast<int>(fault));
      CAPTURE(i);
      const std::uint64_t number = 1000 * static_cast<std::uint64_t>(fault) + i;
      const auto faulty = sample::take<Product>(3, number, fault, kSize);
      const auto good = sample::take<Product>(3, number, Fault::none, kSize);  // the same part without its defect
      const double area = marked(faulty.mask);
      CHECK(area > 0);
      CHECK(area < 0.12);
      // Outside the mask nothing changed, but for specks and what is too faint to see.
      int strays = 0;
      for (std::size_t p = 0; p < faulty.mask.pixels.size(); ++p) {
        if (faulty.mask.pixels[p]) continue;
        for (std::size_t c = 0; c < 3; ++c)
          strays += std::abs(faulty.photo.pixels[3 * p + c] - good.photo.pixels[3 * p + c]) > sample::kVisible + 2;
      }
      CHECK(strays < 3 * 2 * sample::kSpeck);
      measure(faulty.photo, faulty.mask, true);
    }
  CHECK(either_auroc(brightest[1], brightest[0]) < 0.8);
  CHECK(either_auroc(darkest[1], darkest[0]) < 0.85);
  CHECK(either_auroc(mean[1], mean[0]) < 0.75);
  CHECK(either_auroc(pixels[1], pixels[0]) < 0.8);
}

}  // namespace

TEST_CASE("the sample's cloth") { check_product<sample::Cloth>(); }
TEST_CASE("the sample's board") { check_product<sample::Board>(); }
TEST_CASE("the sample's links") { check_product<sample::Links>(); }

}  // namespace make_sample_test
