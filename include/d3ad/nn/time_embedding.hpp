#pragma once
// The UNet's time embedding: sinusoids, then linear, SiLU, linear (time_embedding.1, time_embedding.3).

#include "d3ad/nn/layers.hpp"

namespace d3ad::nn {

template <class Device>
class TimeEmbedding {
 public:
  TimeEmbedding(const Params<Device>& p, int base)
      : base_(base), first_(p / 1, {.in = base, .out = 4 * base}), second_(p / 3, {.in = 4 * base, .out = 4 * base}) {}

  // t [n] steps  ->  [n, 4 base]
  template <class Run>
  fn::ValueOf<Run> operator()(Run& run, View<const std::int32_t, Device> t) const {
    auto& ctx = context_of(run);
    auto waves = make_value<Real<Device>>(ctx, {.n = t.size(), .c = base_});
    ops::time_embedding(ctx, waves.view(), t);
    return second_(run, fn::silu(run, first_(run, std::move(waves))));
  }

 private:
  int base_;
  Linear<Device> first_, second_;
};

}  // namespace d3ad::nn
