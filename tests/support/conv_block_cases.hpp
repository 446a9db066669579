#pragma once
// The cases that conv_block is tested on, by each algorithm on the CPU and in each type on a GPU: each thing that may
// surround a convolution, and sizes that no tile and no vector divides.
//
//   for (const auto& c : test::kConvBlockCases)
//     test::same_on_both(c.inputs(), c.y(), 1e-6, [&](auto& ctx, auto y, auto in) {
//       test::ConvBlockOperands<DeviceOf<decltype(ctx)>> operands(c, in);
//       operands.out.y = y;
//       ops::conv_block(ctx, operands.out, operands.in, operands.w, c.config);
//     });

#include <algorithm>
#include <cstdint>
#include <vector>

#include "d3ad/core/parameter.hpp"
#include "d3ad/ops/conv_block.hpp"

namespace d3ad::test {

struct ConvBlockCase {
  Shape x, w;
  ops::Conv2d config{.kernel = 1};
  std::int64_t more = 0;  // channels
  int groups = 0;         // 0: not normalised
  bool silu = false;
  ops::Resample resample = ops::Resample::none;
  bool bias = false, batch_norm = false, shift = false, residual = false;
  ops::Resample residual_resample = ops::Resample::none;
  bool relu = false;

  // What is convolved: x and more, resampled.
  Shape convolved() const {
    Shape both = x;
    both.c += more;
    return ops::resampled(both, resample);
  }
  Shape y() const { return ops::conv2d_shape(convolved(), w, config); }
  // x, more, w, norm's scale and shift, bias, batch norm's scale, shift, mean and variance, shift, residual; those that
  // the case does without as well.
  std::vector<Shape> inputs() const {
    Shape more_channels = x, before = y();
    more_channels.c = std::max<std::int64_t>(more, 1);
    if (residual_resample == ops::Resample::down) before.h *= 2, before.w *= 2;
    if (residual_resample == ops::Resample::up) before.h /= 2, before.w /= 2;
    const Shape normal{.c = x.c + more}, channels{.c = y().c}, of_images{.n = y().n, .c = y().c};
    return {x, more_channels, w, normal, normal, channels, channels, channels, channels, channels, of_images, before};
  }
};

inline const std::vector<ConvBlockCase> kConvBlockCases = [] {
  using enum ops::Resample;
  const ops::Conv2d same{.kernel = 3, .pad = 1}, halved{.kernel = 3, .stride = 2, .pad = 0, .pad_end = 1};
  return std::vector<ConvBlockCase>{
      // with a kernel of 3
      {.x = {2, 9, 7, 16}, .w = {5, 3, 3, 16}, .config = same, .bias = true},
      {.x = {2, 9, 7, 16}, .w = {8, 3, 3, 16}, .config = same},
      {.x = {1, 4, 4, 32}, .w = {33, 3, 3, 32}, .config = same, .groups = 4, .silu = true, .bias = true},
      {.x = {2, 12, 13, 20}, .w = {40, 3, 3, 20}, .config = same, .groups = 5, .shift = true, .residual = true},
      {.x = {2, 12, 13, 24},
       .w = {40, 3, 3, 24},
       .config = same,
       .groups = 4,
       .silu = true,
       .bias = true,
       .shift = true,
       .residual = true},
      {.x = {1, 7, 7, 16}, .w = {16, 3, 3, 16}, .config = {.kernel = 3}, .relu = true},
      {.x = {1, 34, 35, 16}, .w = {16, 3, 3, 16}, .config = same, .batch_norm = true, .residual = true, .relu = true},
      // resampled
      {.x = {1, 6, 5, 32}, .w = {16, 3, 3, 32}, .config = same, .groups = 8, .silu = true, .resample = up},
      {.x = {2, 4, 4, 8}, .w = {6, 3, 3, 8}, .config = same, .groups = 2, .silu = true, .resample = up},
      {.x = {2, 12, 8, 32},
       .w = {24, 3, 3, 32},
       .config = same,
       .groups = 2,
       .silu = true,
       .resample = down,
       .bias = true,
       .residual = true,
       .residual_resample = down},
      // of two tensors: a group may have channels of both
      {.x = {2, 5, 6, 16},
       .w = {17, 3, 3, 48},
       .config = same,
       .more = 32,
       .groups = 3,
       .silu = true,
       .bias = true,
       .shift = true},
      {.x = {3, 5, 6, 24}, .w = {16, 3, 3, 36}, .config = same, .more = 12, .groups = 4, .shift = true},
      // with strides
      {.x = {1, 16, 8, 16}, .w = {32, 3, 3, 16}, .config = halved, .bias = true},
      {.x = {1, 16, 8, 16}, .w = {32, 3, 3, 16}, .config = halved, .groups = 1, .bias = true},
      {.x = {1, 21, 20, 3},
       .w = {8, 7, 7, 3},
       .config = {.kernel = 7, .stride = 2, .pad = 3},
       .bias = true,
       .batch_norm = true,
       .relu = true},
      // 1x1
      {.x = {2, 6, 6, 20}, .w = {48, 1, 1, 32}, .more = 12, .groups = 4, .silu = true, .bias = true},
      {.x = {2, 6, 6, 24}, .w = {12, 1, 1, 24}, .bias = true},
      {.x = {2, 6, 6, 24}, .w = {12, 1, 1, 24}, .bias = true, .relu = true},
      {.x = {1, 1, 1, 40}, .w = {9, 1, 1, 40}, .bias = true},
      {.x = {2, 6, 7, 16}, .w = {32, 1, 1, 16}, .config = {.kernel = 1, .stride = 2}, .batch_norm = true},
      {.x = {1, 3, 5, 8}, .w = {19, 1, 1, 8}, .resample = up, .shift = true, .residual = true, .residual_resample = up},
  };
}();

// A test's numbers as what conv_block takes in a case: activations are the views themselves, parameters are copies in
// the type of the device's weights. y and moments are the caller's.
template <class Device>
struct ConvBlockOperands {
  using Inputs = std::vector<View<Real<Device>, Device>>;

  ConvBlockOperands(const ConvBlockCase& c, const Inputs& v)
      : w("weight", {c.w.n, c.w.c, c.w.h, c.w.w}, c.w),
        norm_scale_(copied(v[3])),
        norm_shift_(copied(v[4])),
        bias_(copied(v[5])),
        scale_(copied(v[6])),
        shift_(copied(v[7])),
        mean_(copied(v[8])),
        variance_(copied(v[9], 0.5, 1.0)) {  // [-1, 1) to [0.5, 1.5)
    copy_from_host(w.edit(), numbers(v[2]).data());
    in.x = v[0];
    if (c.more) in.more = v[1];
    if (c.groups) {
      in.norm_scale = norm_scale_.view(), in.norm_shift = norm_shift_.view();
      in.norm = {.groups = c.groups, .eps = 1e-5f, .silu = c.silu};
    }
    in.resample = c.resample;
    if (c.bias) out.bias = bias_.view();
    if (c.batch_norm) out.batch_norm = {scale_.view(), shift_.view(), mean_.view(), variance_.view(), 1e-5f};
    if (c.shift) out.shift = v[10];
    if (c.residual) out.residual = v[11];
    out.residual_resample = c.residual_resample, out.relu = c.relu;
  }

  ops::ConvBlockInput<Device> in;
  ops::ConvBlockOutput<Device> out;
  Parameter<Device> w;

 private:
  static std::vector<Weight<Device>> numbers(View<Real<Device>, Device> x) {
    std::vector<Real<Device>> host(static_cast<std::size_t>(x.size()));
    copy_to_host<Real<Device>, Device>(host.data(), x);
    std::vector<Weight<Device>> out;
    for (const auto v : host) out.push_back(static_cast<Weight<Device>>(v));
    return out;
  }
  static Tensor<Weight<Device>, Device> copied(View<Real<Device>, Device> x, double factor = 1, double offset = 0) {
    auto host = numbers(x);
    for (auto& v : host) v = static_cast<Weight<Device>>(factor * double{v} + offset);
    Tensor<Weight<Device>, Device> out(x.shape);
    copy_from_host(out.view(), host.data());
    return out;
  }

  Tensor<Weight<Device>, Device> norm_scale_, norm_shift_, bias_, scale_, shift_, mean_, variance_;
};

}  // namespace d3ad::test
