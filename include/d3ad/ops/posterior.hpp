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

void posterior(Context<Cpu>&, View<float, Cpu> z, In<float, Cpu> moments, In<float, Cpu> noise);
void posterior_backward(Context<Cpu>&, View<float, Cpu> dmoments, In<float, Cpu> dz, In<float, Cpu> moments,
                        In<float, Cpu> noise);

template <class T>
void posterior(Context<CudaOf<T>>&, View<T, CudaOf<T>> z, In<T, CudaOf<T>> moments, In<T, CudaOf<T>> noise);
template <class T>
void posterior_backward(Context<CudaOf<T>>&, View<T, CudaOf<T>> dmoments, In<T, CudaOf<T>> dz, In<T, CudaOf<T>> moments,
                        In<T, CudaOf<T>> noise);

inline void check_posterior(Shape z, Shape moments, Shape noise, bool has_noise) {
  Shape twice = z;
  twice.c *= 2;
  D3AD_CHECK(moments == twice, "posterior: moments ", moments, " for z ", z, ", expected twice its channels");
  D3AD_CHECK(!has_noise || noise == z, "posterior: noise ", noise, " is not the shape of z ", z);
}

}  // namespace d3ad::ops
