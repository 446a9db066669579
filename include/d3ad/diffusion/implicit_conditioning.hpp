#pragma once
// Dynamic implicit conditioning (METHOD.md, section 5): the distance of an image from the good ones chooses the noise
// level from which it is denoised.
//
//   auto good = ImplicitConditioning::fit(features, {.k = 20, .bins = 10, .T_max = 80});   // of the training images
//   for (const Conditioning& c : good.query(others)) use(c.T_hat);
//
// features: one row an image, all of one length. An image's distance is the mean of the L1 distances to its k nearest
// training images. The training images' own distances (each is its own first neighbour, at 0) make the bins.
//
// If the images' features are on a device, the answer is there too, and the host does not wait for it:
//
//   const ConditioningOn<Cuda> there = good;                      takes the training images' features there, once
//   auto seen = there.query(ctx, features);                       distance and bin of each image, by which T̂ is chosen
//   good.at(distances)                                            the same of distances that went to the host
//
// A k above the number of training images counts as that number. T̂ is at least 10, so that every image takes steps even
// if T_max is so small that the lowest bins would round to 0.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "d3ad/backend/ops.hpp"
#include "d3ad/core/check.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/core/resident.hpp"
#include "d3ad/core/tensor.hpp"
#include "d3ad/core/value.hpp"

namespace d3ad::diffusion {

// Nearest ten, 5 up. The tiny term keeps products like 7 / 10.0 * 50 from falling below the 5 they mean.
inline int round10(double x) { return 10 * static_cast<int>(std::floor(x / 10 + 0.5 + 1e-9)); }

// Edges of `bins` bins of equal width over the values, as numpy.histogram has them: if all values are equal, the
// range is theirs, widened by 0.5 on both sides.
std::vector<float> histogram_edges(const std::vector<float>& values, int bins);

// Values in each bin; a bin holds its lower edge, the last one both.
std::vector<std::int64_t> histogram(const std::vector<float>& values, const std::vector<float>& edges);

}  // namespace d3ad::diffusion

namespace d3ad {

struct Conditioning {
  float distance = 0;
  int bin = 0;     // 1 ... bins; 0 if nearer than any training image
  int T_hat = 10;  // steps of noising that the image is treated as
};

class ImplicitConditioning {
 public:
  using Features = std::vector<std::vector<float>>;
  struct Options {
    int k = 20, bins = 10, T_max = 80;
    int threads = 0;  // 0: all cores
  };
  // All there is to keep of it.
  struct State {
    Tensor<float, Cpu> features;   // {n = training images, c = length}
    std::vector<float> edges;      // bins + 1
    std::vector<float> distances;  // of the training images
    int k = 0, T_max = 0;
  };

  // The rows are freed one by one as they are copied, so that memory holds them once.
  static ImplicitConditioning fit(Features features, Options options);

  // From what was kept; refuses a state that fit() would not have made.
  explicit ImplicitConditioning(State state, int threads = 0);

  const State& state() const { return *state_; }
  std::int64_t images() const { return state_->features.shape().n; }
  int bins() const { return static_cast<int>(state_->edges.size()) - 1; }

  std::vector<Conditioning> query(Features features) const;

  // For training images themselves: query(features)[i] leaves out training image first + i, as if it were new. With
  // a single training image nothing is left to compare with; the distance is then 0. Shares the features.
  ImplicitConditioning leaving_out(std::int64_t first) const;

  // Bin and T̂ of an image at `distance`.
  Conditioning at(float distance) const;
  // Of a batch's images; an Error if one's distance is not a finite number.
  std::vector<Conditioning> at(const std::vector<float>& distances) const;
  // T̂ of a bin, 0 ... bins().
  int T_hat(int bin) const;
  // The first of the training images that are left out, -1: none.
  std::int64_t left_out() const { return left_out_; }

 private:
  std::vector<float> distances(Features features) const;

  void check_length(std::int64_t length) const;
  // One row for each image, all of one length.
  static Shape matrix_shape(const Features& rows);
  static void fill_matrix(View<float, Cpu> out, Features rows);

  // left_out: row i does not see training image left_out + i; -1: all see all.
  static std::vector<float> mean_distances(Context<Cpu>& ctx, const State& state, View<const float, Cpu> rows,
                                           std::int64_t left_out);

  template <class>
  friend class ConditioningOn;

  std::shared_ptr<const State> state_;
  std::int64_t left_out_ = -1;
  std::shared_ptr<Context<Cpu>> ctx_;  // for its memory; shared by copies, so they are used by one thread at a time
};

// What a device knows of images: of each its distance and its bin, {n}. T_hats: T̂ of bin 0, 1, ...
template <class Device>
struct ConditioningSeen {
  Value<float, Device> distance;
  Value<std::int32_t, Device> bin;
  std::vector<int> T_hats;
};

template <class Device>
class ConditioningOn {
 public:
  ConditioningOn(const ImplicitConditioning& good)  // NOLINT: implicit on purpose, it stands for it
      : good_(good),
        data_(std::make_shared<const DeviceData>(DeviceData{
            Resident<float, Device>(good.state().features.view()),
            Resident<float, Device>(View<const float, Cpu>(
                good.state().edges.data(), {.c = static_cast<std::int64_t>(good.state().edges.size())}))})) {}

  const ImplicitConditioning& host() const { return good_; }

  // features: an image's numbers, in whatever axes, are a row.
  ConditioningSeen<Device> query(Context<Device>& ctx, const Value<float, Device>& features) const {
    const std::int64_t n = features.shape().n, length = features.shape().size() / n;
    good_.check_length(length);
    auto between = make_value<float>(ctx, {.n = n, .c = good_.images()});
    ops::pairwise_l1(ctx, between.view(), features.view().reshaped({.n = n, .c = length}), data_->features.view());
    ConditioningSeen<Device> seen{make_value<float>(ctx, {.n = n}), make_value<std::int32_t>(ctx, {.n = n}), {}};
    ops::nearest_mean(ctx, seen.distance.view(), seen.bin.view(), between.view(), data_->edges.view(),
                      {.k = good_.state().k, .left_out = good_.left_out()});
    for (int bin = 0; bin <= good_.bins(); ++bin) seen.T_hats.push_back(good_.T_hat(bin));
    return seen;
  }
  // As ImplicitConditioning's. Shares the features.
  ConditioningOn leaving_out(std::int64_t first) const {
    ConditioningOn other = *this;
    other.good_ = good_.leaving_out(first);
    return other;
  }

 private:
  struct DeviceData {  // what the device reads in every query
    Resident<float, Device> features, edges;
  };
  ImplicitConditioning good_;
  std::shared_ptr<const DeviceData> data_;
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/diffusion/implicit_conditioning-inl.hpp"
#endif
