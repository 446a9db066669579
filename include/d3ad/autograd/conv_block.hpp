#pragma once
// A convolution with fused operations (ops/conv_block.hpp) as a function of Values:
//
//   auto h = fn::conv_block<Run>(run, x, weight, &bias, {.kernel = 3, .pad = 1},
//                                {.norm = &norm, .residual = skip, .measured = true});
//
// On a context it is one operation. On a tape its parts run one after the other, each with its own backward pass, and
// no moments are measured.

#include <utility>

#include "d3ad/autograd/functions.hpp"

namespace d3ad::fn {

template <class Device>
struct GroupNormParameters {
  Parameter<Device>*scale, *shift;
  ops::GroupNorm config;
};

// The operations that are fused with a convolution, in the order of ops/conv_block.hpp.
template <class Run>
struct ConvFusion {
  using Device = typename Run::device;
  // before the convolution
  ValueOf<Run> more{};  // further channels, after those of x
  const GroupNormParameters<Device>* norm = nullptr;
  ops::Resample resample = ops::Resample::none;
  // after it
  const BatchNormParameters<Device>* batch_norm = nullptr;  // with its running statistics
  float batch_norm_eps = 0;
  ValueOf<Run> shift{};     // [n, out]
  ValueOf<Run> residual{};  // never overwritten
  ops::Resample residual_resample = ops::Resample::none;
  bool relu = false;
  bool measured = false;  // measures the result's moments, for a normalisation that follows
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
                                ConvFusion<Run> fusion) {
  auto h = fusion.more ? concat(run, std::move(x), std::move(fusion.more)) : std::move(x);
  if (fusion.norm) h = group_norm(run, std::move(h), *fusion.norm->scale, *fusion.norm->shift, fusion.norm->config);
  h = resample(run, std::move(h), fusion.resample);
  const bool is_linear = config.kernel == 1 && config.stride == 1 && config.pad == 0 && config.end() == 0;
  h = is_linear ? linear(run, std::move(h), w, b) : conv2d(run, std::move(h), w, b, config);
  if (fusion.batch_norm)
    h = batch_norm(run, std::move(h), *fusion.batch_norm, {.eps = fusion.batch_norm_eps}, /*training=*/false);
  if (fusion.shift) h = add_per_image(run, std::move(h), std::move(fusion.shift));
  if (fusion.residual) h = add(run, std::move(h), resample(run, std::move(fusion.residual), fusion.residual_resample));
  return fusion.relu ? relu(run, std::move(h)) : h;
}

// The moments that a value carries; null if it has none.
template <class Device>
View<const Weight<Device>, Device> moments_of(const Value<Real<Device>, Device>& x) {
  return x.note() ? View<const Weight<Device>, Device>(x.note(), ops::moments_shape(x.shape()))
                  : View<const Weight<Device>, Device>();
}

}  // namespace detail

template <class Run>
ValueOf<Run> conv_block(Run& run, ValueOf<Run> x, ParameterOf<Run>& w, ParameterOf<Run>* b, ops::Conv2d config,
                        ConvFusion<Run> fusion) {
  if constexpr (is_tape<Run>) {
    return detail::conv_block_on_tape(run, std::move(x), w, b, config, std::move(fusion));
  } else {
    using Device = typename Run::device;
    ops::ConvBlockInput<Device> in{.x = x.view(),
                                   .more = fusion.more.view(),
                                   .x_moments = detail::moments_of<Device>(x),
                                   .more_moments = detail::moments_of<Device>(fusion.more),
                                   .resample = fusion.resample};
    Shape convolved = x.shape();
    if (fusion.more) convolved.c += fusion.more.shape().c;
    if (fusion.norm) {
      in.norm_scale = fusion.norm->scale->value(), in.norm_shift = fusion.norm->shift->value();
      in.norm = fusion.norm->config;
    }
    const Shape shape = ops::conv2d_shape(ops::resampled(convolved, fusion.resample), w.shape(), config);
    ops::ConvBlockOutput<Device> to{.y = {},
                                    .bias = detail::value_or_null(b),
                                    .shift = fusion.shift.view(),
                                    .residual = fusion.residual.view(),
                                    .residual_resample = fusion.residual_resample,
                                    .relu = fusion.relu};
    if (const auto* bn = fusion.batch_norm)
      to.batch_norm = {bn->scale->value(), bn->shift->value(), bn->mean->value(), bn->var->value(),
                       fusion.batch_norm_eps};
    if (x.unique() && !fusion.measured && ops::narrows_in_place<Device>(to, in, w.shape(), config)) {
      to.y = {x.view().data, shape};
      ops::conv_block(run, to, in, w, config);
      x.shrink(shape);
      return x;
    }
    auto out = make_result(run, shape);
    to.y = out.view();
    WeightOf<Run> moments;
    if (fusion.measured) {
      moments = make_weight(run, ops::moments_shape(out.shape()));
      to.moments = moments.view();
    }
    ops::conv_block(run, to, in, w, config);
    if (moments) out.set_note(std::move(moments));
    return out;
  }
}

}  // namespace d3ad::fn
