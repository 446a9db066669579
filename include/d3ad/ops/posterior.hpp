#pragma once
// posterior: a draw from a VAE's diagonal Gaussian (the reparametrisation), and its gradient.
//
//   moments [n, h, w, 2c]: mean, then log-variance, which is clamped to [-30, 20]
//   z = mean + exp(logvar / 2) * noise         z, noise [n, h, w, c]; z may be noise
//   dmean = dz,  dlogvar = dz * noise * exp(logvar / 2) / 2, 0 where clamped
//
// noise.data may be null: z is then the mean (and dlogvar 0).

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::ops {

template <class Device>
void posterior(Context<Device>&, View<Real<Device>, Device> z, In<Real<Device>, Device> moments,
               In<Real<Device>, Device> noise);
template <class Device>
void posterior_backward(Context<Device>&, View<Real<Device>, Device> dmoments, In<Real<Device>, Device> dz,
                        In<Real<Device>, Device> moments, In<Real<Device>, Device> noise);

inline void check_posterior(Shape z, Shape moments, Shape noise, bool has_noise) {
  Shape twice = z;
  twice.c *= 2;
  D3AD_CHECK(moments == twice, "posterior: moments ", moments, " for z ", z, ", expected twice its channels");
  D3AD_CHECK(!has_noise || noise == z, "posterior: noise ", noise, " is not the shape of z ", z);
}

}  // namespace d3ad::ops
