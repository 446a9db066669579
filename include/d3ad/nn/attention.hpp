#pragma once
// Self-attention over the pixels of a feature map, in the two forms that the networks use.
//
//   nn::Attention      the UNet's: norm, to_qkv (1x1, weights [.., .., 1]), heads, proj_out
//   nn::VaeAttention   the VAE's: group_norm, to_q, to_k, to_v, one head, to_out.0 (or query, key, value, proj_attn)
//
// Both add the input to the result. x [n, h, w, c] -> the same shape.

#include "d3ad/nn/layers.hpp"

namespace d3ad::nn {

template <class Device>
class Attention {
 public:
  Attention(const Params<Device>& p, int channels, int heads)
      : norm_(p / "norm", channels, {.groups = 32, .eps = 1e-5f}),
        to_qkv_(p / "to_qkv", {.in = channels, .out = 3 * channels, .axes = 3}),
        proj_out_(p / "proj_out", {.in = channels, .out = channels, .axes = 3, .zero = true}),
        config_{.heads = heads} {
    D3AD_CHECK(heads > 0 && channels % heads == 0, "attention '", p.name(), "': ", channels,
               " channels do not split into ", heads, " heads");
  }

  template <class Run>
  fn::ValueOf<Run> operator()(Run& run, fn::ValueOf<Run> x) const {
    auto h = fn::attention(run, to_qkv_(run, x, {.norm = norm_.parameters()}), config_);
    return proj_out_(run, std::move(h), {.residual = std::move(x), .measured = true});
  }

 private:
  GroupNorm<Device> norm_;
  Linear<Device> to_qkv_, proj_out_;
  ops::Attention config_;
};

template <class Device>
class VaeAttention {
 public:
  VaeAttention(const Params<Device>& p, int channels, int groups)
      : norm_(p / "group_norm", channels, {.groups = groups, .eps = 1e-6f}),
        to_q_(p, {.in = channels, .out = channels}, {"to_q.weight", "query.weight"}, {"to_q.bias", "query.bias"}),
        to_k_(p, {.in = channels, .out = channels}, {"to_k.weight", "key.weight"}, {"to_k.bias", "key.bias"}),
        to_v_(p, {.in = channels, .out = channels}, {"to_v.weight", "value.weight"}, {"to_v.bias", "value.bias"}),
        to_out_(p, {.in = channels, .out = channels}, {"to_out.0.weight", "proj_attn.weight"},
                {"to_out.0.bias", "proj_attn.bias"}) {}

  template <class Run>
  fn::ValueOf<Run> operator()(Run& run, fn::ValueOf<Run> x) const {
    auto h = norm_(run, x);
    auto qk = fn::concat(run, to_q_(run, h), to_k_(run, h));
    auto qkv = fn::concat(run, std::move(qk), to_v_(run, std::move(h)));
    h = fn::attention(run, std::move(qkv), {.heads = 1});
    return to_out_(run, std::move(h), {.residual = std::move(x), .measured = true});
  }

 private:
  GroupNorm<Device> norm_;
  Linear<Device> to_q_, to_k_, to_v_, to_out_;
};

}  // namespace d3ad::nn
