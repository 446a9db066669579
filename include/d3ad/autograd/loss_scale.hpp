#pragma once
// Loss scaling. If activations are half, so are their gradients, and values below 6e-8 would become 0. So the loss is
// multiplied by a power of two before the backward pass, and the parameters' gradients, which are float, are divided by
// it.
//
//   LossScale<Device> scale;
//   double norm = 0;
//   do {
//     Tape<Device> tape(ctx);
//     tape.backward(loss_of(tape, batch), scale.value());
//     norm = optimizer.step(ctx, {.gradient_scale = 1.0 / scale.value(), .may_overflow = scale.kScales});
//   } while (!scale.keeps(norm));
//
// If a gradient overflows half, the scale is halved, and the step, which was not taken, is repeated. After 2000 steps
// without an overflow the scale is doubled. For other types of activations it is 1 and every step is kept.

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
  // Whether the step with this norm of the gradient was taken. Throws if the gradient overflows at the smallest scale.
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
    D3AD_CHECK(value >= kSmallest && value <= kLargest && good >= 0, "training: the loss scale is ", value, " after ",
               good, " steps, expected 2^-10 ... 2^15 and 0 or more; is the checkpoint damaged?");
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
