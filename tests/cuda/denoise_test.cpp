// Reconstruction on the CUDA device against the reference: step by step, and as recorded work that is replayed with
// other images, other T̂ and other numbers of images.

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "d3ad/autograd/functions.hpp"
#include "d3ad/diffusion/denoise_loop.hpp"
#include "d3ad/models/unet.hpp"
#include "support/compare.hpp"
#include "support/cuda.hpp"
#include "support/golden.hpp"

namespace cuda_denoise_test {

using namespace d3ad;

namespace {

constexpr int kImages = 2;  // of the golden's

// The golden's UNet on a device.
template <class Device>
struct Denoiser {
  explicit Denoiser(const test::Golden& golden)
      : source(golden.file.metadata().at("prefix")), unet(Params<Device>(store, source), config_of(golden)) {
    store.freeze();
    scale = static_cast<float>(golden.number("eps_scale"));
  }
  static UNetConfig config_of(const test::Golden& golden) {
    auto config = golden.config();
    if (!config.contains("channels")) config["channels"] = golden.tensor("z0").shape().c;
    return config.template get<UNetConfig>();
  }
  auto model() {
    return [this](Context<Device>& c, Value<Real<Device>, Device> x, View<const std::int32_t, Device> t) {
      ++calls;
      return fn::scale(c, unet(c, std::move(x), t), scale);
    };
  }

  HashSource source;
  ParameterStore<Device> store;
  UNet<Device> unet;
  float scale = 1;
  int calls = 0;
};

template <class Device>
Value<float, Device> upload(Context<Device>& ctx, View<const float, Cpu> x) {
  auto out = make_value<float>(ctx, x.shape);
  copy_from_host(out.view(), x.data);
  return out;
}
template <class Device>
Value<float, Device> upload(Context<Device>& ctx, const Tensor<float, Cpu>& x) {
  return upload(ctx, x.view());
}

// Without noise; with noise at the start and in every step.
const std::vector<diffusion::DenoiseOptions> kOptions{
    {.eta2 = 4, .steps = 2}, {.eta2 = 4, .eta = 0.8f, .omega = 0.5f, .steps = 2, .seed = 3, .first_image = 5}};

// A quarter of the first images' latents, times `factor`: enough where devices are compared with each other.
Tensor<float, Cpu> corner(const Tensor<float, Cpu>& z, std::int64_t images, float factor = 1) {
  const Shape s = z.shape();
  Tensor<float, Cpu> out({images, s.h / 2, s.w / 2, s.c});
  float* to = out.data();
  for (std::int64_t n = 0; n < images; ++n)
    for (std::int64_t y = 0; y < s.h / 2; ++y)
      for (std::int64_t i = 0; i < s.w / 2 * s.c; ++i) *to++ = factor * z.data()[(n * s.h + y) * s.w * s.c + i];
  return out;
}

}  // namespace

TEST_CASE("CUDA: reconstruction equals the reference, step by step") {
  if (!test::cuda_present()) return;
  for (const char* name : {"reconstruct_omega_half"}) {
    CAPTURE(name);
    const test::Golden golden(name);
    Context<Cuda> ctx;
    Denoiser<Cuda> denoiser(golden);
    std::vector<int> T_hat;
    for (const auto t : golden.file.ints("T_hat")) T_hat.push_back(static_cast<int>(t));
    T_hat.resize(kImages);
    const auto first = [&](const std::string& tensor) {
      const auto all = golden.tensor(tensor);
      return upload(ctx, all.view().images(0, kImages));
    };
    Value<float, Cuda> noise;
    if (golden.file.has("noise")) noise = first("noise");
    int compared = 0;
    const auto on_step = [&](int done, View<const float, Cuda> x) {
      const auto step = done == 0 && golden.file.has("first") ? std::string("first") : concat("x.", done);
      if (!golden.file.has(step)) return;
      Tensor<float, Cpu> host(x.shape);
      copy_to_host(host.data(), x);
      const auto all = golden.tensor(step);
      const auto c = test::compare(host.view(), all.view().images(0, kImages), test::kTolerances.reconstruction);
      CHECK_MESSAGE(c.close, c);
      ++compared;
    };
    diffusion::reconstruct(
        ctx, denoiser.model(), first("z0"), T_hat, Schedule(),
        {.eta2 = static_cast<float>(golden.number("eta2")), .omega = static_cast<float>(golden.number("omega"))},
        View<const float, Cuda>(noise.view()), on_step);
    CHECK_GT(compared, 0);
  }
}

TEST_CASE("CUDA: recorded steps are replayed for other images, T_hat and batches") {
  if (!test::cuda_present()) return;
  const test::Golden golden("reconstruct_eta2_4");
  const auto z0 = golden.tensor("z0");
  Context<Cpu> host;
  Context<Cuda> ctx;
  Denoiser<Cpu> plain(golden);
  Denoiser<Cuda> denoiser(golden);
  DenoiseLoop<Cuda> loop;
  const Schedule schedule;
  for (const auto& options : kOptions) {
    CAPTURE(options.omega);
    CAPTURE(options.eta);
    denoiser.calls = 0;
    for (int round = 0; round < 5; ++round) {
      CAPTURE(round);
      // Rounds 0, 1, 2 and 4: all images, of other strengths each time; round 3 one image.
      const std::int64_t count = round == 3 ? 1 : kImages;
      const auto start = corner(z0, count, 1.0f + 0.1f * static_cast<float>(round));
      std::vector<int> T_hat;
      for (std::int64_t i = 0; i < count; ++i) T_hat.push_back(10 * (1 + (static_cast<int>(i) + 2 * round) % 7));
      auto this_round = options;
      this_round.first_image += static_cast<std::uint64_t>(round);
      const auto want = diffusion::reconstruct(host, plain.model(), test::borrow(start), T_hat, schedule, this_round);
      const auto got = loop(ctx, denoiser.model(), upload(ctx, start), T_hat, schedule, this_round);
      const auto c = test::compare(test::from_cuda<float, float>(got.view()).view(), want.view(),
                                   test::kTolerances.reconstruction);
      CHECK_MESSAGE(c.close, c);
    }
    // Made once and recorded once for all images, and made once for one image: replayed for the rest.
    CHECK_EQ(denoiser.calls, 3 * 2);
  }
}

TEST_CASE("CUDA: T_hat chosen on the device gives what T_hat of the host does, and nothing is waited for") {
  if (!test::cuda_present()) return;
  const test::Golden golden("reconstruct_eta2_4");
  const auto z0 = corner(golden.tensor("z0"), kImages);
  Context<Cuda> ctx;
  Denoiser<Cuda> denoiser(golden);
  DenoiseLoop<Cuda> by_host, by_device;
  const Schedule schedule;
  const auto n = z0.shape().n;
  // 25 takes three steps and the others two, so that images wait for one that is not there.
  const std::vector<int> T_hats{10, 20, 30, 25};
  for (const auto& options : kOptions) {
    CAPTURE(options.omega);
    CAPTURE(options.eta);
    for (int round = 0; round < 2; ++round) {
      CAPTURE(round);
      std::vector<std::int32_t> choice;
      std::vector<int> T_hat;
      for (std::int64_t i = 0; i < n; ++i) {
        choice.push_back(static_cast<std::int32_t>((i + round) % 4));
        T_hat.push_back(T_hats[static_cast<std::size_t>(choice.back())]);
      }
      const auto start = upload(ctx, z0);
      auto chosen = make_value<std::int32_t>(ctx, {.n = n});
      copy_from_host(chosen.view(), choice.data());
      const auto want = by_host(ctx, denoiser.model(), start, T_hat, schedule, options);
#if defined(D3AD_CUDA_EMULATION)
      const auto waits = emulation::waits();
#endif
      const auto got = by_device(ctx, denoiser.model(), start, T_hats, chosen, schedule, options);
#if defined(D3AD_CUDA_EMULATION)
      if (round > 0) CHECK(emulation::waits() == waits);
#endif
      const auto c = test::compare(test::from_cuda<float, float>(got.view()).view(),
                                   test::from_cuda<float, float>(want.view()).view(), 0);
      CHECK_MESSAGE(c.close, c);
    }
  }
  const std::vector<int> too_many(static_cast<std::size_t>(n) + 1, 20);
  CHECK_THROWS_AS(by_host(ctx, denoiser.model(), upload(ctx, z0), too_many, schedule, kOptions[0]), Error);
}

}  // namespace cuda_denoise_test
