// A tiny product line to try the program on, with networks for it: everything is generated, nothing is downloaded.
//
//   ./tiny_set OUT [STEPS]
//   d3ad train --data OUT --category washer --vae OUT/vae.safetensors --extractor OUT/resnet18.safetensors ...
//
// Writes OUT/washer in MVTec AD's layout (24 good washers to learn from; 8 good, 8 scratched and 8 with a bite missing
// to test, with masks), a tiny autoencoder trained here for STEPS steps (default 300) on crops of the good images, and
// a narrow ResNet-18 with random weights, whose features are no more than random filters. It shows how the program
// works, not how well the method does: for that take real photographs and pretrained networks.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <d3ad/d3ad.hpp>
#include <exception>
#include <string>
#include <vector>

namespace fs = std::filesystem;
using namespace d3ad;

namespace {

constexpr int kSize = 128;

// Random numbers of one image, in order.
struct Dice {
  Rng rng;
  std::uint64_t next = 0;
  float between(float lo, float hi) { return lo + (hi - lo) * rng.uniform(next++); }
};

enum class Defect { none, scratch, bite };

struct Washer {
  Image photo{kSize, kSize, 3}, mask{kSize, kSize, 1};
};

// 0 below edge - 0.7 pixels, 1 above edge + 0.7
float step_at(float value, float edge) { return std::clamp((value - edge) / 1.4f + 0.5f, 0.0f, 1.0f); }

Washer draw(std::uint64_t seed, Defect defect) {
  Dice dice{Rng(seed, Rng::stream("tiny_set.washer"))};
  const Rng grain(seed, Rng::stream("tiny_set.grain"));
  const float cx = kSize * 0.5f + dice.between(-4, 4), cy = kSize * 0.5f + dice.between(-4, 4);
  const float outer = dice.between(44, 46), inner = dice.between(17, 19), light = dice.between(0, 6.2831853f);
  const float tone = dice.between(0.58f, 0.66f);
  const float at = dice.between(0, 6.2831853f), reach = dice.between(24, 38), turn = dice.between(0, 3.14159265f);
  const float length = dice.between(9, 15), width = dice.between(1.2f, 2.2f), bite = dice.between(7, 11);
  Washer out;
  for (int y = 0; y < kSize; ++y)
    for (int x = 0; x < kSize; ++x) {
      const float dx = static_cast<float>(x) - cx, dy = static_cast<float>(y) - cy, r = std::hypot(dx, dy);
      const auto pixel = static_cast<std::uint64_t>(y * kSize + x);
      const float noise = 0.03f * (grain.uniform(pixel) - 0.5f);
      const float ground = 0.22f + 0.05f * std::sin(0.35f * static_cast<float>(x + y)) + noise;
      // Turned metal: fine rings, and a sheen on the side of the light.
      float metal = tone + 0.05f * std::sin(1.9f * r) + 0.12f * std::cos(std::atan2(dy, dx) - light) + noise;
      float solid = step_at(outer, r) * step_at(r, inner);
      bool faulty = false;
      if (defect == Defect::scratch) {
        const float sx = dx - reach * std::cos(at), sy = dy - reach * std::sin(at);
        const float along = sx * std::cos(turn) + sy * std::sin(turn),
                    across = sy * std::cos(turn) - sx * std::sin(turn);
        const float depth = step_at(length, std::abs(along)) * step_at(width, std::abs(across)) * solid;
        metal -= 0.35f * depth;
        faulty = depth > 0.5f;
      }
      if (defect == Defect::bite) {
        const float gone = step_at(bite, std::hypot(dx - outer * std::cos(at), dy - outer * std::sin(at))) * solid;
        faulty = gone > 0.5f;
        solid -= gone;
      }
      const float value = std::clamp(ground + (metal - ground) * solid, 0.0f, 1.0f);
      const float colour[3] = {value, value * 0.99f, value * 0.95f + 0.02f};
      for (int c = 0; c < 3; ++c) out.photo.at(x, y)[c] = static_cast<std::uint8_t>(255.0f * colour[c] + 0.5f);
      out.mask.at(x, y)[0] = faulty ? 255 : 0;
    }
  return out;
}

void write_images(const fs::path& folder) {
  struct Part {
    const char* name;
    Defect defect;
    int count;
    std::uint64_t seed;
  };
  for (const Part& part : {Part{"train/good", Defect::none, 24, 100}, Part{"test/good", Defect::none, 8, 200},
                           Part{"test/scratch", Defect::scratch, 8, 300}, Part{"test/bite", Defect::bite, 8, 400}}) {
    create_folders(folder / part.name);
    const fs::path masks = folder / "ground_truth" / fs::path(part.name).filename();
    if (part.defect != Defect::none) create_folders(masks);
    for (int i = 0; i < part.count; ++i) {
      const Washer w = draw(part.seed + static_cast<std::uint64_t>(i), part.defect);
      const std::string number = std::string(i < 10 ? "00" : "0") + std::to_string(i);
      write_png(folder / part.name / (number + ".png"), w.photo);
      if (part.defect != Defect::none) write_png(masks / (number + "_mask.png"), w.mask);
    }
  }
}

// Trains a tiny autoencoder on crops of good images; the learning rate falls to zero.
void train_vae(Context<Cpu>& ctx, const fs::path& file, int steps) {
  constexpr int kImages = 24, kCrop = 64, kBatch = 4;
  std::vector<std::vector<float>> images;
  for (int i = 0; i < kImages; ++i)
    images.push_back(to_input(draw(100 + static_cast<std::uint64_t>(i), Defect::none).photo, kSize));

  ParameterStore<Cpu> store;
  InitSource source(1);
  const TinyVaeConfig config{.latent_channels = 4, .width = 32};
  const TinyVae<Cpu> vae(Params<Cpu>(store, source), config);
  std::vector<Parameter<Cpu>*> parameters;
  for (auto& p : store) parameters.push_back(&p);
  AdamW<Cpu> optimizer(parameters, {.lr = 1e-3f});

  Dice dice{Rng(1, Rng::stream("tiny_set.crops"))};
  for (int step = 1; step <= steps; ++step) {
    auto x = ctx.arena.make<float>({kBatch, kCrop, kCrop, 3});
    for (int i = 0; i < kBatch; ++i) {
      const auto& image = images[static_cast<std::size_t>(dice.between(0, kImages))];
      const int left = static_cast<int>(dice.between(0, kSize - kCrop + 1)),
                top = static_cast<int>(dice.between(0, kSize - kCrop + 1));
      for (int y = 0; y < kCrop; ++y)
        std::copy_n(image.data() + ((top + y) * kSize + left) * 3, kCrop * 3,
                    x.view().images(i, 1).data + y * kCrop * 3);
    }
    Tape<Cpu> tape(ctx);
    optimizer.zero_gradients(ctx);
    const auto loss = fn::l1(tape, vae.decode(tape, vae.encode(tape, x)), x);
    tape.backward(loss);
    optimizer.step(ctx, {.lr_factor = learning_rate_factor(step - 1, steps, 0, true), .clip = 1.0});
    if (step % 50 == 0 || step == steps) {
      std::printf("autoencoder: step %d of %d, mean error %.4f\n", step, steps,
                  static_cast<double>(fn::item(ctx, loss)));
      std::fflush(stdout);
    }
  }
  save_parameters(store, file, {{"config", nlohmann::json(config).dump()}});
}

void write_extractor(const fs::path& file) {
  ParameterStore<Cpu> store;
  InitSource source(2);
  ResNetConfig config = ResNetConfig::named("resnet18");
  config.width = 32;
  const ResNet<Cpu> net(Params<Cpu>(store, source), config);
  save_parameters(store, file, {{"config", nlohmann::json(config).dump()}});
}

}  // namespace

int main(int argc, char** argv) try {
  const int steps = argc == 3 ? std::atoi(argv[2]) : 300;
  if (argc < 2 || argc > 3 || steps < 1) {
    std::fprintf(stderr, "usage: %s OUT [STEPS]\n", argv[0]);
    return 2;
  }
  const fs::path out = argv[1];
  Context<Cpu> ctx;
  write_images(out / "washer");
  write_extractor(out / "resnet18.safetensors");
  train_vae(ctx, out / "vae.safetensors", steps);
  std::printf("wrote %s: washer/, vae.safetensors, resnet18.safetensors\n", argv[1]);
} catch (const std::exception& error) {
  std::fprintf(stderr, "tiny_set: %s\n", error.what());
  return 2;
}
