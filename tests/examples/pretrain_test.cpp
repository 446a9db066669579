// The making of the small networks: what they learn from is repeatable and split, training goes on where it stopped.

#include <doctest/doctest.h>

#include <csignal>
#include <set>
#include <string>

#include "pretrain/extractor.hpp"
#include "pretrain/vae.hpp"
#include "support/temporary_folder.hpp"

namespace pretrain_test {

using namespace d3ad;
using namespace pretrain;

TEST_CASE("the zoo's families are split, its images repeat and stay in range") {
  const Zoo known(false), new_ones(true);
  CHECK(known.classes() == 20 * Zoo::kTextureVariants + 18 * Zoo::kShapeVariants);
  CHECK(new_ones.classes() == 5 * Zoo::kTextureVariants + 5 * Zoo::kShapeVariants);
  std::set<std::string> names;
  for (const Zoo* zoo : {&known, &new_ones})
    for (int c = 0; c < zoo->classes(); ++c) names.insert(zoo->name(c));
  CHECK(names.size() == static_cast<std::size_t>(known.classes() + new_ones.classes()));
  for (const Zoo* zoo : {&known, &new_ones})
    for (int c = 0; c < zoo->classes(); ++c) {
      CAPTURE(zoo->name(c));
      Dice one(3, "test", static_cast<std::uint64_t>(c)), same(3, "test", static_cast<std::uint64_t>(c));
      const Canvas a = zoo->example(c, one, 32), b = zoo->example(c, same, 32);
      CHECK(a.values == b.values);
      const auto [least, most] = std::minmax_element(a.values.begin(), a.values.end());
      CHECK(*least >= 0);
      CHECK(*most <= 1);
      CHECK(*most > *least);
    }
  Dice one(3, "scene", 1), two(3, "scene", 2);
  CHECK(known.scene(one, 32).values != known.scene(two, 32).values);
}

TEST_CASE("training the networks: stopped and resumed gives the same bits, both files are recognised") {
  const test::TemporaryFolder folder;
  Context<Cpu> ctx({.threads = 1});
  ExtractorOptions e;
  e.steps = 2, e.batch = 4, e.size = 32, e.width = 8, e.out = folder / "resnet34.safetensors";
  train_extractor(ctx, e);
  const auto extractor = load_extractor<Cpu>(e.out);
  CHECK(extractor->config().architecture == "resnet34");
  CHECK(extractor->config().width == 8);
  const Accuracy a = prototype_accuracy(ctx, *extractor, Zoo(true), 1, 32, 2, 1);
  CHECK(a.texture_classes == 20);
  CHECK_UNARY(a.shapes >= 0 && a.shapes <= 1);

  VaeOptions v;
  v.steps = 4, v.batch = 2, v.size = 32, v.channels = {8, 8, 16, 16}, v.out = folder / "vae.safetensors";
  train_vae(ctx, v);
  const auto whole = file_sha256(v.out);
  CHECK_FALSE(std::filesystem::exists(v.out.string() + ".checkpoint"));
  const auto vae = load_autoencoder<Cpu>(v.out);
  CHECK(vae->has_own_scale());
  CHECK(vae->latent_scale() != 0.18215f);  // its own, measured and kept in the file
  CHECK(vae->reduction() == 8);
  CHECK(psnr(ctx, *vae, Zoo(true), 1, 32, 2) > 2);

  ParameterStore<Cpu> store;
  const auto run = [&](bool stop) {
    InitSource source(1);
    store = ParameterStore<Cpu>();
    const nn::Conv2d<Cpu> conv(Params<Cpu>(store, source) / "conv", {.in = 3, .out = 3, .kernel = 3, .pad = 1});
    Loop loop(ctx, store, {.label = "test", .steps = 5, .batch = 1, .checkpoint = folder / "loop", .key = "k"});
    loop.run([&](Tape<Cpu>& tape, std::int64_t step) {
      if (stop && step == 2) std::raise(SIGINT);
      const Zoo zoo(false);
      auto x = make_batch(ctx, 1, 16, [&](int) {
        Dice dice(1, "test", static_cast<std::uint64_t>(step));
        return zoo.scene(dice, 16);
      });
      return fn::l1(tape, conv(tape, x), x);
    });
    loop.forget();
    return detail::file_values(*store.begin());
  };
  const auto expected = run(false);
  CHECK_THROWS_AS(run(true), Interrupted);
  CHECK(std::filesystem::exists(folder / "loop"));
  ParameterStore<Cpu> other;
  CHECK_THROWS_AS(Loop(ctx, other, {.label = "test", .checkpoint = folder / "loop", .key = "another"}), Error);
  CHECK(run(false) == expected);

  // A second stage begins with the first one's weights and compares features.
  v.start = v.out, v.extractor = e.out, v.out = folder / "second.safetensors", v.steps = 1;
  train_vae(ctx, v);
  CHECK(file_sha256(v.out) != whole);
}

TEST_CASE("the networks that come with d3ad are what the documentation says") {
  const std::filesystem::path folder = D3AD_TEST_NETWORKS;
  Context<Cpu> ctx;
  std::uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) bytes += entry.file_size();
  CHECK(bytes <= 12'000'000);
  const auto vae = load_autoencoder<Cpu>(folder / "vae.safetensors");
  const auto extractor = load_extractor<Cpu>(folder / "resnet34.safetensors");
  vae.store->freeze(), extractor.store->freeze();
  CHECK(vae->latent_channels() == 4);
  CHECK(vae->reduction() == 8);
  CHECK(extractor->config().architecture == "resnet34");
  // Latents are scaled to deviation 1.
  const Zoo zoo(true);
  double squares = 0, count = 0;
  for (int i = 0; i < 8; ++i) {
    auto x = make_batch(ctx, 1, 128, [&](int) {
      Dice dice(9, "test.latents", static_cast<std::uint64_t>(i));
      return zoo.scene(dice, 128);
    });
    const auto z = vae->encode(ctx, std::move(x));
    for (std::int64_t j = 0; j < z.shape().size(); ++j) squares += std::pow(double{z.view().data[j]}, 2), count += 1;
  }
  CHECK(std::sqrt(squares / count) > 0.6);
  CHECK(std::sqrt(squares / count) < 1.6);
  CHECK(psnr(ctx, *vae, zoo, 9, 128, 8) > 20);
  const Accuracy a = prototype_accuracy(ctx, *extractor, zoo, 9, 128, 6, 4);
  MESSAGE("textures " << a.textures << ", shapes " << a.shapes);
  CHECK(a.textures > 0.25);  // chance is 0.05
  CHECK(a.shapes > 0.2);     // chance is 0.067
}

}  // namespace pretrain_test
