#pragma once
// Anomaly maps (METHOD.md, section 7): where an image differs from its reconstruction, in the latent and in the
// features.
//
//   auto latent = anomaly::latent_map(ctx, repaired_z, z0, size);                       // [n, size, size, 1]
//   auto feature = anomaly::feature_map(ctx, seen, expected, size);                     // layer by layer
//   anomaly::Ranges ranges = anomaly::ranges_of(raw);                                   // of all maps of a set
//   auto map = anomaly::combine(ctx, latent, feature, ranges, /*lambda=*/0.85f, /*sigma=*/4);
//   std::vector<float> score = anomaly::scores(ctx, map);                               // anomaly/score.hpp
//
// Both maps are scaled by a range before they are mixed. It comes from a whole test set (the paper's protocol), or from
// nominal images (anomaly/calibration.hpp), which is how a single image can be scored. Other methods have other raw
// maps, one or several (methods/method.hpp); ranges are in the order of a method's maps, D3AD's are {latent, feature}.

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

using Ranges = std::vector<Range>;  // of a method's raw maps, in their order

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
  D3AD_CHECK(ranges.size() == 2, "anomaly map: ", ranges.size(),
             " ranges, expected those of the latent and the feature map");
  for (const Range& r : ranges)
    D3AD_CHECK(std::isfinite(r.lo) && std::isfinite(r.hi), "anomaly map: a range of ", r.lo, " to ", r.hi,
               " is not made of finite numbers");
  auto out = make_value<float>(ctx, latent.shape());
  ops::mix_maps(ctx, out.view(), latent.view(), feature.view(), ranges[0], ranges[1], lambda);
  ops::gaussian_blur(ctx, out.view(), out.view(), sigma, blur_radius(sigma));
  return out;
}

// ---- the maps of many images ----

// The raw maps of one image, on the host.
struct RawMaps {
  std::int64_t h = 0, w = 0;
  std::vector<std::vector<float>> maps;  // each [h x w]
  float score = 0;                       // of a method that scores images itself
};

// On their way between processes.
inline void put(parallel::Packet& packet, const RawMaps& raw) {
  packet.put(raw.h), packet.put(raw.w), packet.put(raw.score), packet.put(static_cast<std::uint64_t>(raw.maps.size()));
  for (const auto& map : raw.maps) packet.put(map);
}
inline RawMaps get_raw_maps(parallel::PacketReader& reader) {
  RawMaps raw;
  std::uint64_t count = 0;
  reader.get(raw.h), reader.get(raw.w), reader.get(raw.score), reader.get(count);
  for (std::uint64_t i = 0; i < count; ++i) reader.get(raw.maps.emplace_back());
  return raw;
}

// Of each image of a batch. maps: each [n, h, w, 1].
template <class Device>
std::vector<RawMaps> to_host(const std::vector<Value<float, Device>>& maps) {
  D3AD_CHECK(!maps.empty(), "maps: there are none");
  const Shape s = maps.front().shape();
  std::vector<RawMaps> all(static_cast<std::size_t>(s.n), RawMaps{.h = s.h, .w = s.w, .maps = {}});
  for (const auto& map : maps) {
    D3AD_CHECK(map.shape() == s, "maps: ", s, " and ", map.shape(), " are not of one shape");
    for (std::int64_t i = 0; i < s.n; ++i) {
      auto& host = all[static_cast<std::size_t>(i)].maps.emplace_back(static_cast<std::size_t>(s.h * s.w * s.c));
      copy_to_host(host.data(), View<const float, Device>(map.view().images(i, 1)));
    }
  }
  return all;
}

// And back, each [1, h, w, 1].
template <class Device>
std::vector<Value<float, Device>> to_device(Context<Device>& ctx, const RawMaps& raw) {
  const Shape shape{1, raw.h, raw.w, 1};
  std::vector<Value<float, Device>> out;
  for (const auto& host : raw.maps) {
    D3AD_CHECK(static_cast<std::int64_t>(host.size()) == shape.size(), "anomaly map: ", host.size(),
               " numbers are not a map of ", raw.h, " x ", raw.w);
    copy_from_host(out.emplace_back(make_value<float>(ctx, shape)).view(), host.data());
  }
  return out;
}

// combine() of latent and feature map on the host; [1, h, w, 1].
template <class Device>
Value<float, Device> combine(Context<Device>& ctx, const RawMaps& raw, const Ranges& ranges, float lambda,
                             float sigma) {
  D3AD_CHECK(raw.maps.size() == 2, "anomaly map: ", raw.maps.size(), " raw maps, expected a latent and a feature map");
  const auto maps = to_device(ctx, raw);
  return combine(ctx, maps[0], maps[1], ranges, lambda, sigma);
}

// Widens `range` to all values of `map`; Error, which says the image's number, if one is not finite.
inline void widen(Range& range, const std::vector<float>& map, std::size_t image) {
  for (const float v : map) {
    D3AD_CHECK(std::isfinite(v), "anomaly maps: the map of image ", image + 1, " holds ", v,
               "; are a network's weights damaged?");
    range.lo = std::min(range.lo, v), range.hi = std::max(range.hi, v);
  }
}

// Smallest and largest value of each raw map over all images; Error if one is not finite.
inline Ranges ranges_of(const std::vector<RawMaps>& all) {
  D3AD_CHECK(!all.empty(), "anomaly maps: there are none to take the range of");
  Ranges ranges(all.front().maps.size(), Range{INFINITY, -INFINITY});
  D3AD_CHECK(!ranges.empty(), "anomaly maps: they are empty");
  for (std::size_t i = 0; i < all.size(); ++i) {
    D3AD_CHECK(all[i].maps.size() == ranges.size(), "anomaly maps: image ", i + 1, " has ", all[i].maps.size(),
               " raw maps, the first one ", ranges.size());
    for (std::size_t k = 0; k < ranges.size(); ++k) widen(ranges[k], all[i].maps[k], i);
  }
  for (const Range& r : ranges) D3AD_CHECK(r.lo <= r.hi, "anomaly maps: they are empty");
  return ranges;
}

}  // namespace d3ad::anomaly
