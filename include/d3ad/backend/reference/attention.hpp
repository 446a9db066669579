#pragma once
// Reference variant of ops/attention.hpp: its formula as loops, one row of the softmax at a time.

#include <algorithm>
#include <cmath>
#include <vector>

#include "d3ad/backend/reference/context.hpp"
#include "d3ad/ops/attention.hpp"

namespace d3ad::ops {

namespace detail {

// p[j] = softmax over positions j of q(at) k(j) / sqrt(d), for one head of one image: qkv points at its first query.
inline void probabilities(std::vector<double>& p, const double* qkv, std::int64_t at, std::int64_t d,
                          std::int64_t step) {
  const auto positions = static_cast<std::int64_t>(p.size());
  double largest = -INFINITY, sum = 0;
  for (std::int64_t j = 0; j < positions; ++j) {
    double dot = 0;
    for (std::int64_t c = 0; c < d; ++c) dot += qkv[at * step + c] * qkv[j * step + d + c];
    p[static_cast<std::size_t>(j)] = dot / std::sqrt(static_cast<double>(d));
    largest = std::max(largest, p[static_cast<std::size_t>(j)]);
  }
  for (double& v : p) sum += v = std::exp(v - largest);
  for (double& v : p) v /= sum;
}

}  // namespace detail

template <>
D3AD_INLINE void attention(Context<Reference>& ctx, View<double, Reference> out, In<double, Reference> qkv,
                           Attention config) {
  check_attention(out.shape, qkv.shape, config);
  const std::int64_t heads = config.heads, positions = qkv.shape.pixels(), step = qkv.shape.c, d = step / 3 / heads;
#pragma omp parallel for num_threads(ctx.threads()) schedule(static)
  for (std::int64_t job = 0; job < qkv.shape.n * heads; ++job) {
    const std::int64_t image = job / heads, head = job % heads;
    const double* const in = qkv.data + image * positions * step + head * 3 * d;
    double* const to = out.data + image * positions * (step / 3) + head * d;
    std::vector<double> p(static_cast<std::size_t>(positions)), sums(static_cast<std::size_t>(d));
    for (std::int64_t i = 0; i < positions; ++i) {
      detail::probabilities(p, in, i, d, step);
      std::fill(sums.begin(), sums.end(), 0.0);
      for (std::int64_t j = 0; j < positions; ++j)
        for (std::int64_t c = 0; c < d; ++c)
          sums[static_cast<std::size_t>(c)] += p[static_cast<std::size_t>(j)] * in[j * step + 2 * d + c];
      for (std::int64_t c = 0; c < d; ++c) to[i * (step / 3) + c] = sums[static_cast<std::size_t>(c)];
    }
  }
}

template <>
D3AD_INLINE void attention_backward(Context<Reference>& ctx, View<double, Reference> dqkv, In<double, Reference> dout,
                                    In<double, Reference> qkv, Attention config) {
  check_attention(dout.shape, qkv.shape, config);
  D3AD_CHECK(dqkv.shape == qkv.shape, "attention: gradient ", dqkv.shape, " for qkv ", qkv.shape);
  const std::int64_t heads = config.heads, positions = qkv.shape.pixels(), step = qkv.shape.c, d = step / 3 / heads;
  const double scale = 1.0 / std::sqrt(static_cast<double>(d));
#pragma omp parallel for num_threads(ctx.threads()) schedule(static)
  for (std::int64_t job = 0; job < qkv.shape.n * heads; ++job) {
    const std::int64_t image = job / heads, head = job % heads, at = image * positions * step + head * 3 * d;
    const double* const in = qkv.data + at;
    const double* const dy = dout.data + image * positions * (step / 3) + head * d;
    std::vector<double> p(static_cast<std::size_t>(positions)), dp(p.size());
    std::vector<double> gradient(static_cast<std::size_t>(positions * 3 * d), 0.0);  // [position][q, k, v]
    for (std::int64_t i = 0; i < positions; ++i) {
      detail::probabilities(p, in, i, d, step);
      double mean = 0;
      for (std::int64_t j = 0; j < positions; ++j) {
        double dot = 0;
        for (std::int64_t c = 0; c < d; ++c) {
          const double g = dy[i * (step / 3) + c];
          dot += g * in[j * step + 2 * d + c];
          gradient[static_cast<std::size_t>(j * 3 * d + 2 * d + c)] += p[static_cast<std::size_t>(j)] * g;
        }
        dp[static_cast<std::size_t>(j)] = dot;
        mean += p[static_cast<std::size_t>(j)] * dot;
      }
      for (std::int64_t j = 0; j < positions; ++j) {
        const double ds = scale * p[static_cast<std::size_t>(j)] * (dp[static_cast<std::size_t>(j)] - mean);
        for (std::int64_t c = 0; c < d; ++c) {
          gradient[static_cast<std::size_t>(i * 3 * d + c)] += ds * in[j * step + d + c];
          gradient[static_cast<std::size_t>(j * 3 * d + d + c)] += ds * in[i * step + c];
        }
      }
    }
    for (std::int64_t i = 0; i < positions; ++i)
      for (std::int64_t c = 0; c < 3 * d; ++c)
        dqkv.data[at + i * step + c] = gradient[static_cast<std::size_t>(i * 3 * d + c)];
  }
}

}  // namespace d3ad::ops
