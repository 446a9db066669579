// The UNet against the reference: small, another latent size, the paper's size; and that the goldens can fail.

#include "d3ad/models/unet.hpp"

#include <doctest/doctest.h>

#include "d3ad/weights/source.hpp"
#include "support/compare.hpp"
#include "support/golden.hpp"

namespace unet_test {

using namespace d3ad;

namespace {

UNetConfig golden_config(const test::Golden& golden) {
  auto config = golden.config().get<UNetConfig>();
  config.channels = static_cast<int>(golden.tensor("x").shape().c);
  return config;
}

test::Comparison run(const test::Golden& golden, UNetConfig config, int shift_t = 0) {
  Context<Cpu> ctx;
  ParameterStore<Cpu> store;
  HashSource source("unet.");
  const UNet<Cpu> unet(Params<Cpu>(store, source), config);
  store.freeze();
  const auto x = golden.tensor("x"), eps = golden.tensor("eps");
  auto t = golden.steps("t");
  for (std::int64_t i = 0; i < t.size(); ++i) t.data()[i] += shift_t;
  const auto got = unet(ctx, test::borrow(x), View<const std::int32_t, Cpu>(t.view()));
  return test::compare(got.view(), eps.view(), test::kTolerances.network);
}

}  // namespace

TEST_CASE("UNet equals the reference") {
  for (const char* name : {"unet_small", "unet_small_latent64", "unet_paper"}) {
    CAPTURE(name);
    const test::Golden golden(name);
    const auto got = run(golden, golden_config(golden));
    CHECK_MESSAGE(got.close, got);
  }
}

TEST_CASE("UNet's golden data tells a wrong network from the right one") {
  const test::Golden golden("unet_small");
  auto heads = golden_config(golden);
  heads.heads = 2;
  CHECK_FALSE(run(golden, heads).close);
  CHECK_FALSE(run(golden, golden_config(golden), 1).close);
}

TEST_CASE("UNet: parameters, memory and refusals") {
  Context<Cpu> ctx;
  ParameterStore<Cpu> store;
  HashSource source("unet.");
  const UNet<Cpu> unet(Params<Cpu>(store, source), UNetConfig::small(4));
  const test::Golden golden("unet_small");
  const auto x = golden.tensor("x");
  auto t = golden.steps("t");
  const auto steps = View<const std::int32_t, Cpu>(t.view());

  SUBCASE("nothing is allocated after the first pass") {
    unet(ctx, test::borrow(x), steps);
    unet(ctx, test::borrow(x), steps);  // takes the slab
    const auto before = Memory<Cpu>::allocations();
    unet(ctx, test::borrow(x), steps);
    CHECK_EQ(Memory<Cpu>::allocations(), before);
    CHECK(ctx.arena.empty());
  }
  SUBCASE("a latent that does not fit is refused") {
    Tensor<float, Cpu> odd({.n = 3, .h = 6, .w = 6, .c = 4}), channels({.n = 3, .h = 8, .w = 8, .c = 3});
    CHECK_THROWS_WITH_AS(unet(ctx, test::borrow(odd), steps), doctest::Contains("multiple of 4"), Error);
    CHECK_THROWS_WITH_AS(unet(ctx, test::borrow(channels), steps), doctest::Contains("channels"), Error);
  }
}

TEST_CASE("UNet at the paper's size has 281.1 million parameters") {
  // Counted from the names and shapes alone: no memory is filled.
  ParameterStore<Cpu> store;
  HashSource source("unet.");
  const UNet<Cpu> unet(Params<Cpu>(store, source), UNetConfig::paper());
  CHECK_EQ((store.values() + 50'000) / 100'000, 2811);
}

}  // namespace unet_test
