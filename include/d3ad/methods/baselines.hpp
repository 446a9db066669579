#pragma once
// What the method has to beat: two detectors without diffusion, judged by the same metrics.
//
//   MeanImage mean(size);  mean.add(input) ...            of the good images
//   auto map = mean_image_map(ctx, mean, inputs, sigma);  // [n, size, size, 1]: |x - mean|, averaged over the colours
//   auto map = vae_only_map(ctx, method, x);              // features of x against those of decode(encode(x))
//
// Both maps are blurred as the anomaly map is; an image's score is its map's maximum.

#include <cstdint>
#include <utility>
#include <vector>

#include "d3ad/anomaly/map.hpp"
#include "d3ad/methods/d3ad/method.hpp"

namespace d3ad {

// The mean of images [size x size x 3].
class MeanImage {
 public:
  explicit MeanImage(int size)
      : size_(size), sum_(static_cast<std::size_t>(size) * static_cast<std::size_t>(size) * 3) {}

  void add(const std::vector<float>& input) {
    D3AD_CHECK(input.size() == sum_.size(), "mean image: an input of ", input.size(), " numbers, expected ",
               sum_.size());
    for (std::size_t i = 0; i < sum_.size(); ++i) sum_[i] += double{input[i]};
    ++count_;
  }
  std::vector<float> value() const {
    D3AD_CHECK(count_ > 0, "mean image: there are no good images");
    std::vector<float> mean;
    for (const double s : sum_) mean.push_back(static_cast<float>(s / count_));
    return mean;
  }
  int size() const { return size_; }

 private:
  int size_, count_ = 0;
  std::vector<double> sum_;
};

// x [n, size, size, 3] -> [n, size, size, 1]
template <class Device>
Value<float, Device> mean_image_map(Context<Device>& ctx, const MeanImage& mean, const Value<float, Device>& x,
                                    float sigma) {
  const Shape s = x.shape();
  const auto value = mean.value();
  auto repeated = make_value<float>(ctx, s);
  for (std::int64_t i = 0; i < s.n; ++i) copy_from_host(repeated.view().images(i, 1), value.data());
  auto out = make_value<float>(ctx, {s.n, s.h, s.w, 1});
  ops::channel_l1(ctx, out.view(), x.view(), repeated.view());
  ops::gaussian_blur(ctx, out.view(), out.view(), sigma, anomaly::blur_radius(sigma));
  return out;
}

// x [n, size, size, 3] -> [n, size, size, 1]
template <class Device>
Value<float, Device> vae_only_map(Context<Device>& ctx, const Method<Device>& method, const Value<float, Device>& x) {
  const auto repaired = method.decode(ctx, method.encode(ctx, x));
  auto out = method.feature_difference(ctx, x, repaired);
  const auto sigma = static_cast<float>(method.settings.map.sigma);
  ops::gaussian_blur(ctx, out.view(), out.view(), sigma, anomaly::blur_radius(sigma));
  return out;
}

}  // namespace d3ad
