#pragma once
// Operations on anomaly maps: the weighted sum of two, smoothing, extremes.
//
// mix_maps:       out = lambda * (x - x_lo) / (x_hi - x_lo) + (1 - lambda) * (y - y_lo) / (y_hi - y_lo)
//                 A map whose range is empty (hi <= lo) counts as 0. out may be x or y.
// gaussian_blur:  separable, weights exp(-d^2 / (2 sigma^2)) for |d| <= radius, divided by their sum. Beyond the border
//                 the image is mirrored without repeating the border pixel (d c b | a b c d | c b a), as often as
//                 needed. sigma or radius 0 copies. Each channel for itself; out may be x.
// min_max:        smallest and largest element; both NaN if an element is
// max_per_image:  out {n} = largest element of each image; NaN if an element is

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::ops {

struct MapRange {
  float lo = 0, hi = 0;
};

template <class Device>
void mix_maps(Context<Device>&, View<Weight<Device>, Device> out, In<Weight<Device>, Device> x,
              In<Weight<Device>, Device> y, MapRange x_range, MapRange y_range, float lambda);
template <class Device>
void gaussian_blur(Context<Device>&, View<Weight<Device>, Device> out, In<Weight<Device>, Device> x, float sigma,
                   int radius);
template <class Device>
void min_max(Context<Device>&, In<Weight<Device>, Device> x, float& lo, float& hi);  // waits for the device
template <class Device>
void max_per_image(Context<Device>&, View<Weight<Device>, Device> out, In<Weight<Device>, Device> x);

inline void check_mix_maps(Shape out, Shape x, Shape y) {
  D3AD_CHECK(out == x && x == y, "mix_maps: out ", out, ", x ", x, " and y ", y, " are not of one shape");
}
inline void check_gaussian_blur(Shape out, Shape x, float sigma, int radius) {
  D3AD_CHECK(out == x, "gaussian_blur: out ", out, " is not the shape of x ", x);
  D3AD_CHECK(sigma >= 0 && sigma <= 1e4f, "gaussian_blur: sigma is ", sigma, ", expected 0 to 10000");
  D3AD_CHECK(radius >= 0 && radius <= 100000, "gaussian_blur: radius is ", radius, ", expected 0 to 100000");
}
inline void check_min_max(Shape x) { D3AD_CHECK(x.size() > 0, "min_max: ", x, " has no elements"); }
inline void check_max_per_image(Shape out, Shape x) {
  D3AD_CHECK(out.size() == x.n, "max_per_image: out ", out, " for ", x.n, " images");
  D3AD_CHECK(x.n == 0 || x.size() > 0, "max_per_image: images of ", x, " have no elements");
}

// The pixel that stands for position i beyond the border of n pixels.
constexpr std::int64_t mirrored(std::int64_t i, std::int64_t n) {
  if (n == 1) return 0;
  const std::int64_t period = 2 * (n - 1);
  i = i < 0 ? -i % period : i % period;
  return i < n ? i : period - i;
}

}  // namespace d3ad::ops
