// Peak memory of a detection at the paper's size, and whether a second image takes any more.
//
//   memory [IMAGES]
//
// UNet (281.1 M parameters), Stable Diffusion's VAE and ResNet-34 with random weights on images of 256 x 256, one at a
// time. Prints the weights' bytes, the arena's, the process's peak (VmHWM of /proc/self/status) and the difference, and
// how often memory was taken from the system after the first image.

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <d3ad/d3ad.hpp>
#include <fstream>
#include <string>

#include "../examples/command_line.hpp"

using namespace d3ad;

namespace {

double peak_megabytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::strtod(line.c_str() + 6, nullptr) / 1024;
  return 0;
}

double megabytes(double bytes) { return bytes / (1024.0 * 1024.0); }

}  // namespace

int main(int argc, char** argv) try {
  CLI::App app("Peak memory of a detection at the paper's size, and whether a second image takes any more.");
  app.name("memory");
  int images = 3;
  app.add_option("IMAGES", images, "one after the other")->check(CLI::Range(1, 1000000))->capture_default_str();
  if (const auto code = command_line::parse(app, argc, argv)) return *code;
  Context<Cpu> ctx;
  Settings settings = Settings::paper();
  settings.conditioning.k = 1;
  ParameterStore<Cpu> vae_store, unet_store, extractor_store;
  InitSource source(1);
  const Autoencoder<Cpu> vae(Params<Cpu>(vae_store, source), nlohmann::json(VaeConfig{}));
  const UNet<Cpu> unet(Params<Cpu>(unet_store, source), UNetConfig{.channels = vae.latent_channels(),
                                                                   .base = settings.unet.base,
                                                                   .multipliers = settings.unet.multipliers,
                                                                   .res_blocks = settings.unet.res_blocks,
                                                                   .attention = settings.unet.attention,
                                                                   .heads = settings.unet.heads});
  const ResNet<Cpu> extractor(Params<Cpu>(extractor_store, source), ResNetConfig::named("resnet34"));
  double weights = 0;
  for (auto* store : {&vae_store, &unet_store, &extractor_store}) {
    store->freeze();
    weights += 4.0 * static_cast<double>(store->values());
  }
  const Schedule schedule;
  const D3adAlgorithm<Cpu> method{vae, unet, extractor, schedule, settings};
  const auto input = [&](int i) {
    auto x = make_value<float>(ctx, {1, settings.data.image_size, settings.data.image_size, 3});
    ops::normal(ctx, x.view(), Rng(2, static_cast<std::uint64_t>(i)), 0);
    ops::scale(ctx, x.view(), x.view(), 0.3f, 0.0f);
    return x;
  };
  const auto conditioning =
      ImplicitConditioning::fit(method.conditioning_features(ctx, input(0)),
                                {.k = settings.conditioning.k, .T_max = settings.conditioning.T_max});
  std::int64_t before = 0;
  for (int i = 0; i < images; ++i) {
    if (i == 1) before = Memory<Cpu>::allocations();
    const auto start = std::chrono::steady_clock::now();
    method.analyse(ctx, input(i), conditioning);
    ctx.arena.settle();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::printf("image %d: %.1f s, peak %.0f MiB\n", i + 1, seconds, peak_megabytes());
    std::fflush(stdout);
  }
  std::printf("weights %.0f MiB, arena %.0f MiB, peak of the process %.0f MiB: %.0f MiB beside the weights\n",
              megabytes(weights), megabytes(static_cast<double>(ctx.arena.slab_bytes())), peak_megabytes(),
              peak_megabytes() - megabytes(weights));
  if (images > 1)
    std::printf("memory taken after the first image: %lld times\n",
                static_cast<long long>(Memory<Cpu>::allocations() - before));
} catch (const std::exception& error) {
  std::fprintf(stderr, "memory: %s\n", error.what());
  return 2;
}
