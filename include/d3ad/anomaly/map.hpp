#pragma once
// Anomaly maps (METHOD.md, section 7): where an image differs from its reconstruction, in the latent and in the
// features.
//
//   auto latent = anomaly::latent_map(ctx, repaired_z, z0, size);                       // [n, size, size, 1]
//   auto feature = anomaly::feature_map(ctx, seen, expected, size);                     // layer by layer
//   anomaly::Ranges ranges = anomaly::ranges_of(pairs);                                 // of all maps of a set
//   auto map = anomaly::combine(ctx, latent, feature, ranges, /*lambda=*/0.85f, /*sigma=*/4);
//   std::vector<float> score = anomaly::scores(ctx, map);                               // anomaly/score.hpp
//
// Both maps are scaled by a range before they are mixed. It comes from a whole test set (the paper's protocol), or from
// nominal images (anomaly/calibration.hpp), which is how a single image can be scored.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "d3ad/backend/ops.hpp"
#include "d3ad/core/value.hpp"
#include "d3ad/parallel/packet.hpp"

namespace d3ad::anomaly {

using Range = ops::MapRange;

struct Ranges {
  Range latent, feature;
};

// Mean over channels of |repaired_z - z0|, enlarged. Latents [n, h, w, c] -> [n, size, size, 1]
template <class Device>
Value<float, Device> latent_map(Context<Device>& ctx, const Value<float, Device>& repaired_z,
                                const Value<float, Device>& z0, std::int64_t size) {
  const Shape s = z0.shape();
  auto small = make_value<float>(ctx, {s.n, s.h, s.w, 1});
  ops::channel_l1(ctx, small.view(), repaired_z.view(), z0.view());
  auto out = make_value<float>(ctx, {s.n, size, size, 1});
  ops::bilinear_align_corners(ctx, out.view(), small.view());
  return out;
}

// Sum over the layers of 1 - cosine over channels, each enlarged. Layers [n, h, w, c] -> [n, size, size, 1]
template <class Device>
Value<float, Device> feature_map(Context<Device>& ctx, const std::vector<Value<Real<Device>, Device>>& seen,
                                 const std::vector<Value<Real<Device>, Device>>& expected, std::int64_t size) {
  D3AD_CHECK(!seen.empty() && seen.size() == expected.size(), "feature_map: ", seen.size(), " and ", expected.size(),
             " layers, expected as many of both and at least one");
  Value<float, Device> out;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    const Shape s = seen[i].shape();
    auto small = make_value<float>(ctx, {s.n, s.h, s.w, 1});
    ops::channel_cosine(ctx, small.view(), seen[i].view(), expected[i].view());
    auto large = make_value<float>(ctx, {s.n, size, size, 1});
    ops::bilinear_align_corners(ctx, large.view(), small.view());
    if (out) {
      ops::add_scaled(ctx, out.view(), large.view(), 1.0f);
    } else {
      out = std::move(large);
    }
  }
  return out;
}

// The blur's reach: four sigma, as SciPy takes it.
inline int blur_radius(float sigma) { return static_cast<int>(4.0f * sigma + 0.5f); }

// lambda * latent + (1 - lambda) * feature, each scaled to its range, then blurred.
template <class Device>
Value<float, Device> combine(Context<Device>& ctx, const Value<float, Device>& latent,
                             const Value<float, Device>& feature, const Ranges& ranges, float lambda, float sigma) {
  D3AD_CHECK(lambda >= 0 && lambda <= 1, "anomaly map: lambda is ", lambda, ", expected 0 to 1");
  for (const Range& r : {ranges.latent, ranges.feature})
    D3AD_CHECK(std::isfinite(r.lo) && std::isfinite(r.hi), "anomaly map: a range of ", r.lo, " to ", r.hi,
               " is not made of finite numbers");
  auto out = make_value<float>(ctx, latent.shape());
  ops::mix_maps(ctx, out.view(), latent.view(), feature.view(), ranges.latent, ranges.feature, lambda);
  ops::gaussian_blur(ctx, out.view(), out.view(), sigma, blur_radius(sigma));
  return out;
}

// ---- the maps of many images ----

// Both raw maps of one image, on the host.
struct MapPair {
  std::int64_t h = 0, w = 0;
  std::vector<float> latent, feature;
};

// On their way between processes.
inline void put(parallel::Packet& packet, const MapPair& pair) {
  packet.put(pair.h), packet.put(pair.w), packet.put(pair.latent), packet.put(pair.feature);
}
inline MapPair get_map_pair(parallel::PacketReader& reader) {
  MapPair pair;
  reader.get(pair.h), reader.get(pair.w), reader.get(pair.latent), reader.get(pair.feature);
  return pair;
}

template <class Device>
std::vector<MapPair> to_host(const Value<float, Device>& latent, const Value<float, Device>& feature) {
  D3AD_CHECK(latent.shape() == feature.shape(), "maps: latent ", latent.shape(), " and feature ", feature.shape(),
             " are not of one shape");
  const Shape s = latent.shape();
  std::vector<MapPair> pairs;
  for (std::int64_t i = 0; i < s.n; ++i) {
    auto& pair = pairs.emplace_back(MapPair{s.h, s.w, {}, {}});
    for (auto [host, map] : {std::pair{&pair.latent, &latent}, std::pair{&pair.feature, &feature}}) {
      host->resize(static_cast<std::size_t>(s.h * s.w * s.c));
      copy_to_host(host->data(), View<const float, Device>(map->view().images(i, 1)));
    }
  }
  return pairs;
}

// The same for a pair on the host; [1, h, w, 1].
template <class Device>
Value<float, Device> combine(Context<Device>& ctx, const MapPair& pair, const Ranges& ranges, float lambda,
                             float sigma) {
  const Shape shape{1, pair.h, pair.w, 1};
  for (const auto* host : {&pair.latent, &pair.feature})
    D3AD_CHECK(static_cast<std::int64_t>(host->size()) == shape.size(), "anomaly map: ", host->size(),
               " numbers are not a map of ", pair.h, " x ", pair.w);
  auto latent = make_value<float>(ctx, shape), feature = make_value<float>(ctx, shape);
  copy_from_host(latent.view(), pair.latent.data());
  copy_from_host(feature.view(), pair.feature.data());
  return combine(ctx, latent, feature, ranges, lambda, sigma);
}

// Smallest and largest value of each kind over all maps; Error if one is not finite.
inline Ranges ranges_of(const std::vector<MapPair>& pairs) {
  D3AD_CHECK(!pairs.empty(), "anomaly maps: there are none to take the range of");
  const auto range = [&](std::vector<float> MapPair::*kind) {
    Range r{INFINITY, -INFINITY};
    for (std::size_t i = 0; i < pairs.size(); ++i)
      for (const float v : pairs[i].*kind) {
        D3AD_CHECK(std::isfinite(v), "anomaly maps: the map of image ", i + 1, " holds ", v,
                   "; are a network's weights damaged?");
        r.lo = std::min(r.lo, v), r.hi = std::max(r.hi, v);
      }
    D3AD_CHECK(r.lo <= r.hi, "anomaly maps: they are empty");
    return r;
  };
  return {range(&MapPair::latent), range(&MapPair::feature)};
}

}  // namespace d3ad::anomaly
