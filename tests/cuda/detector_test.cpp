// A detector on the CUDA device: what it finds batch after batch, with one on its way while another is computed, is
// what it finds one by one, in whatever order the streams run; inside a batch nothing is waited for and nothing
// allocated.

#include "d3ad/pipeline/detector.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "d3ad/pipeline/train.hpp"
#include "support/cuda.hpp"
#include "support/temporary_folder.hpp"

namespace cuda_detector_test {

using namespace d3ad;
namespace fs = std::filesystem;
using test::contains, test::refusal;

namespace {

constexpr int kSize = 64;
using Inputs = std::vector<Frame>;

Image stripes(std::uint64_t seed) {
  Image image(kSize, kSize, 3);
  const Rng rng(seed, 1);
  for (int y = 0; y < kSize; ++y)
    for (int x = 0; x < kSize; ++x) {
      const float v = 90 + static_cast<float>(seed % 5) * 10 + 40 * std::sin(0.4f * static_cast<float>(x)) +
                      10 * rng.uniform(static_cast<std::uint64_t>(y * kSize + x));
      for (int c = 0; c < 3; ++c) image.at(x, y)[c] = static_cast<std::uint8_t>(v);
    }
  return image;
}

Frame frame(std::uint64_t seed) { return {kSize, kSize, to_input(stripes(seed), kSize)}; }

// A model of small networks that have learned next to nothing.
fs::path train(const test::TemporaryFolder& folder) {
  TrainRequest r;
  for (int i = 0; i < 5; ++i) {
    r.good.push_back(folder / (std::to_string(i) + ".png"));
    write_png(r.good.back(), stripes(static_cast<std::uint64_t>(i)));
  }
  const auto save = [&](const char* name, const auto& config, auto make) {
    ParameterStore<Cpu> store;
    InitSource source(1);
    make(Params<Cpu>(store, source), config);
    save_parameters(store, folder / name, {});
    return folder / name;
  };
  r.vae = save("vae.safetensors", TinyVaeConfig{.latent_channels = 4, .width = 16},
               [](const Params<Cpu>& p, const auto& c) { TinyVae<Cpu>(p, c); });
  auto resnet = ResNetConfig::named("resnet18");
  resnet.width = 8;
  r.extractor = save("resnet.safetensors", resnet, [](const Params<Cpu>& p, const auto& c) { ResNet<Cpu>(p, c); });
  r.category = "stripes", r.model = folder / "model";
  r.settings.data.image_size = kSize;
  r.settings.unet.base = 32;
  r.settings.unet.multipliers = {1, 1};
  r.settings.unet.attention = {2};
  r.settings.unet.heads = 2;
  r.settings.training.iterations = 2;
  r.settings.training.batch = 2;
  r.settings.conditioning.k = 2;
  r.settings.denoising.steps = 2;
  r.settings.adaptation.gamma = 0;
  Context<Cpu> ctx;
  Trainer<Cpu>(ctx, r, {}).run();
  return r.model;
}

bool same(const std::vector<Detection>& a, const std::vector<Detection>& b) {
  bool all = a.size() == b.size();
  for (std::size_t i = 0; all && i < a.size(); ++i)
    all = a[i].score == b[i].score && a[i].map == b[i].map && a[i].raw.maps == b[i].raw.maps &&
          a[i].reconstruction == b[i].reconstruction && a[i].input == b[i].input &&
          a[i].attributes.values == b[i].attributes.values;
  return all;
}

}  // namespace

TEST_CASE("CUDA: a detector's batches travel while others are computed") {
  if (!test::cuda_present()) return;
  const test::TemporaryFolder folder;
  const auto model = train(folder);
  std::vector<Inputs> batches;
  for (std::uint64_t b = 0; b < 6; ++b)
    batches.push_back(b == 4 ? Inputs{frame(40)} : Inputs{frame(10 + b), frame(20 + b)});

  Context<Cpu> host;
  Detector<Cpu> plain(host, model);
  Context<Cuda> ctx;
  Detector<Cuda> detector(ctx, model);
  std::vector<std::vector<Detection>> want;
  for (const Inputs& b : batches) {
    want.push_back(detector(b));
    CHECK(want.back()[0].score == doctest::Approx(plain(b)[0].score).epsilon(1e-3));
  }

  const auto in_a_row = [&] {
    for (std::size_t b = 0; b < batches.size(); ++b) {
      CAPTURE(b);
#if defined(D3AD_CUDA_EMULATION)
      const auto waits = emulation::waits(), allocations = emulation::allocations();
      detector.begin(batches[b]);
      CHECK(emulation::waits() == waits);
      CHECK(emulation::allocations() == allocations);
#else
      const auto allocations = cuda::DeviceMemory::allocations();
      detector.begin(batches[b]);
      CHECK(cuda::DeviceMemory::allocations() == allocations);
#endif
      if (b > 0) CHECK(same(detector.finish(), want[b - 1]));
    }
    CHECK(same(detector.finish(), want.back()));
  };
  in_a_row();
#if defined(D3AD_CUDA_EMULATION)
  for (const auto late : {emulation::Late::with_default, emulation::Late::all}) {
    emulation::late() = late;
    in_a_row();
  }
  emulation::late() = emulation::Late::apart;
#endif

  // What is asked in the wrong order, and batches that come to nothing, leave the others as they are.
  CHECK(contains(refusal([&] { detector.finish(); }), "no batch was begun"));
  detector.begin(batches[0]);
  CHECK(contains(refusal([&] { detector(batches[1]); }), "under way"));
  CHECK(contains(refusal([&] { detector.begin({{1, 1, {1, 2, 3}}}); }), "a frame of 1 x 1 with 3 numbers"));
  detector.begin(batches[1]);
  CHECK(contains(refusal([&] { detector.begin(batches[2]); }), "2 batches are under way"));
  CHECK(same(detector.finish(), want[0]));
  detector.abandon();
  Inputs broken = batches[2];
  broken[1].pixels[7] = NAN;
  detector.begin(broken);
  detector.begin(batches[2]);
  CHECK(contains(refusal([&] { detector.finish(); }), "image 2 are not finite"));
  CHECK(same(detector.finish(), want[2]));
  CHECK(same(detector(batches[3]), want[3]));
}

}  // namespace cuda_detector_test
