#pragma once
// A convolution with what surrounds it (ops/conv_block.hpp) as a function of Values:
//
//   auto h = fn::conv_block<Run>(run, x, weight, &bias, {.kernel = 3, .pad = 1},
//                                {.norm = &norm, .residual = skip, .measured = true});
//
// On a Context it is one operation. On a tape it is its parts, each with its own way back, and nothing is measured.

#include <utility>

#include "d3ad/autograd/functions.hpp"

namespace d3ad::fn {

template <class Device>
struct GroupNormParameters {
  Parameter<Device>*scale, *shift;
  ops::GroupNorm config;
};

// What is around a convolution; the order is that of ops/conv_block.hpp.
template <class Run>
struct Around {
  using Device = typename Run::device;
  // before
  ValueOf<Run> more{};  // channels after those of x
  const GroupNormParameters<Device>* norm = nullptr;
  ops::Resample resample = ops::Resample::none;
  // after
  const BatchNormParameters<Device>* batch_norm = nullptr;  // its running statistics
  float batch_norm_eps = 0;
  ValueOf<Run> shift{};     // [n, out]
  ValueOf<Run> residual{};  // not to be written to
  ops::Resample residual_resample = ops::Resample::none;
  bool relu = false;
  bool measured = false;  // the result is going to be normalised
};

namespace detail {

template <class Run>
ValueOf<Run> resample(Run& run, ValueOf<Run> x, ops::Resample how) {
  if (how == ops::Resample::up) return upsample2(run, std::move(x));
  if (how == ops::Resample::down) return avg_pool2(run, std::move(x));
  return x;
}

template <class Run>
ValueOf<Run> conv_block_on_tape(Run& run, ValueOf<Run> x, ParameterOf<Run>& w, ParameterOf<Run>* b, ops::Conv2d config,
                                Around<Run> around) {
  auto h = around.more ? concat(run, std::move(x), std::move(around.more)) : std::move(x);
  if (around.norm) h = group_norm(run, std::move(h), *around.norm->scale, *around.norm->shift, around.norm->config);
  h = resample(run, std::move(h), around.resample);
  const bool is_linear = config.kernel == 1 && config.stride == 1 && config.pad == 0 && config.end() == 0;
  h = is_linear ? linear(run, std::move(h), w, b) : conv2d(run, std::move(h), w, b, config);
  if (around.batch_norm)
    h = batch_norm(run, std::move(h), *around.batch_norm, {.eps = around.batch_norm_eps}, /*training=*/false);
  if (around.shift) h = add_per_image(run, std::move(h), std::move(around.shift));
  if (around.residual) h = add(run, std::move(h), resample(run, std::move(around.residual), around.residual_resample));
  return around.relu ? relu(run, std::move(h)) : h;
}

// The moments that came with a value: null where there are none.
template <class Device>
View<const Weight<Device>, Device> moments_of(const Value<Real<Device>, Device>& x) {
  return x.note() ? View<const Weight<Device>, Device>(x.note(), ops::moments_shape(x.shape()))
                  : View<const Weight<Device>, Device>();
}

}  // namespace detail

template <class Run>
ValueOf<Run> conv_block(Run& run, ValueOf<Run> x, ParameterOf<Run>& w, ParameterOf<Run>* b, ops::Conv2d config,
                        Around<Run> around) {
  if constexpr (is_tape<Run>) {
    return detail::conv_block_on_tape(run, std::move(x), w, b, config, std::move(around));
  } else {
    using Device = typename Run::device;
    ops::ConvBlockInput<Device> in{.x = x.view(),
                                   .more = around.more.view(),
                                   .x_moments = detail::moments_of<Device>(x),
                                   .more_moments = detail::moments_of<Device>(around.more),
                                   .resample = around.resample};
    Shape convolved = x.shape();
    if (around.more) convolved.c += around.more.shape().c;
    if (around.norm) {
      in.norm_scale = around.norm->scale->value(), in.norm_shift = around.norm->shift->value();
      in.norm = around.norm->config;
    }
    const Shape shape = ops::conv2d_shape(ops::resampled(convolved, around.resample), w.shape(), config);
    ops::ConvBlockOutput<Device> to{.y = {},
                                    .bias = detail::value_or_null(b),
                                    .shift = around.shift.view(),
                                    .residual = around.residual.view(),
                                    .residual_resample = around.residual_resample,
                                    .relu = around.relu};
    if (const auto* bn = around.batch_norm)
      to.batch_norm = {bn->scale->value(), bn->shift->value(), bn->mean->value(), bn->var->value(),
                       around.batch_norm_eps};
    if (x.unique() && !around.measured && ops::narrows_in_place<Device>(to, in, w.shape(), config)) {
      to.y = {x.view().data, shape};
      ops::conv_block(run, to, in, w, config);
      x.shrink(shape);
      return x;
    }
    auto out = make_result(run, shape);
    to.y = out.view();
    WeightOf<Run> moments;
    if (around.measured) {
      moments = make_weight(run, ops::moments_shape(out.shape()));
      to.moments = moments.view();
    }
    ops::conv_block(run, to, in, w, config);
    if (moments) out.set_note(std::move(moments));
    return out;
  }
}

}  // namespace d3ad::fn
