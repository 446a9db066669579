#pragma once
// The autoencoder: AutoencoderKL with few channels, trained on scenes of the zoo.
//
//   train_vae(ctx, {.out = "first.safetensors", .steps = 8000, .batch = 16, .size = 32});
//   train_vae(ctx, {.out = "vae.safetensors", .start = "first.safetensors", .steps = 1500});
//   double decibels = psnr(ctx, *vae, Zoo(/*held_out=*/true), seed, 256, 64);
//
// The loss is the mean absolute error, plus a little of the posterior's divergence from the standard normal, which
// keeps the latents of a kind that diffusion can learn, plus, where there is an extractor, the distance between its
// features of the image and of the reconstruction: what is lost to it is lost to the anomaly map.

#include "scene.hpp"
#include "training.hpp"

namespace pretrain {

struct VaeOptions {
  fs::path out, start, extractor;  // start: weights to begin with; it and the extractor may be empty
  std::int64_t steps = 1500;
  int batch = 8, size = 128;
  float lr = 5e-4f;
  std::vector<int> channels{16, 32, 64, 128};
  int layers = 1, groups = 8;
  float kl = 1e-7f, features = 0.1f;
  std::uint64_t seed = 1;
};

// The mean image error in decibels over `count` scenes, by the posterior's mean.
inline double psnr(d3ad::Context<Cpu>& ctx, const d3ad::Autoencoder<Cpu>& vae, const Zoo& zoo, std::uint64_t seed,
                   int size, int count) {
  double sum = 0;
  for (int i = 0; i < count; ++i) {
    auto x = make_batch(ctx, 1, size, [&](int) {
      Dice dice(seed, "pretrain.psnr", static_cast<std::uint64_t>(i));
      return zoo.scene(dice, size);
    });
    const auto y = vae.decode(ctx, vae.encode(ctx, x));
    double squares = 0;
    const auto values = x.shape().size();
    for (std::int64_t j = 0; j < values; ++j) {
      const double e = double{std::clamp(y.view().data[j], -1.0f, 1.0f)} - double{x.view().data[j]};
      squares += e * e;
    }
    sum += 10 * std::log10(4.0 * static_cast<double>(values) / std::max(squares, 1e-9));
  }
  return sum / count;
}

inline void train_vae(d3ad::Context<Cpu>& ctx, const VaeOptions& o) {
  const Zoo zoo(false);
  d3ad::Loaded<d3ad::ResNet<Cpu>, Cpu> extractor;
  if (!o.extractor.empty()) {
    extractor = d3ad::load_extractor<Cpu>(o.extractor);
    extractor.store->freeze();
  }
  d3ad::ParameterStore<Cpu> store;
  d3ad::InitSource source(o.seed);
  d3ad::VaeConfig config{.block_out_channels = o.channels, .layers_per_block = o.layers, .norm_groups = o.groups};
  const d3ad::Vae<Cpu> vae(d3ad::Params<Cpu>(store, source), config);
  // The posterior begins narrow: at deviation 1 a channel that carries little yet would only be noise, and the
  // divergence would keep it so.
  float* const logvar = store.find("quant_conv.bias")->edit().data + config.latent_channels;
  std::fill_n(logvar, config.latent_channels, -6.0f);
  if (!o.start.empty()) {
    d3ad::FileSource file(o.start.string());
    d3ad::load_into(store, file);
  }
  std::printf("vae: %lld numbers\n", static_cast<long long>(store.values()));

  Loop loop(ctx, store,
            {.label = "vae",
             .steps = o.steps,
             .batch = o.batch,
             .lr = o.lr,
             .checkpoint = o.out.string() + ".checkpoint",
             .key = d3ad::concat("vae ", o.steps, ' ', o.batch, ' ', o.size, ' ', nlohmann::json(config).dump(), ' ',
                                 o.kl, ' ', o.features, ' ', o.lr, ' ', o.seed, ' ', extractor.sha256, ' ',
                                 o.start.empty() ? "" : d3ad::file_sha256(o.start))});
  loop.run([&](d3ad::Tape<Cpu>& tape, std::int64_t step) {
    namespace fn = d3ad::fn;
    const auto first = static_cast<std::uint64_t>(step * o.batch);
    auto x = make_batch(ctx, o.batch, o.size, [&](int i) {
      Dice dice(o.seed, "pretrain.vae", first + static_cast<std::uint64_t>(i));
      return zoo.scene(dice, o.size);
    });
    const auto moments = vae.encode(tape, x);
    d3ad::Shape latent = moments.shape();
    latent.c /= 2;
    auto noise = make_value<float>(ctx, latent);
    d3ad::ops::normal(ctx, noise.view(), d3ad::Rng(o.seed, d3ad::Rng::stream("pretrain.vae.posterior")),
                      static_cast<std::uint64_t>(step * latent.size()));
    const auto y = vae.decode(tape, fn::posterior(tape, moments, std::move(noise)));

    auto loss = fn::l1(tape, y, x);
    const auto halves = fn::halves(tape, moments);
    loss = fn::add(tape, std::move(loss), fn::scale(tape, fn::kl(tape, halves.first, halves.second), o.kl));
    if (!extractor.net) return loss;
    const auto wanted = extractor->features(ctx, imagenet_input(ctx, x));
    const auto got = extractor->features(tape, imagenet_input(tape, y));
    for (std::size_t layer = 0; layer < 3; ++layer)
      loss =
          fn::add(tape, std::move(loss), fn::scale(tape, fn::cosine_loss(tape, got[layer], wanted[layer]), o.features));
    return loss;
  });

  // Latents are scaled to deviation 1 over scenes.
  double sum = 0, squares = 0, count = 0;
  for (std::uint64_t i = 0; i < 128; ++i) {
    auto x = make_batch(ctx, 1, o.size, [&](int) {
      Dice dice(o.seed, "pretrain.vae.scale", i);
      return zoo.scene(dice, o.size);
    });
    const auto z = d3ad::fn::posterior(ctx, vae.encode(ctx, std::move(x)), {});
    for (std::int64_t j = 0; j < z.shape().size(); ++j) {
      const double v = double{z.view().data[j]};
      sum += v, squares += v * v, count += 1;
    }
  }
  const double mean = sum / count;
  config.scaling_factor = static_cast<float>(1 / std::sqrt(squares / count - mean * mean));
  d3ad::save_parameters(store, o.out, {{"config", nlohmann::json(config).dump()}, {"made_by", "d3ad pretrain vae"}},
                        d3ad::DType::f16);
  loop.forget();
}

}  // namespace pretrain
