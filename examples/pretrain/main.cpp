// Makes the small pretrained networks that come with d3ad: a ResNet-34 and an autoencoder, learned from generated
// images (textures, parts, light). Nothing is read but the program itself.
//
//   pretrain extractor --out networks/resnet34.safetensors
//   pretrain vae --out networks/vae.safetensors        (in stages: weights_tools/make_networks.sh)
//   pretrain check --vae networks/vae.safetensors --extractor networks/resnet34.safetensors
//   pretrain show DIR                      pictures of what they learn from, and of reconstructions with --vae
//
// The same options, seed and number of threads give the same bits. weights_tools/README.md has the recipe, its time and
// what came of it.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "../command_line.hpp"
#include "extractor.hpp"
#include "vae.hpp"

namespace {

using namespace pretrain;

void check(d3ad::Context<Cpu>& ctx, const fs::path& vae_path, const fs::path& extractor_path, std::uint64_t seed) {
  const auto extractor = d3ad::load_extractor<Cpu>(extractor_path);
  const auto vae = d3ad::load_autoencoder<Cpu>(vae_path);
  extractor.store->freeze();
  vae.store->freeze();
  for (const bool held_out : {false, true}) {
    const Zoo zoo(held_out);
    const char* const which = held_out ? "families never trained on" : "families trained on";
    const Accuracy a = prototype_accuracy(ctx, *extractor, zoo, seed, 128);
    std::printf(
        "%s: %.1f %% of textures (%d classes, chance %.1f %%), %.1f %% of shapes (%d classes, chance %.1f %%)\n", which,
        100 * a.textures, a.texture_classes, 100.0 / a.texture_classes, 100 * a.shapes, a.shape_classes,
        100.0 / a.shape_classes);
    std::printf("%s: reconstruction %.2f dB\n", which, psnr(ctx, *vae, zoo, seed, 256, 64));
    std::fflush(stdout);
  }
}

// Sheets of 8 x 8 pictures; with a VAE, rows of images over rows of reconstructions.
void show(d3ad::Context<Cpu>& ctx, const fs::path& folder, const fs::path& vae_path, std::uint64_t seed) {
  constexpr int kSide = 128, kCells = 8;
  d3ad::create_folders(folder);
  for (const bool held_out : {false, true}) {
    const Zoo zoo(held_out);
    const auto sheet = [&](const char* name, auto&& draw) {
      d3ad::Image all(kSide * kCells, kSide * kCells, 3);
      for (int i = 0; i < kCells * kCells; ++i) {
        const d3ad::Image one = draw(i);
        for (int y = 0; y < kSide; ++y)
          std::copy_n(one.at(0, y), kSide * 3, all.at(i % kCells * kSide, i / kCells * kSide + y));
      }
      d3ad::write_png(folder / (std::string(name) + (held_out ? "_held_out.png" : ".png")), all);
    };
    sheet("classes", [&](int i) {
      Dice dice(seed, "pretrain.show", static_cast<std::uint64_t>(i));
      return zoo.example(i * zoo.classes() / (kCells * kCells), dice, kSide).picture();
    });
    sheet("scenes", [&](int i) {
      Dice dice(seed, "pretrain.scenes", static_cast<std::uint64_t>(i));
      return zoo.scene(dice, kSide).picture();
    });
    if (vae_path.empty()) continue;
    const auto vae = d3ad::load_autoencoder<Cpu>(vae_path);
    sheet("reconstructions", [&](int i) {
      Dice dice(seed, "pretrain.scenes", static_cast<std::uint64_t>(i / 16 * 8 + i % 8));
      Canvas canvas = zoo.scene(dice, kSide);
      if (i / 8 % 2 == 0) return canvas.picture();
      auto x = make_batch(ctx, 1, kSide, [&](int) { return canvas; });
      const auto y = vae->decode(ctx, vae->encode(ctx, std::move(x)));
      for (std::size_t j = 0; j < canvas.values.size(); ++j)
        canvas.values[j] = std::clamp(0.5f + 0.5f * y.view().data[j], 0.0f, 1.0f);
      return canvas.picture();
    });
  }
}

}  // namespace

int main(int argc, char** argv) try {
  CLI::App app{"Makes the small pretrained networks that come with d3ad, from generated images."};
  app.name("pretrain");
  app.require_subcommand(1);
  int threads = 0;
  app.add_option("--threads", threads, "0: all cores")->capture_default_str();
  ExtractorOptions e;
  VaeOptions v;

  auto* extractor = app.add_subcommand("extractor", "trains the ResNet-34")->fallthrough();
  extractor->add_option("--out", e.out, "file to write")->required();
  extractor->add_option("--steps", e.steps, "of one batch each")->capture_default_str()->check(CLI::PositiveNumber);
  extractor->add_option("--batch", e.batch)->capture_default_str()->check(CLI::Range(2, 1024));
  extractor->add_option("--width", e.width, "channels of layer1")->capture_default_str()->check(CLI::Range(8, 512));
  extractor->add_option("--seed", e.seed)->capture_default_str();

  auto* vae = app.add_subcommand("vae", "trains the autoencoder")->fallthrough();
  vae->add_option("--out", v.out, "file to write")->required();
  vae->add_option("--start", v.start, "weights to begin with; none: random ones");
  vae->add_option("--extractor", v.extractor, "ResNet whose features the loss compares; none: it does not");
  vae->add_option("--steps", v.steps, "of one batch each")->capture_default_str()->check(CLI::PositiveNumber);
  vae->add_option("--batch", v.batch)->capture_default_str()->check(CLI::Range(1, 1024));
  vae->add_option("--size", v.size, "pixels a side of the scenes")->capture_default_str()->check(CLI::Range(16, 512));
  vae->add_option("--lr", v.lr, "learning rate, falls to zero")->capture_default_str();
  vae->add_option("--channels", v.channels, "of the four levels")->capture_default_str()->delimiter(',');
  vae->add_option("--features", v.features, "weight of the features' distance")->capture_default_str();
  vae->add_option("--kl", v.kl, "weight of the divergence")->capture_default_str();
  vae->add_option("--seed", v.seed)->capture_default_str();

  fs::path vae_path, extractor_path, folder;
  std::uint64_t seed = 7;
  auto* checking = app.add_subcommand("check", "measures both networks on new images")->fallthrough();
  checking->add_option("--vae", vae_path)->required();
  checking->add_option("--extractor", extractor_path)->required();
  checking->add_option("--seed", seed)->capture_default_str();
  auto* showing = app.add_subcommand("show", "pictures of what the networks learn from")->fallthrough();
  showing->add_option("DIR", folder, "folder to write to")->required();
  showing->add_option("--vae", vae_path, "shows reconstructions too");
  showing->add_option("--seed", seed)->capture_default_str();
  if (const auto code = command_line::parse(app, argc, argv)) return *code;

  d3ad::Context<Cpu> ctx({.threads = threads});
  if (*extractor) train_extractor(ctx, e);
  if (*vae) train_vae(ctx, v);
  if (*checking) check(ctx, vae_path, extractor_path, seed);
  if (*showing) show(ctx, folder, vae_path, seed);
} catch (const d3ad::Interrupted& stopped) {
  std::fprintf(stderr, "pretrain: %s\n", stopped.what());
  return 130;
} catch (const std::exception& error) {
  std::fprintf(stderr, "pretrain: %s\n", error.what());
  return 2;
}
