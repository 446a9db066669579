#pragma once
// Dynamic implicit conditioning (METHOD 5): how far an image is from the good ones says how far to denoise it.
//
//   auto good = ImplicitConditioning::fit(features, {.k = 20, .bins = 10, .T_max = 80});   // of the training images
//   for (const Conditioning& c : good.query(others)) use(c.T_hat);
//
// features: one row a image, all of one length. An image's distance is the mean of the L1 distances to its k nearest
// training images. The training images' own distances (each is its own first neighbour, at 0) make the bins.
//
// Where the images' features are on a device, so is the answer, and nothing is waited for:
//
//   const ConditioningOn<Cuda> there = good;                      takes the training images' features there, once
//   auto seen = there.query(ctx, features);                       distance and bin of each image, by which T̂ is chosen
//   good.at(distances)                                            the same of distances that went to the host
//
// k beyond the number of training images counts as that number. T̂ is at least 10, so that every image takes steps even
// where T_max is so small that the lowest bins would round to 0.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "d3ad/backend/ops.hpp"
#include "d3ad/core/check.hpp"
#include "d3ad/core/resident.hpp"
#include "d3ad/core/tensor.hpp"
#include "d3ad/core/value.hpp"

namespace d3ad {

struct Conditioning {
  float distance = 0;
  int bin = 0;     // 1 ... bins; 0 where nearer than any training image
  int T_hat = 10;  // steps of noising that the image is treated as
};

// Nearest ten, 5 up. The tiny term keeps products like 7 / 10.0 * 50 from falling below the 5 they mean.
inline int round10(double x) { return 10 * static_cast<int>(std::floor(x / 10 + 0.5 + 1e-9)); }

// Edges of `bins` bins of equal width over the values, as numpy.histogram has them: where all values are equal, the
// range is theirs, widened by 0.5 on both sides.
inline std::vector<float> histogram_edges(const std::vector<float>& values, int bins) {
  D3AD_CHECK(!values.empty() && bins >= 1, "histogram: ", values.size(), " values and ", bins, " bins");
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  float lo = *least, hi = *most;
  if (lo == hi) lo -= 0.5f, hi += 0.5f;
  const double width = (double{hi} - double{lo}) / bins;
  std::vector<float> edges;
  for (int i = 0; i < bins; ++i) edges.push_back(static_cast<float>(lo + i * width));
  edges.push_back(hi);
  return edges;
}

// Values in each bin; a bin holds its lower edge, the last one both.
inline std::vector<std::int64_t> histogram(const std::vector<float>& values, const std::vector<float>& edges) {
  D3AD_CHECK(edges.size() >= 2, "histogram: ", edges.size(), " edges make no bin");
  std::vector<std::int64_t> counts(edges.size() - 1, 0);
  for (const float v : values) {
    if (!(v >= edges.front() && v <= edges.back())) continue;
    const auto above = static_cast<std::size_t>(std::upper_bound(edges.begin(), edges.end(), v) - edges.begin());
    ++counts[std::min(above, counts.size()) - 1];
  }
  return counts;
}

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

  // The rows are given up one by one as they are copied, so that memory holds them once.
  static ImplicitConditioning fit(Features features, Options options) {
    D3AD_CHECK(!features.empty(), "conditioning: there are no training images");
    D3AD_CHECK(options.k >= 1 && options.bins >= 1 && options.T_max >= 1, "conditioning: k ", options.k, ", ",
               options.bins, " bins and T_max ", options.T_max, ", expected 1 or more of each");
    State state;
    state.k = options.k, state.T_max = options.T_max;
    const Shape shape = matrix_shape(features);
    state.features = Tensor<float, Cpu>(shape);
    fill_matrix(state.features.view(), std::move(features));
    Context<Cpu> ctx({.threads = options.threads});
    state.distances = mean_distances(ctx, state, state.features.view(), -1);
    for (std::size_t i = 0; i < state.distances.size(); ++i)
      D3AD_CHECK(std::isfinite(state.distances[i]), "conditioning: the features of training image ", i + 1,
                 " or of one beside it are not finite numbers; are the extractor's weights damaged?");
    state.edges = histogram_edges(state.distances, options.bins);
    return ImplicitConditioning(std::move(state), options.threads);
  }

  // From what was kept; refuses a state that fit() would not have made.
  explicit ImplicitConditioning(State state, int threads = 0)
      : ctx_(std::make_shared<Context<Cpu>>(Context<Cpu>::Options{.threads = threads})) {
    const Shape s = state.features.shape();
    D3AD_CHECK(s.n >= 1 && s.c >= 1 && s.h == 1 && s.w == 1, "conditioning: features ", s,
               " are not one row a training image");
    D3AD_CHECK(state.k >= 1 && state.T_max >= 1, "conditioning: k ", state.k, " and T_max ", state.T_max,
               ", expected 1 or more");
    D3AD_CHECK(state.edges.size() >= 2 && std::is_sorted(state.edges.begin(), state.edges.end()) &&
                   std::isfinite(state.edges.front()) && std::isfinite(state.edges.back()) &&
                   std::none_of(state.edges.begin(), state.edges.end(), [](float e) { return std::isnan(e); }),
               "conditioning: the ", state.edges.size(), " edges of the bins are not finite, ascending numbers");
    D3AD_CHECK(static_cast<std::int64_t>(state.distances.size()) == s.n, "conditioning: ", state.distances.size(),
               " distances for ", s.n, " training images");
    state_ = std::make_shared<const State>(std::move(state));
  }

  const State& state() const { return *state_; }
  std::int64_t images() const { return state_->features.shape().n; }
  int bins() const { return static_cast<int>(state_->edges.size()) - 1; }

  std::vector<Conditioning> query(Features features) const {
    if (features.empty()) return {};
    auto all = at(distances(std::move(features)));
    ctx_->arena.settle();
    return all;
  }

  // For training images themselves: query(features)[i] leaves out training image first + i, as if it were new. With
  // a single training image nothing is left to compare with; the distance is then 0. Shares the features.
  ImplicitConditioning leaving_out(std::int64_t first) const {
    D3AD_CHECK(first >= 0 && first < images(), "conditioning: there is no training image ", first);
    ImplicitConditioning other = *this;
    other.left_out_ = first;
    return other;
  }

  // Bin and T̂ of an image at `distance`.
  Conditioning at(float distance) const {
    const auto& edges = state_->edges;
    const int bin = ops::bin_of(distance, edges.data(), static_cast<std::int64_t>(edges.size()));
    return {distance, bin, T_hat(bin)};
  }
  // Of a batch's images; an Error where one's distance is not a finite number.
  std::vector<Conditioning> at(const std::vector<float>& distances) const {
    std::vector<Conditioning> all;
    for (const float distance : distances) {
      D3AD_CHECK(std::isfinite(distance), "conditioning: the features of image ", all.size() + 1,
                 " are not finite numbers");
      all.push_back(at(distance));
    }
    return all;
  }
  // T̂ of a bin, 0 ... bins().
  int T_hat(int bin) const {
    const int used = std::min(std::max(bin, 2), bins());
    return std::max(round10(static_cast<double>(used) / bins() * state_->T_max), 10);
  }
  // The first of the training images that are left out, -1: none.
  std::int64_t left_out() const { return left_out_; }

 private:
  std::vector<float> distances(Features features) const {
    const auto rows = make_value<float>(*ctx_, matrix_shape(features));
    fill_matrix(rows.view(), std::move(features));
    check_length(rows.shape().c);
    return mean_distances(*ctx_, *state_, rows.view(), left_out_);
  }

  void check_length(std::int64_t length) const {
    D3AD_CHECK(length == state_->features.shape().c, "conditioning: ", length,
               " features an image, the training images had ", state_->features.shape().c,
               "; the extractor and the image size have to be the same");
  }
  // One row for each image, all of one length.
  static Shape matrix_shape(const Features& rows) {
    const std::size_t length = rows.front().size();
    D3AD_CHECK(length > 0, "conditioning: the features are empty");
    for (std::size_t i = 0; i < rows.size(); ++i)
      D3AD_CHECK(rows[i].size() == length, "conditioning: image ", i + 1, " has ", rows[i].size(),
                 " features, the first has ", length);
    return {.n = static_cast<std::int64_t>(rows.size()), .c = static_cast<std::int64_t>(length)};
  }
  static void fill_matrix(View<float, Cpu> out, Features rows) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      std::copy(rows[i].begin(), rows[i].end(), out.data + static_cast<std::int64_t>(i) * out.shape.c);
      std::vector<float>().swap(rows[i]);
    }
  }

  // left_out: row i does not see training image left_out + i; -1: all see all.
  static std::vector<float> mean_distances(Context<Cpu>& ctx, const State& state, View<const float, Cpu> rows,
                                           std::int64_t left_out) {
    const std::int64_t count = rows.shape.n, training = state.features.shape().n;
    const auto between = make_value<float>(ctx, {.n = count, .c = training});
    ops::pairwise_l1(ctx, between.view(), rows, state.features.view());
    std::vector<float> means(static_cast<std::size_t>(count));
    ops::nearest_mean(ctx, View<float, Cpu>(means.data(), {.n = count}), {}, between.view(), {},
                      {.k = state.k, .left_out = left_out});
    return means;
  }

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
        there_(std::make_shared<const There>(
            There{Resident<float, Device>(good.state().features.view()),
                  Resident<float, Device>(View<const float, Cpu>(
                      good.state().edges.data(), {.c = static_cast<std::int64_t>(good.state().edges.size())}))})) {}

  const ImplicitConditioning& host() const { return good_; }

  // features: an image's numbers, in whatever axes, are a row.
  ConditioningSeen<Device> query(Context<Device>& ctx, const Value<float, Device>& features) const {
    const std::int64_t n = features.shape().n, length = features.shape().size() / n;
    good_.check_length(length);
    auto between = make_value<float>(ctx, {.n = n, .c = good_.images()});
    ops::pairwise_l1(ctx, between.view(), features.view().reshaped({.n = n, .c = length}), there_->features.view());
    ConditioningSeen<Device> seen{make_value<float>(ctx, {.n = n}), make_value<std::int32_t>(ctx, {.n = n}), {}};
    ops::nearest_mean(ctx, seen.distance.view(), seen.bin.view(), between.view(), there_->edges.view(),
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
  struct There {
    Resident<float, Device> features, edges;
  };
  ImplicitConditioning good_;
  std::shared_ptr<const There> there_;
};

}  // namespace d3ad
