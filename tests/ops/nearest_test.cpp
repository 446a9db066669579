// ops/nearest.hpp: by its formula on the CPU, and with the same bits on the GPU.

#include "d3ad/ops/nearest.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "d3ad/backend/cpu/nearest.hpp"
#include "d3ad/backend/reference/nearest.hpp"
#include "d3ad/ops/diffusion_step.hpp"
#include "support/compare.hpp"
#if defined(D3AD_CUDA)
#include "d3ad/backend/cuda/context.hpp"
#include "support/cuda.hpp"
#endif

namespace ops_nearest_test {

using namespace d3ad;

namespace {

struct NearestResult {
  std::vector<float> mean;
  std::vector<std::int32_t> bin;
};

template <class Device>
NearestResult nearest(Context<Device>& ctx, const Tensor<float, Cpu>& distances, const std::vector<float>& edges,
                      ops::Nearest config) {
  using Number = Weight<Device>;
  const auto there = [](const float* host, Shape shape) {
    const std::vector<Number> numbers(host, host + shape.size());
    Tensor<Number, Device> x(shape);
    copy_from_host(x.view(), numbers.data());
    return x;
  };
  const Shape each{.n = distances.shape().n};
  Tensor<Number, Device> mean(each);
  Tensor<std::int32_t, Device> bin(each);
  ops::nearest_mean(ctx, mean.view(), bin.view(), there(distances.data(), distances.shape()).view(),
                    there(edges.data(), {.c = static_cast<std::int64_t>(edges.size())}).view(), config);
  NearestResult found{std::vector<float>(static_cast<std::size_t>(each.n)),
                      std::vector<std::int32_t>(static_cast<std::size_t>(each.n))};
  std::vector<Number> means(found.mean.size());
  copy_to_host<Number, Device>(means.data(), mean.view());
  std::transform(means.begin(), means.end(), found.mean.begin(), [](Number v) { return static_cast<float>(v); });
  copy_to_host<std::int32_t, Device>(found.bin.data(), bin.view());
  return found;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

template <class U, class Device>
std::vector<U> picked(Context<Device>& ctx, const std::vector<U>& table, std::int64_t rows,
                      const std::vector<std::int32_t>& choice) {
  const auto images = static_cast<std::int64_t>(choice.size());
  Tensor<U, Device> from({.n = rows, .c = static_cast<std::int64_t>(table.size()) / rows}),
      out({.n = rows, .c = images});
  Tensor<std::int32_t, Device> which({.n = images});
  copy_from_host(from.view(), table.data());
  copy_from_host(which.view(), choice.data());
  ops::pick(ctx, out.view(), from.view(), which.view());
  std::vector<U> host(static_cast<std::size_t>(out.size()));
  copy_to_host<U, Device>(host.data(), out.view());
  return host;
}

}  // namespace

TEST_CASE("nearest_mean: the mean of the smallest, its bin, with ties and left out, on every device") {
  Context<Cpu> ctx;
  for (const auto& sizes : {std::pair{1, 1}, {3, 2}, {4, 19}, {2, 300}, {5, 1000}})
    for (const int k : {1, 2, 20, 257, 2000})
      for (const int left_out : {-1, 0, 7}) {
        const int rows = sizes.first, columns = sizes.second;
        CAPTURE(rows);
        CAPTURE(columns);
        CAPTURE(k);
        CAPTURE(left_out);
        auto d = test::random({.n = rows, .c = columns}, 1);
        for (std::int64_t i = 0; i < d.size(); ++i) {
          d.data()[i] = 100 * std::abs(d.data()[i]);
          if (i % 3 == 0) d.data()[i] = std::floor(d.data()[i] / 20);  // many are equal
        }
        // An edge is the very mean of row 0, so that a bit more or less would be another bin.
        auto edges = std::vector<float>{0, 0.5f, 1, 2, 4, 8, 16, 32, 64};
        edges.push_back(nearest(ctx, d, edges, {.k = k, .left_out = left_out}).mean.front());
        std::sort(edges.begin(), edges.end());
        const auto got = nearest(ctx, d, edges, {.k = k, .left_out = left_out});
        for (int i = 0; i < rows; ++i) {
          std::vector<float> row(d.data() + i * columns, d.data() + (i + 1) * columns);
          if (left_out >= 0 && left_out + i < columns) row.erase(row.begin() + left_out + i);
          std::sort(row.begin(), row.end());
          row.resize(std::min(row.size(), static_cast<std::size_t>(k)));
          double sum = 0;
          for (const float v : row) sum += double{v};
          const auto at = static_cast<std::size_t>(i);
          CHECK(got.mean[at] == (row.empty() ? 0.0f : static_cast<float>(sum / static_cast<double>(row.size()))));
          const auto below = std::lower_bound(edges.begin(), edges.end(), got.mean[at]) - edges.begin();
          CHECK(got.bin[at] == std::min<std::ptrdiff_t>(below, static_cast<std::ptrdiff_t>(edges.size()) - 1));
        }
        Context<Reference> exact;
        CHECK(same_bits(nearest(exact, d, edges, {.k = k, .left_out = left_out}).mean, got.mean));
#if defined(D3AD_CUDA)
        if (!test::cuda_present()) continue;
        Context<CudaHalf> gpu;
        const auto there = nearest(gpu, d, edges, {.k = k, .left_out = left_out});
        CHECK(same_bits(there.mean, got.mean));
        CHECK(there.bin == got.bin);
#endif
      }
}

TEST_CASE("nearest_mean: what is not finite") {
  auto d = test::random({.n = 3, .c = 6}, 1);
  for (std::int64_t i = 0; i < d.size(); ++i) d.data()[i] = std::abs(d.data()[i]);
  d.data()[4] = INFINITY, d.data()[6 + 5] = NAN;
  const auto check = [&](auto& ctx) {
    const auto all = nearest(ctx, d, {0, 1, 2}, {.k = 6}), some = nearest(ctx, d, {0, 1, 2}, {.k = 5});
    CHECK(std::isinf(all.mean[0]));
    CHECK(all.bin[0] == 2);
    CHECK(std::isfinite(some.mean[0]));
    CHECK(std::isnan(some.mean[1]));
    CHECK(some.bin[1] == 0);
    CHECK(std::isfinite(all.mean[2]));
    // Left out, the NaN of row 1 is not looked at.
    CHECK(std::isfinite(nearest(ctx, d, {0, 1, 2}, {.k = 6, .left_out = 4}).mean[1]));
  };
  Context<Cpu> ctx;
  Context<Reference> exact;
  check(ctx);
  check(exact);
  CHECK_THROWS_AS(nearest(ctx, d, {0, 1}, {.k = 0}), Error);
  CHECK_THROWS_AS(nearest(ctx, d, {0}, {.k = 1}), Error);
#if defined(D3AD_CUDA)
  if (!test::cuda_present()) return;
  Context<Cuda> gpu;
  check(gpu);
  CHECK_THROWS_AS(nearest(gpu, d, {0, 1}, {.k = 0}), Error);
#endif
}

TEST_CASE("pick: columns of a table") {
  const std::vector<std::int32_t> choice{2, 0, 2, 1, 1};
  const std::vector<float> numbers{0, 1, 2, 10, 11, 12};
  std::vector<ops::StepCoefficients> steps;
  for (const float v : numbers) steps.push_back({v, v + 100, v + 200, v + 300});
  const auto check = [&](auto& ctx) {
    CHECK(picked(ctx, numbers, 2, choice) == std::vector<float>{2, 0, 2, 1, 1, 12, 10, 12, 11, 11});
    CHECK(picked(ctx, std::vector<std::int32_t>{5, 6, 7}, 1, choice) == std::vector<std::int32_t>{7, 5, 7, 6, 6});
    const auto got = picked(ctx, steps, 2, choice);
    REQUIRE(got.size() == 10);
    CHECK(got[0] == steps[2]);
    CHECK(got[6] == steps[3]);
    Tensor<float, typename std::decay_t<decltype(ctx)>::device> table({.n = 2, .c = 3}), out({.n = 3, .c = 5});
    Tensor<std::int32_t, typename std::decay_t<decltype(ctx)>::device> which({.n = 5});
    CHECK_THROWS_AS(ops::pick(ctx, out.view(), table.view(), which.view()), Error);
  };
  Context<Cpu> ctx;
  Context<Reference> exact;
  check(ctx);
  check(exact);
#if defined(D3AD_CUDA)
  if (!test::cuda_present()) return;
  Context<CudaBfloat16> gpu;
  check(gpu);
#endif
}

}  // namespace ops_nearest_test
