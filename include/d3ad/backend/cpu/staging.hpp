#pragma once
// CPU variant of core/staging.hpp: plain memory; no call has to wait.

#include <cstdint>

#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/core/staging.hpp"

namespace d3ad {

template <>
class StagingPlace<Cpu> {
 public:
  void reserve(Context<Cpu>&, std::int64_t inputs, std::int64_t results) {
    if (inputs > inputs_.size()) inputs_ = Tensor<float, Cpu>({.c = inputs});
    if (results > results_.size()) results_ = Tensor<float, Cpu>({.c = results});
  }
  float* inputs() { return inputs_.data(); }
  View<const float, Cpu> send(Context<Cpu>&) { return inputs_.view(); }
  View<float, Cpu> results() { return results_.view(); }
  void fetch(Context<Cpu>&) {}
  const float* wait() { return results_.data(); }

 private:
  Tensor<float, Cpu> inputs_, results_;
};

}  // namespace d3ad
