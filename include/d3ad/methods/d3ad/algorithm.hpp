#pragma once
// D3AD on one screen (the steps are in algorithm-inl.hpp): how an image becomes two maps of what is wrong with it.
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
#include "d3ad/core/compiled.hpp"
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
  DenoiseLoop<Device>* loop = nullptr;  // kept between calls, if the networks are frozen

  struct Analysis {
    ConditioningSeen<Device> conditioning;  // distance, bin and T̂ of each image
    V z0, repaired_z;                       // latents [n, h, w, c]: as it is, as it would be if good
    V repaired;                             // [n, size, size, 3] in about [-1, 1]
    V latent_map, feature_map;              // [n, size, size, 1], raw
  };

  // x [n, size, size, 3] in [-1, 1]. first: the images' number, which their random draws depend on (with omega, eta or
  // a sampled posterior).
  Analysis analyse(Context<Device>& ctx, V x, const ConditioningOn<Device>& good, std::uint64_t first = 0) const;

  // The VAE's part: the scaled latent of x.
  V encode(Context<Device>& ctx, V x, std::uint64_t first = 0) const;
  // And back, [n, size, size, 3] in about [-1, 1].
  V decode(Context<Device>& ctx, V z) const;

  // Scales and denoises (METHOD.md, section 6). drop_direction: the first step without its direction term (section 4).
  V reconstruct(Context<Device>& ctx, const V& z0, const std::vector<int>& T_hat, std::uint64_t first = 0,
                bool drop_direction = false) const;
  V reconstruct(Context<Device>& ctx, const V& z0, const ConditioningSeen<Device>& seen, std::uint64_t first) const;

  diffusion::DenoiseOptions denoise_options(std::uint64_t first, bool drop_direction = false) const;

  // Bin and T̂ of images at these distances from the good ones, as analyse() chooses them.
  std::vector<Conditioning> chosen(const ImplicitConditioning& good, const std::vector<float>& distances) const;
  // Those of an analysis, on the host. Waits for the device.
  std::vector<Conditioning> chosen(const ImplicitConditioning& good, const Analysis& a) const;

  // What implicit conditioning compares: the features of one layer, pooled to 16 x 16.
  std::vector<std::vector<float>> conditioning_features(Context<Device>& ctx, V x) const;

  // Where two images differ in the chosen layers' features, [n, size, size, 1].
  V feature_difference(Context<Device>& ctx, const V& x, const V& y) const;

  // The blurred mixture of both maps, each scaled by its range.
  V anomaly_map(Context<Device>& ctx, const Analysis& a, const anomaly::Ranges& ranges) const;

  std::int64_t size() const { return settings.data.image_size; }

 private:
  using Features = typename ResNet<Device>::template Features<Context<Device>>;

  Features features(Context<Device>& ctx, V x) const;
  auto model() const {
    return [this](Context<Device>& c, V x, View<const std::int32_t, Device> t) {
      return unet(c, fn::to_real(c, std::move(x)), t);
    };
  }
  V pooled(Context<Device>& ctx, const Features& features) const;
  static std::vector<std::vector<float>> to_rows(const V& f);
  std::vector<fn::ValueOf<Context<Device>>> layers(const Features& features) const;
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/methods/d3ad/algorithm-inl.hpp"
#endif
