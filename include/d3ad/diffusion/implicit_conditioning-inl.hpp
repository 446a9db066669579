#pragma once
// Definitions of diffusion/implicit_conditioning.hpp. Included by it unless they are compiled.

#include "d3ad/diffusion/implicit_conditioning.hpp"

namespace d3ad::diffusion {

D3AD_INLINE std::vector<float> histogram_edges(const std::vector<float>& values, int bins) {
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

D3AD_INLINE std::vector<std::int64_t> histogram(const std::vector<float>& values, const std::vector<float>& edges) {
  D3AD_CHECK(edges.size() >= 2, "histogram: ", edges.size(), " edges make no bin");
  std::vector<std::int64_t> counts(edges.size() - 1, 0);
  for (const float v : values) {
    if (!(v >= edges.front() && v <= edges.back())) continue;
    const auto above = static_cast<std::size_t>(std::upper_bound(edges.begin(), edges.end(), v) - edges.begin());
    ++counts[std::min(above, counts.size()) - 1];
  }
  return counts;
}

}  // namespace d3ad::diffusion

namespace d3ad {

D3AD_INLINE ImplicitConditioning ImplicitConditioning::fit(Features features, Options options) {
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
  state.edges = diffusion::histogram_edges(state.distances, options.bins);
  return ImplicitConditioning(std::move(state), options.threads);
}

D3AD_INLINE ImplicitConditioning::ImplicitConditioning(State state, int threads)
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

D3AD_INLINE std::vector<Conditioning> ImplicitConditioning::query(Features features) const {
  if (features.empty()) return {};
  auto all = at(distances(std::move(features)));
  ctx_->arena.settle();
  return all;
}

D3AD_INLINE ImplicitConditioning ImplicitConditioning::leaving_out(std::int64_t first) const {
  D3AD_CHECK(first >= 0 && first < images(), "conditioning: there is no training image ", first);
  ImplicitConditioning other = *this;
  other.left_out_ = first;
  return other;
}

D3AD_INLINE Conditioning ImplicitConditioning::at(float distance) const {
  const auto& edges = state_->edges;
  const int bin = ops::bin_of(distance, edges.data(), static_cast<std::int64_t>(edges.size()));
  return {distance, bin, T_hat(bin)};
}

D3AD_INLINE std::vector<Conditioning> ImplicitConditioning::at(const std::vector<float>& distances) const {
  std::vector<Conditioning> all;
  for (const float distance : distances) {
    D3AD_CHECK(std::isfinite(distance), "conditioning: the features of image ", all.size() + 1,
               " are not finite numbers");
    all.push_back(at(distance));
  }
  return all;
}

D3AD_INLINE int ImplicitConditioning::T_hat(int bin) const {
  const int used = std::min(std::max(bin, 2), bins());
  return std::max(diffusion::round10(static_cast<double>(used) / bins() * state_->T_max), 10);
}

D3AD_INLINE std::vector<float> ImplicitConditioning::distances(Features features) const {
  const auto rows = make_value<float>(*ctx_, matrix_shape(features));
  fill_matrix(rows.view(), std::move(features));
  check_length(rows.shape().c);
  return mean_distances(*ctx_, *state_, rows.view(), left_out_);
}

D3AD_INLINE void ImplicitConditioning::check_length(std::int64_t length) const {
  D3AD_CHECK(length == state_->features.shape().c, "conditioning: ", length,
             " features an image, the training images had ", state_->features.shape().c,
             "; the extractor and the image size have to be the same");
}

D3AD_INLINE Shape ImplicitConditioning::matrix_shape(const Features& rows) {
  const std::size_t length = rows.front().size();
  D3AD_CHECK(length > 0, "conditioning: the features are empty");
  for (std::size_t i = 0; i < rows.size(); ++i)
    D3AD_CHECK(rows[i].size() == length, "conditioning: image ", i + 1, " has ", rows[i].size(),
               " features, the first has ", length);
  return {.n = static_cast<std::int64_t>(rows.size()), .c = static_cast<std::int64_t>(length)};
}

D3AD_INLINE void ImplicitConditioning::fill_matrix(View<float, Cpu> out, Features rows) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::copy(rows[i].begin(), rows[i].end(), out.data + static_cast<std::int64_t>(i) * out.shape.c);
    std::vector<float>().swap(rows[i]);
  }
}

D3AD_INLINE std::vector<float> ImplicitConditioning::mean_distances(Context<Cpu>& ctx, const State& state,
                                                                    View<const float, Cpu> rows,
                                                                    std::int64_t left_out) {
  const std::int64_t count = rows.shape.n, training = state.features.shape().n;
  const auto between = make_value<float>(ctx, {.n = count, .c = training});
  ops::pairwise_l1(ctx, between.view(), rows, state.features.view());
  std::vector<float> means(static_cast<std::size_t>(count));
  ops::nearest_mean(ctx, View<float, Cpu>(means.data(), {.n = count}), {}, between.view(), {},
                    {.k = state.k, .left_out = left_out});
  return means;
}

}  // namespace d3ad
