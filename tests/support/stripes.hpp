#pragma once
// A data set small enough to train a model on within a test: striped images, faulty ones with a chequered square.
//
//   const test::Place place;                             the images in MVTec AD's layout, a VAE and an extractor
//   const auto model = place.train(place.request());     a model's folder

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include "d3ad/autograd/adamw.hpp"
#include "d3ad/autograd/functions.hpp"
#include "d3ad/autograd/tape.hpp"
#include "d3ad/models/tiny_vae.hpp"
#include "d3ad/pipeline/train.hpp"
#include "support/temporary_folder.hpp"

namespace d3ad::test {

inline constexpr int kSize = 64;

// Vertical stripes with some noise; a faulty one has a chequered square.
inline Image stripes(std::uint64_t seed, bool faulty) {
  Image image(kSize, kSize, 3);
  const Rng rng(seed, 1);
  for (int y = 0; y < kSize; ++y)
    for (int x = 0; x < kSize; ++x) {
      const auto pixel = static_cast<std::uint64_t>(y * kSize + x);
      float v = 90 + 40 * std::sin(0.4f * static_cast<float>(x)) + 10 * rng.uniform(pixel);
      if (faulty && x >= 24 && x < 40 && y >= 24 && y < 40) v = (x / 4 + y / 4) % 2 ? 250.0f : 0.0f;
      for (int c = 0; c < 3; ++c) image.at(x, y)[c] = static_cast<std::uint8_t>(v);
    }
  return image;
}

// A tiny autoencoder that has learned the stripes, as a file's bytes; made once.
inline const std::string& trained_vae() {
  static const std::string bytes = [] {
    Context<Cpu> ctx({.threads = 2});
    ParameterStore<Cpu> store;
    InitSource source(1);
    const TinyVae<Cpu> net(Params<Cpu>(store, source), {.latent_channels = 4, .width = 16});
    AdamW<Cpu> optimizer(store.parameters(), {.lr = 2e-3f});
    auto x = make_value<float>(ctx, {4, kSize, kSize, 3});
    for (int step = 0; step < 80; ++step) {
      for (int i = 0; i < 4; ++i)
        copy_from_host(x.view().images(i, 1), to_input(stripes(static_cast<std::uint64_t>(i), i == 3), kSize).data());
      Tape<Cpu> tape(ctx);
      optimizer.zero_gradients(ctx);
      tape.backward(fn::l1(tape, net.decode(tape, net.encode(tape, x)), x));
      optimizer.step(ctx, {.clip = 1.0});
    }
    const TemporaryFolder folder;
    save_parameters(store, folder / "vae.safetensors", {});
    return read_file(folder / "vae.safetensors", 1 << 28);
  }();
  return bytes;
}

// Images in MVTec AD's layout, and networks for them: that autoencoder and a random extractor.
struct Place {
  TemporaryFolder folder;
  std::filesystem::path data = folder / "data", vae = folder / "vae.safetensors",
                        extractor = folder / "resnet.safetensors";

  Place() {
    const auto put = [&](const char* where, int i, const Image& image) {
      create_folders(data / "stripes" / where);
      write_png(data / "stripes" / where / (std::to_string(i) + (image.channels == 1 ? "_mask.png" : ".png")), image);
    };
    for (int i = 0; i < 6; ++i) put("train/good", i, stripes(static_cast<std::uint64_t>(i), false));
    for (int i = 0; i < 3; ++i) put("test/good", i, stripes(static_cast<std::uint64_t>(10 + i), false));
    for (int i = 0; i < 3; ++i) {
      put("test/square", i, stripes(static_cast<std::uint64_t>(20 + i), true));
      Image mask(kSize, kSize, 1);
      for (int y = 24; y < 40; ++y)
        for (int x = 24; x < 40; ++x) mask.at(x, y)[0] = 255;
      put("ground_truth/square", i, mask);
    }
    write_atomically(vae, std::string_view(trained_vae()));
    ParameterStore<Cpu> other;
    InitSource source(1);
    auto config = ResNetConfig::named("resnet18");
    config.width = 8;
    const ResNet<Cpu> resnet(Params<Cpu>(other, source), config);
    save_parameters(other, extractor, {});
  }

  TrainRequest request(const char* model = "model") const {
    TrainRequest r;
    r.category = "stripes";
    for (const auto& s : open_dataset(data, "stripes").train) r.good.push_back(s.image);
    r.vae = vae, r.extractor = extractor, r.model = folder / model;
    r.settings.data.image_size = kSize;
    r.settings.unet.base = 32;
    r.settings.unet.multipliers = {1, 1};
    r.settings.unet.attention = {2};
    r.settings.unet.heads = 2;
    r.settings.training.iterations = 6;
    r.settings.training.batch = 3;
    r.settings.conditioning.k = 2;
    r.settings.denoising.steps = 2;
    r.settings.conditioning.T_max = 80;
    r.settings.denoising.eta2 = 4;
    return r;
  }
  std::filesystem::path train(const TrainRequest& r, TrainEvents events = {}) const {
    Context<Cpu> ctx({.threads = 2});
    Trainer<Cpu>(ctx, r, std::move(events)).run();
    return r.model;
  }
};

}  // namespace d3ad::test
