#pragma once
// Loss scaling: where activations are half, so are the gradients that walk back through them, and what is below 6e-8
// would be lost. So the loss is multiplied by a power of two before, and the parameters' gradients, which are float,
// are divided by it.
//
//   LossScale<Device> scale;
//   do {
//     ... tape.backward(loss, scale.value());
//     norm = optimizer.step(ctx, {.gradient_scale = 1.0 / scale.value(), .may_overflow = scale.kScales});
//   } while (!scale.keeps(norm));
//
// A gradient that does not fit half halves the scale, and the step, which was not taken, is made again; after 2000 good
// ones in a row it is doubled. On other types it is 1 and every step is kept.

#include <cmath>
#include <string>
#include <type_traits>

#include "d3ad/core/check.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad {

template <class Device>
class LossScale {
 public:
  static constexpr bool kScales = std::is_same_v<Real<Device>, half>;

  float value() const { return kScales ? value_ : 1.0f; }
  // Whether the step with this norm of the gradient was taken; an Error where even the smallest scale is too large.
  bool keeps(double norm) {
    if (!kScales) return true;
    if (std::isfinite(norm)) {
      if (++good_ == kPatience && value_ < kLargest) value_ *= 2, good_ = 0;
      return true;
    }
    D3AD_CHECK(value_ > kSmallest,
               "training: the gradient does not fit half's range; lower the learning rate, clip the gradient, or train "
               "in bfloat16 or float");
    value_ /= 2, good_ = 0;
    return false;
  }

  // For a checkpoint: "4096 17".
  std::string text() const { return concat(value_, ' ', good_); }
  void set(float value, int good) {
    D3AD_CHECK(value >= kSmallest && value <= kLargest && good >= 0, "training: a loss scale of ", value,
               " is not one of ours; is the checkpoint damaged?");
    value_ = value, good_ = good;
  }
  int good() const { return good_; }

 private:
  static constexpr float kSmallest = 1.0f / 1024, kLargest = 32768.0f;
  static constexpr int kPatience = 2000;
  float value_ = 4096.0f;
  int good_ = 0;
};

}  // namespace d3ad
