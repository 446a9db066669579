// CUDA variant of ops/blur.hpp.

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/ops/blur.hpp"
#include "kernels/blur.cuh"
#include "kernels/elementwise.cuh"

namespace d3ad::ops {

namespace {

constexpr int kBlurThreads = 256;
constexpr std::int64_t kSharedFloats = 48 * 1024 / 4;

struct BlurKey {
  std::uint32_t sigma;  // its bits
  std::int32_t radius;
  bool operator==(const BlurKey&) const = default;
};

// The 2 radius + 1 weights of the blur on the device, made once.
template <class T>
const float* blur_weights(Context<CudaOf<T>>& ctx, float sigma, int radius) {
  using Weights = Tensor<float, CudaOf<T>>;
  const auto make = [&] {
    const auto weight = [&](int d) { return radius ? std::exp(-0.5 * d * d / (double{sigma} * double{sigma})) : 1.0; };
    double sum = 0;
    for (int d = -radius; d <= radius; ++d) sum += weight(d);
    std::vector<float> host;
    for (int d = -radius; d <= radius; ++d) host.push_back(static_cast<float>(weight(d) / sum));
    Weights weights({.c = 2 * radius + 1});
    copy_from_host(weights.view(), host.data());
    return weights;
  };
  const BlurKey key{std::bit_cast<std::uint32_t>(sigma), radius};
  return ctx.template kept<KeyedCache<Weights, BlurKey>>().get(key, make).data();
}

// out = x blurred along one axis; out is not x.
void blur_axis(cudaStream_t stream, float* out, const float* x, const float* weights, kernels::Axis axis, int radius) {
  using namespace kernels;
  const char* const name = "gaussian_blur";
  const std::int64_t taps = 2 * std::int64_t{radius} + 1;
  const std::int64_t along = taps + kAlongRows * (kAlongTile + taps - 1) * axis.inner;
  const std::int64_t across = taps + (kAcrossTile + taps - 1) * 32;
  if (axis.inner < 32 && along <= kSharedFloats) {
    const std::int64_t blocks =
        (axis.outer + kAlongRows - 1) / kAlongRows * ((axis.length + kAlongTile - 1) / kAlongTile);
    launch(name, stream, blur_along_kernel, static_cast<unsigned>(blocks), kAlongTile,
           static_cast<std::size_t>(along) * sizeof(float), out, x, weights, axis, radius);
  } else if (axis.inner >= 32 && across <= kSharedFloats) {
    const std::int64_t blocks = axis.outer * ((axis.length + kAcrossTile - 1) / kAcrossTile) * ((axis.inner + 31) / 32);
    launch(name, stream, blur_across_kernel, static_cast<unsigned>(blocks), dim3(32, kAcrossThreads),
           static_cast<std::size_t>(across) * sizeof(float), out, x, weights, axis, radius);
  } else {
    launch(name, stream, blur_plain_kernel, blocks_for(axis.size(), kBlurThreads), kBlurThreads, 0, out, x, weights,
           axis, radius);
  }
}

// How many blocks read an image of `count` elements, so that some hundreds read all of them.
std::int64_t slices_of(std::int64_t images, std::int64_t count) {
  constexpr std::int64_t kBlocks = 528, kLeast = 4096;  // four on each of 132 multiprocessors; elements of a slice
  return std::clamp<std::int64_t>(std::min(kBlocks / images, count / kLeast), 1, kBlocks);
}

}  // namespace

template <class Device>
void mix_maps(Context<Device>& ctx, View<Weight<Device>, Device> out, In<Weight<Device>, Device> x,
              In<Weight<Device>, Device> y, MapRange x_range, MapRange y_range, float lambda) {
  check_mix_maps(out.shape, x.shape, y.shape);
  const auto factor = [](MapRange r, float weight) { return r.hi > r.lo ? weight / (r.hi - r.lo) : 0.0f; };
  const kernels::MixMaps mix{factor(x_range, lambda), x_range.lo, factor(y_range, 1.0f - lambda), y_range.lo};
  const bool packs = kernels::packed<float>({out.data, x.data, y.data}, 0);
  kernels::launch("mix_maps", ctx.stream(), kernels::map_elements<float, kernels::MixMaps, float, float>,
                  kernels::blocks_for(packs ? (x.size() + 3) / 4 : x.size(), kBlurThreads), kBlurThreads, 0, out.data,
                  x.size(), packs, mix, x.data, y.data);
}

template <class Device>
void gaussian_blur(Context<Device>& ctx, View<Weight<Device>, Device> out, In<Weight<Device>, Device> x, float sigma,
                   int radius) {
  check_gaussian_blur(out.shape, x.shape, sigma, radius);
  const Shape s = x.shape;
  if (s.size() == 0) return;
  if (!(sigma > 0)) radius = 0;
  const float* const weights = blur_weights(ctx, sigma, radius);
  const auto between = make_value<float>(ctx, s);
  blur_axis(ctx.stream(), between.view().data, x.data, weights, {s.n * s.h, s.w, s.c}, radius);
  blur_axis(ctx.stream(), out.data, between.view().data, weights, {s.n, s.h, s.w * s.c}, radius);
}

template <class Device>
void min_max(Context<Device>& ctx, In<Weight<Device>, Device> x, float& lo, float& hi) {
  check_min_max(x.shape);
  const std::int64_t count = x.size(), slices = slices_of(1, count);
  const bool packs = kernels::packed<float>({x.data}, count);
  const auto scratch = make_value<float>(ctx, {.c = 2 * slices + 2});
  float* const found = scratch.view().data;  // smallest and largest of all; smallest of each slice; largest
  kernels::launch("min_max", ctx.stream(), kernels::extremes_kernel, static_cast<unsigned>(slices), kBlurThreads, 0,
                  found + 2, found + 2 + slices, x.data, count, slices, packs);
  kernels::launch("min_max", ctx.stream(), kernels::extremes_kernel, 1, kBlurThreads, 0, found, found + 1, found + 2,
                  2 * slices, 1, false);
  float both[2];
  copy_to_host<float, Device>(both, View<const float, Device>(found, {.c = 2}));
  lo = both[0], hi = both[1];
}

template <class Device>
void max_per_image(Context<Device>& ctx, View<Weight<Device>, Device> out, In<Weight<Device>, Device> x) {
  check_max_per_image(out.shape, x.shape);
  const std::int64_t images = x.shape.n;
  if (images == 0) return;
  const std::int64_t count = x.size() / images, slices = slices_of(images, count);
  const bool packs = kernels::packed<float>({x.data}, count);
  Value<float, Device> scratch;
  if (slices > 1) scratch = make_value<float>(ctx, {.n = images, .c = slices});
  float* const found = slices > 1 ? scratch.view().data : out.data;
  kernels::launch("max_per_image", ctx.stream(), kernels::extremes_kernel, static_cast<unsigned>(images * slices),
                  kBlurThreads, 0, nullptr, found, x.data, count, slices, packs);
  if (slices > 1)
    kernels::launch("max_per_image", ctx.stream(), kernels::extremes_kernel, static_cast<unsigned>(images),
                    kBlurThreads, 0, nullptr, out.data, found, slices, 1, false);
}

#define INSTANTIATE(T)                                                                                            \
  template void mix_maps(Context<CudaOf<T>>&, View<float, CudaOf<T>>, In<float, CudaOf<T>>, In<float, CudaOf<T>>, \
                         MapRange, MapRange, float);                                                              \
  template void gaussian_blur(Context<CudaOf<T>>&, View<float, CudaOf<T>>, In<float, CudaOf<T>>, float, int);     \
  template void min_max(Context<CudaOf<T>>&, In<float, CudaOf<T>>, float&, float&);                               \
  template void max_per_image(Context<CudaOf<T>>&, View<float, CudaOf<T>>, In<float, CudaOf<T>>);
D3AD_FOR_ACTIVATIONS(INSTANTIATE)
#undef INSTANTIATE

}  // namespace d3ad::ops
