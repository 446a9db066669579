#pragma once
// Definitions of methods/d3ad/algorithm.hpp: D3AD's steps, in their order in analyse(). Included by it unless they are
// compiled.

#include "d3ad/methods/d3ad/algorithm.hpp"

namespace d3ad {

template <class Device>
typename D3adAlgorithm<Device>::Analysis D3adAlgorithm<Device>::analyse(Context<Device>& ctx, V x,
                                                                        const ConditioningOn<Device>& good,
                                                                        std::uint64_t first) const {
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

template <class Device>
Value<float, Device> D3adAlgorithm<Device>::encode(Context<Device>& ctx, V x, std::uint64_t first) const {
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

template <class Device>
Value<float, Device> D3adAlgorithm<Device>::decode(Context<Device>& ctx, V z) const {
  return fn::to_weight(ctx, vae.decode(ctx, fn::to_real(ctx, std::move(z))));
}

template <class Device>
Value<float, Device> D3adAlgorithm<Device>::reconstruct(Context<Device>& ctx, const V& z0,
                                                        const std::vector<int>& T_hat, std::uint64_t first,
                                                        bool drop_direction) const {
  const auto options = denoise_options(first, drop_direction);
  return loop ? (*loop)(ctx, model(), z0, T_hat, schedule, options)
              : diffusion::reconstruct(ctx, model(), z0, T_hat, schedule, options);
}

template <class Device>
Value<float, Device> D3adAlgorithm<Device>::reconstruct(Context<Device>& ctx, const V& z0,
                                                        const ConditioningSeen<Device>& seen,
                                                        std::uint64_t first) const {
  const auto options = denoise_options(first, false);
  return loop ? (*loop)(ctx, model(), z0, seen.T_hats, seen.bin, schedule, options)
              : diffusion::reconstruct(ctx, model(), z0, diffusion::chosen(seen.T_hats, seen.bin), schedule, options);
}

template <class Device>
diffusion::DenoiseOptions D3adAlgorithm<Device>::denoise_options(std::uint64_t first, bool drop_direction) const {
  return {.eta2 = static_cast<float>(settings.denoising.eta2),
          .eta = static_cast<float>(settings.denoising.eta),
          .omega = static_cast<float>(settings.denoising.omega),
          .steps = settings.denoising.steps,
          .seed = settings.seed,
          .first_image = first,
          .drop_first_direction = drop_direction};
}

template <class Device>
std::vector<Conditioning> D3adAlgorithm<Device>::chosen(const ImplicitConditioning& good,
                                                        const std::vector<float>& distances) const {
  auto all = good.at(distances);
  if (!settings.conditioning.dynamic)
    for (auto& c : all) c.T_hat = settings.conditioning.T_max;
  return all;
}

template <class Device>
std::vector<Conditioning> D3adAlgorithm<Device>::chosen(const ImplicitConditioning& good, const Analysis& a) const {
  const auto& distance = a.conditioning.distance;
  std::vector<float> host(static_cast<std::size_t>(distance.shape().n));
  copy_to_host(host.data(), View<const float, Device>(distance.view()));
  return chosen(good, host);
}

template <class Device>
std::vector<std::vector<float>> D3adAlgorithm<Device>::conditioning_features(Context<Device>& ctx, V x) const {
  return to_rows(pooled(ctx, features(ctx, std::move(x))));
}

template <class Device>
Value<float, Device> D3adAlgorithm<Device>::feature_difference(Context<Device>& ctx, const V& x, const V& y) const {
  return anomaly::feature_map(ctx, layers(features(ctx, x)), layers(features(ctx, y)), size());
}

template <class Device>
Value<float, Device> D3adAlgorithm<Device>::anomaly_map(Context<Device>& ctx, const Analysis& a,
                                                        const anomaly::Ranges& ranges) const {
  return anomaly::combine(ctx, a.latent_map, a.feature_map, ranges, static_cast<float>(settings.map.lambda),
                          static_cast<float>(settings.map.sigma));
}

template <class Device>
typename D3adAlgorithm<Device>::Features D3adAlgorithm<Device>::features(Context<Device>& ctx, V x) const {
  return extractor.features(ctx, imagenet_input(ctx, fn::to_real(ctx, std::move(x))));
}

template <class Device>
Value<float, Device> D3adAlgorithm<Device>::pooled(Context<Device>& ctx, const Features& features) const {
  const auto& f = features[static_cast<std::size_t>(settings.conditioning.layer - 1)];
  auto out = make_value<Real<Device>>(ctx, {f.shape().n, 16, 16, f.shape().c});
  ops::adaptive_avg_pool(ctx, out.view(), f.view());
  return fn::to_weight(ctx, std::move(out));
}

template <class Device>
std::vector<std::vector<float>> D3adAlgorithm<Device>::to_rows(const V& f) {
  std::vector<std::vector<float>> rows;
  for (std::int64_t i = 0; i < f.shape().n; ++i) {
    const View<const float, Device> image = f.view().images(i, 1);
    rows.emplace_back(static_cast<std::size_t>(image.size()));
    copy_to_host(rows.back().data(), image);
  }
  return rows;
}

template <class Device>
std::vector<fn::ValueOf<Context<Device>>> D3adAlgorithm<Device>::layers(const Features& features) const {
  std::vector<fn::ValueOf<Context<Device>>> chosen;
  for (const int layer : settings.map.layers) chosen.push_back(features[static_cast<std::size_t>(layer - 1)]);
  return chosen;
}

}  // namespace d3ad
