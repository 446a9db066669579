// The autoencoders against the reference.

#include "d3ad/models/vae.hpp"

#include <doctest/doctest.h>

#include <cstdlib>

#include "d3ad/models/recognise.hpp"
#include "d3ad/models/tiny_vae.hpp"
#include "d3ad/weights/source.hpp"
#include "support/compare.hpp"
#include "support/golden.hpp"

namespace vae_test {

using namespace d3ad;

TEST_CASE("VAE equals the reference") {
  for (const char* name : {"vae_small", "vae_paper"}) {
    CAPTURE(name);
    const test::Golden golden(name);
    Context<Cpu> ctx;
    ParameterStore<Cpu> store;
    HashSource source("vae.");
    const Vae<Cpu> vae(Params<Cpu>(store, source), golden.config().get<VaeConfig>());
    store.freeze();

    const auto x = golden.tensor("x"), z = golden.tensor("z");
    auto [mean, logvar] = fn::halves(ctx, vae.encode(ctx, test::borrow(x)));
    const auto m = test::compare(mean.view(), golden.tensor("mean").view(), test::kTolerances.network);
    CHECK_MESSAGE(m.close, m);
    const auto l = test::compare(logvar.view(), golden.tensor("logvar").view(), test::kTolerances.network);
    CHECK_MESSAGE(l.close, l);
    const auto image = vae.decode(ctx, test::borrow(z));
    const auto i = test::compare(image.view(), golden.tensor("image").view(), test::kTolerances.network);
    CHECK_MESSAGE(i.close, i);
    // The golden can fail: mean and log-variance are not interchangeable, nor is a shifted image.
    CHECK_FALSE(test::compare(mean.view(), golden.tensor("logvar").view(), test::kTolerances.network).close);
  }
}

TEST_CASE("tiny VAE equals the reference") {
  const test::Golden golden("tiny_vae");
  const auto config = golden.config().get<TinyVaeConfig>();
  Context<Cpu> ctx;
  ParameterStore<Cpu> store;
  HashSource source("tae.");
  const TinyVae<Cpu> vae(Params<Cpu>(store, source), config);
  store.freeze();

  const auto x = golden.tensor("x"), latent = golden.tensor("latent"), image = golden.tensor("image");
  const auto z = test::compare(vae.encode(ctx, test::borrow(x)).view(), latent.view(), test::kTolerances.network);
  CHECK_MESSAGE(z.close, z);
  const auto y = test::compare(vae.decode(ctx, test::borrow(latent)).view(), image.view(), test::kTolerances.network);
  CHECK_MESSAGE(y.close, y);

  // The golden can fail: the pool branch counts, and so does what the last block makes of the latent.
  ParameterStore<Cpu> plain_store;
  auto without_pool = config;
  without_pool.midblock_group_norm = false;
  const TinyVae<Cpu> plain(Params<Cpu>(plain_store, source), without_pool);
  CHECK_FALSE(test::compare(plain.encode(ctx, test::borrow(x)).view(), latent.view(), test::kTolerances.network).close);
  CHECK_FALSE(
      test::compare(plain.decode(ctx, test::borrow(latent)).view(), image.view(), test::kTolerances.network).close);
}

TEST_CASE("group norm of a latent-sized map tells eps 1e-6 from 1e-5") {
  Context<Cpu> ctx;
  const test::Golden golden("vae_small");
  const auto z = golden.tensor("z");
  HashSource source("vae.");
  const auto normed = [&](float eps) {
    ParameterStore<Cpu> store;
    const Params<Cpu> p(store, source);
    const nn::Conv2d<Cpu> widen(p / "probe", {.in = 4, .out = 64, .kernel = 1});
    const nn::GroupNorm<Cpu> norm(p / "norm", 64, {.groups = 32, .eps = eps});
    const auto out = norm(ctx, fn::scale(ctx, widen(ctx, test::borrow(z)), 0.02f));
    return std::vector<float>(out.view().data, out.view().data + out.view().size());
  };
  const auto a = normed(1e-6f), b = normed(1e-5f);
  const Shape shape{.c = static_cast<std::int64_t>(a.size())};
  CHECK_FALSE(test::compare(View<const float, Cpu>(b.data(), shape), View<const float, Cpu>(a.data(), shape),
                            test::kTolerances.network)
                  .close);
}

TEST_CASE("VAE at the published size has 83.7 million parameters") {
  // Counted from the names and shapes alone: no memory is filled.
  ParameterStore<Cpu> store;
  HashSource source("vae.");
  const Vae<Cpu> vae(Params<Cpu>(store, source), VaeConfig{});
  CHECK_EQ(store.values(), 83'653'863);
}

TEST_CASE("VAE and tiny VAE: sizes that do not fit are refused") {
  Context<Cpu> ctx;
  ParameterStore<Cpu> store;
  InitSource source(1);
  const TinyVae<Cpu> tiny(Params<Cpu>(store, source), {.latent_channels = 4, .width = 16});
  Tensor<float, Cpu> odd({.n = 1, .h = 20, .w = 16, .c = 3}), grey({.n = 1, .h = 16, .w = 16, .c = 1});
  CHECK_THROWS_WITH_AS(tiny.encode(ctx, test::borrow(odd)), doctest::Contains("multiples of 8"), Error);
  CHECK_THROWS_WITH_AS(tiny.encode(ctx, test::borrow(grey)), doctest::Contains("3 channels"), Error);
  CHECK_THROWS_WITH_AS(tiny.decode(ctx, test::borrow(odd)), doctest::Contains("4 channels"), Error);
}

}  // namespace vae_test
