// Implicit conditioning where the features are: against the reference, and against the host's way to the same T̂.

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/backend/cuda/ops.hpp"
#include "d3ad/diffusion/implicit_conditioning.hpp"
#include "support/compare.hpp"
#include "support/cuda.hpp"
#include "support/golden.hpp"

namespace cuda_conditioning_test {

using namespace d3ad;

namespace {

ImplicitConditioning::Features rows(const test::Golden& golden, const std::string& name) {
  const auto values = golden.file.floats(name);
  const auto length = golden.file.dims(name)[1];
  ImplicitConditioning::Features all;
  for (auto it = values.begin(); it != values.end(); it += length) all.emplace_back(it, it + length);
  return all;
}

template <class Device>
Value<float, Device> upload(Context<Device>& ctx, const ImplicitConditioning::Features& features) {
  const auto n = static_cast<std::int64_t>(features.size()), c = static_cast<std::int64_t>(features[0].size());
  auto out = make_value<float>(ctx, {.n = n, .h = c});  // in whatever axes
  for (std::int64_t i = 0; i < n; ++i)
    copy_from_host(out.view().images(i, 1), features[static_cast<std::size_t>(i)].data());
  return out;
}

// What the device says of images, on the host; its bins and T̂ are those of the host.
template <class Device>
std::vector<Conditioning> asked(Context<Device>& ctx, const ConditioningOn<Device>& there,
                                const ImplicitConditioning::Features& features) {
  const auto seen = there.query(ctx, upload(ctx, features));
  std::vector<float> distance(features.size());
  std::vector<std::int32_t> bin(features.size());
  copy_to_host<float, Device>(distance.data(), seen.distance.view());
  copy_to_host<std::int32_t, Device>(bin.data(), seen.bin.view());
  auto all = there.host().at(distance);
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(bin[i] == all[i].bin);
    CHECK(seen.T_hats.at(static_cast<std::size_t>(bin[i])) == all[i].T_hat);
  }
  return all;
}

}  // namespace

TEST_CASE_TEMPLATE("CUDA: conditioning equals the reference, and has the host's bins", T, float, half) {
  if (!test::cuda_present()) return;
  const test::Golden golden("dic");
  const auto good = ImplicitConditioning::fit(rows(golden, "train"), {.k = 20, .bins = 10, .T_max = 80});
  const auto test_rows = rows(golden, "test");
  Context<CudaOf<T>> ctx;
  const ConditioningOn<CudaOf<T>> there = good;
  const auto seen = asked(ctx, there, test_rows);
  const auto host = good.query(test_rows);
  const auto distance = golden.file.floats("test_mean_distance");
  const auto bin = golden.file.ints("bin"), T_hat = golden.file.ints("T_hat");
  REQUIRE(seen.size() == bin.size());
  for (std::size_t i = 0; i < seen.size(); ++i) {
    CAPTURE(i);
    CHECK(seen[i].distance == doctest::Approx(distance[i]).epsilon(1e-6));
    CHECK(seen[i].bin == bin[i]);
    CHECK(seen[i].T_hat == T_hat[i]);
    CHECK(seen[i].bin == host[i].bin);
  }

  // Training images without themselves.
  const auto as_new = asked(ctx, there.leaving_out(3), {rows(golden, "train")[3]});
  CHECK(as_new[0].distance == doctest::Approx(good.leaving_out(3).query({rows(golden, "train")[3]})[0].distance));
}

TEST_CASE("conditioning of a device: the CPU's is the host's, to the last bit, in the host's memory") {
  const test::Golden golden("dic");
  const auto good = ImplicitConditioning::fit(rows(golden, "train"), {.k = 20, .bins = 10, .T_max = 80});
  Context<Cpu> ctx;
  const auto before = Memory<Cpu>::allocations();
  const ConditioningOn<Cpu> there = good;
  CHECK(Memory<Cpu>::allocations() == before);
  const auto test_rows = rows(golden, "test");
  const auto seen = asked(ctx, there, test_rows);
  const auto host = good.query(test_rows);
  for (std::size_t i = 0; i < host.size(); ++i) {
    CHECK(seen[i].distance == host[i].distance);
    CHECK(seen[i].bin == host[i].bin);
    CHECK(seen[i].T_hat == host[i].T_hat);
  }
}

TEST_CASE("CUDA: conditioning refuses other features, and those that are not finite") {
  if (!test::cuda_present()) return;
  const test::Golden golden("dic");
  const auto good = ImplicitConditioning::fit(rows(golden, "train"), {});
  Context<Cuda> ctx;
  const ConditioningOn<Cuda> there = good;
  CHECK_THROWS_WITH_AS(there.query(ctx, upload<Cuda>(ctx, {{1, 2, 3, 4}})), doctest::Contains("4 features an image"),
                       Error);
  auto broken = rows(golden, "test");
  broken[1][5] = NAN;
  CHECK_THROWS_WITH_AS(asked(ctx, there, broken), doctest::Contains("image 2 are not finite"), Error);
}

}  // namespace cuda_conditioning_test
