#pragma once
// The start of denoising (METHOD.md, section 6): the latent is scaled down as noising to T̂ would scale it, with little
// or no noise.
//
//   x = sqrt(alpha_bar(T̂)) z0 + omega sqrt(1 - alpha_bar(T̂)) noise          omega 0: noiseless scaling, 1: noising
//
//   auto x = diffusion::scaled(ctx, z0, T_hat, schedule, omega, noise);       T_hat of each image; noise as z0, or null

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "d3ad/backend/ops.hpp"
#include "d3ad/core/value.hpp"
#include "d3ad/diffusion/schedule.hpp"

namespace d3ad::diffusion {

// The factors of z0 and of the noise for each image.
struct StartFactors {
  std::vector<float> signal, noise;
};

inline StartFactors start_factors(const Schedule& schedule, const std::vector<int>& T_hat, float omega) {
  D3AD_CHECK(omega >= 0 && omega <= 1, "scaling: omega is ", omega, ", expected 0 (noiseless) to 1 (noising)");
  StartFactors factors;
  for (const int T : T_hat) {
    D3AD_CHECK(T >= 0 && T < schedule.steps(), "scaling: T_hat is ", T, ", expected 0 to ", schedule.steps() - 1);
    const float alpha_bar = schedule.alpha_bar(T);
    factors.signal.push_back(std::sqrt(alpha_bar));
    factors.noise.push_back(omega * std::sqrt(1.0f - alpha_bar));
  }
  return factors;
}

// T̂ of each image on the host, where image i's is T_hats[choice[i]]. Waits for the device.
template <class Device>
std::vector<int> chosen(const std::vector<int>& T_hats, const Value<std::int32_t, Device>& choice) {
  std::vector<std::int32_t> host(static_cast<std::size_t>(choice.shape().size()));
  copy_to_host(host.data(), View<const std::int32_t, Device>(choice.view()));
  std::vector<int> T_hat;
  for (const std::int32_t i : host) T_hat.push_back(T_hats[static_cast<std::size_t>(i)]);
  return T_hat;
}

namespace detail {

// Host numbers on the device.
template <class T, class Device>
Value<T, Device> upload(Context<Device>& ctx, const std::vector<T>& host) {
  auto out = make_value<T>(ctx, {.n = static_cast<std::int64_t>(host.size())});
  copy_from_host(out.view(), host.data());
  return out;
}

}  // namespace detail

template <class Device>
Value<Weight<Device>, Device> scaled(Context<Device>& ctx, const Value<Weight<Device>, Device>& z0,
                                     const std::vector<int>& T_hat, const Schedule& schedule, float omega,
                                     In<Weight<Device>, Device> noise) {
  D3AD_CHECK(static_cast<std::int64_t>(T_hat.size()) == z0.shape().n, "scaling: ", T_hat.size(), " T_hat for ",
             z0.shape().n, " images");
  D3AD_CHECK(omega == 0 || noise.data, "scaling: omega is ", omega, " and there is no noise");
  const auto factors = start_factors(schedule, T_hat, omega);
  const auto a = detail::upload(ctx, factors.signal), b = detail::upload(ctx, factors.noise);
  auto out = make_value<Weight<Device>>(ctx, z0.shape());
  ops::scale_start(ctx, out.view(), z0.view(), omega == 0 ? View<const Weight<Device>, Device>() : noise, a.view(),
                   b.view());
  return out;
}

}  // namespace d3ad::diffusion
