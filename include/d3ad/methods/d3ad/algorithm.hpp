#pragma once
// D3AD on one screen: how an image becomes two maps of what is wrong with it.
//
//   D3adAlgorithm<Cpu> d3ad{vae, unet, extractor, schedule, settings};
//   ConditioningOn<Cpu> good = ImplicitConditioning::fit(...);  // of the good images' d3ad.conditioning_features
//   auto seen = d3ad.analyse(ctx, x, good);                     // x [n, size, size, 3] in [-1, 1]
//   auto map = d3ad.anomaly_map(ctx, seen, ranges);             // [n, size, size, 1]
//
// Training, calibration, detection and evaluation all go through these functions (methods/d3ad/method.hpp), so that the
// library, the command line and the report give the same numbers.

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "d3ad/anomaly/map.hpp"
#include "d3ad/autograd/convert.hpp"
#include "d3ad/diffusion/denoise_loop.hpp"
#include "d3ad/diffusion/implicit_conditioning.hpp"
#include "d3ad/diffusion/schedule.hpp"
#include "d3ad/model/settings.hpp"
#include "d3ad/models/autoencoder.hpp"
#include "d3ad/models/resnet.hpp"
#include "d3ad/models/unet.hpp"

namespace d3ad {

template <class Device>
struct D3adAlgorithm {
  using V = Value<float, Device>;

  const Autoencoder<Device>& vae;
  const UNet<Device>& unet;
  const ResNet<Device>& extractor;
  const Schedule& schedule;
  const Settings& settings;
  DenoiseLoop<Device>* loop = nullptr;  // kept between calls, where the networks are frozen

  struct Analysis {
    ConditioningSeen<Device> conditioning;  // distance, bin and T̂ of each image
    V z0, repaired_z;                       // latents [n, h, w, c]: as it is, as it would be if good
    V repaired;                             // [n, size, size, 3] in about [-1, 1]
    V latent_map, feature_map;              // [n, size, size, 1], raw
  };

  // x [n, size, size, 3] in [-1, 1]. first: the images' number, which their random draws depend on (with omega, eta or
  // a sampled posterior).
  Analysis analyse(Context<Device>& ctx, V x, const ConditioningOn<Device>& good, std::uint64_t first = 0) const {
    Analysis a;
    const auto seen = features(ctx, x);
    a.conditioning = good.query(ctx, pooled(ctx, seen));
    if (!settings.conditioning.dynamic)
      for (int& T_hat : a.conditioning.T_hats) T_hat = settings.conditioning.T_max;

    a.z0 = encode(ctx, x, first);
    a.repaired_z = reconstruct(ctx, a.z0, a.conditioning, first);
    a.repaired = decode(ctx, a.repaired_z);
    const auto expected = features(ctx, a.repaired);

    a.latent_map = anomaly::latent_map(ctx, a.repaired_z, a.z0, size());
    a.feature_map = anomaly::feature_map(ctx, layers(seen), layers(expected), size());
    return a;
  }

  // The VAE's part: the scaled latent of x.
  V encode(Context<Device>& ctx, V x, std::uint64_t first = 0) const {
    V noise;
    if (settings.denoising.sample_posterior) {
      const Shape s = x.shape();
      const Shape latent{s.n, s.h / vae.reduction(), s.w / vae.reduction(), vae.latent_channels()};
      noise = make_value<float>(ctx, latent);
      ops::normal(ctx, noise.view(), Rng(settings.seed, Rng::stream("posterior")),
                  first * static_cast<std::uint64_t>(latent.size() / latent.n));
    }
    return fn::to_weight(ctx, vae.encode(ctx, fn::to_real(ctx, std::move(x)), fn::to_real(ctx, std::move(noise))));
  }
  // And back, [n, size, size, 3] in about [-1, 1].
  V decode(Context<Device>& ctx, V z) const {
    return fn::to_weight(ctx, vae.decode(ctx, fn::to_real(ctx, std::move(z))));
  }

  // Scales and denoises (METHOD.md, section 6). drop_direction: the first step without its direction term (section 4).
  V reconstruct(Context<Device>& ctx, const V& z0, const std::vector<int>& T_hat, std::uint64_t first = 0,
                bool drop_direction = false) const {
    const auto options = denoise_options(first, drop_direction);
    return loop ? (*loop)(ctx, model(), z0, T_hat, schedule, options)
                : diffusion::reconstruct(ctx, model(), z0, T_hat, schedule, options);
  }
  V reconstruct(Context<Device>& ctx, const V& z0, const ConditioningSeen<Device>& seen, std::uint64_t first) const {
    const auto options = denoise_options(first, false);
    return loop ? (*loop)(ctx, model(), z0, seen.T_hats, seen.bin, schedule, options)
                : diffusion::reconstruct(ctx, model(), z0, diffusion::chosen(seen.T_hats, seen.bin), schedule, options);
  }

  diffusion::DenoiseOptions denoise_options(std::uint64_t first, bool drop_direction = false) const {
    return {.eta2 = static_cast<float>(settings.denoising.eta2),
            .eta = static_cast<float>(settings.denoising.eta),
            .omega = static_cast<float>(settings.denoising.omega),
            .steps = settings.denoising.steps,
            .seed = settings.seed,
            .first_image = first,
            .drop_first_direction = drop_direction};
  }

  // Bin and T̂ of images at these distances from the good ones, as analyse() chooses them.
  std::vector<Conditioning> chosen(const ImplicitConditioning& good, const std::vector<float>& distances) const {
    auto all = good.at(distances);
    if (!settings.conditioning.dynamic)
      for (auto& c : all) c.T_hat = settings.conditioning.T_max;
    return all;
  }
  // Those of an analysis, on the host. Waits for the device.
  std::vector<Conditioning> chosen(const ImplicitConditioning& good, const Analysis& a) const {
    const auto& distance = a.conditioning.distance;
    std::vector<float> host(static_cast<std::size_t>(distance.shape().n));
    copy_to_host(host.data(), View<const float, Device>(distance.view()));
    return chosen(good, host);
  }

  // What implicit conditioning compares: the features of one layer, pooled to 16 x 16.
  std::vector<std::vector<float>> conditioning_features(Context<Device>& ctx, V x) const {
    return to_rows(pooled(ctx, features(ctx, std::move(x))));
  }

  // Where two images differ in the chosen layers' features, [n, size, size, 1].
  V feature_difference(Context<Device>& ctx, const V& x, const V& y) const {
    return anomaly::feature_map(ctx, layers(features(ctx, x)), layers(features(ctx, y)), size());
  }

  // The blurred mixture of both maps, each scaled by its range.
  V anomaly_map(Context<Device>& ctx, const Analysis& a, const anomaly::Ranges& ranges) const {
    return anomaly::combine(ctx, a.latent_map, a.feature_map, ranges, static_cast<float>(settings.map.lambda),
                            static_cast<float>(settings.map.sigma));
  }

  std::int64_t size() const { return settings.data.image_size; }

 private:
  using Features = typename ResNet<Device>::template Features<Context<Device>>;

  Features features(Context<Device>& ctx, V x) const {
    return extractor.features(ctx, imagenet_input(ctx, fn::to_real(ctx, std::move(x))));
  }
  auto model() const {
    return [this](Context<Device>& c, V x, View<const std::int32_t, Device> t) {
      return unet(c, fn::to_real(c, std::move(x)), t);
    };
  }
  V pooled(Context<Device>& ctx, const Features& features) const {
    const auto& f = features[static_cast<std::size_t>(settings.conditioning.layer - 1)];
    auto out = make_value<Real<Device>>(ctx, {f.shape().n, 16, 16, f.shape().c});
    ops::adaptive_avg_pool(ctx, out.view(), f.view());
    return fn::to_weight(ctx, std::move(out));
  }
  static std::vector<std::vector<float>> to_rows(const V& f) {
    std::vector<std::vector<float>> rows;
    for (std::int64_t i = 0; i < f.shape().n; ++i) {
      const View<const float, Device> image = f.view().images(i, 1);
      rows.emplace_back(static_cast<std::size_t>(image.size()));
      copy_to_host(rows.back().data(), image);
    }
    return rows;
  }
  std::vector<fn::ValueOf<Context<Device>>> layers(const Features& features) const {
    std::vector<fn::ValueOf<Context<Device>>> chosen;
    for (const int layer : settings.map.layers) chosen.push_back(features[static_cast<std::size_t>(layer - 1)]);
    return chosen;
  }
};

}  // namespace d3ad
