#pragma once
// The operations as functions of Values, written once over a runner:
//
//   auto y = fn::conv2d(run, x, weight, &bias, {.kernel = 3, .pad = 1});
//
// `run` is a Context, which computes, or a Tape, which computes and records. Results are new Values from the context's
// arena. If the runner does not record and the caller moved in the only reference to an input, an element-wise
// operation writes its result over this input. Shapes and formulas are those of ops/. A loss is one number as a Value;
// item() reads it.
//
// A function computes its result and returns it through recorded() or recorded_for(), which record its backward pass on
// a tape and do nothing on a context.

#include <cstdint>
#include <utility>

#include "d3ad/autograd/convert.hpp"
#include "d3ad/autograd/tape.hpp"
#include "d3ad/core/parameter.hpp"

namespace d3ad::fn {

template <class Run>
using ValueOf = Value<Real<typename Run::device>, typename Run::device>;
template <class Run>
using WeightOf = Value<Weight<typename Run::device>, typename Run::device>;
template <class Run>
using ParameterOf = Parameter<typename Run::device>;

// ---- what the functions below are made of ----

// Returns `out`. On a tape, if `wanted` (an input or a parameter takes a gradient), it is recorded as the result of a
// step whose `backward(tape, dy)` adds to the gradients of its inputs. `backward` captures by value what it needs.
template <class Run, class Backward>
ValueOf<Run> recorded(Run& run, ValueOf<Run> out, bool wanted, Backward backward) {
  if constexpr (is_tape<Run>) {
    if (wanted)
      return run.record(std::move(out), [&run, backward = std::move(backward)](const auto& dy) { backward(run, dy); });
  }
  return out;
}

// The same for a step with one input x: `gradient(ctx, dx, dy)` writes dx, a view of new memory, from the Value dy.
template <class Run, class Gradient>
ValueOf<Run> recorded_for(Run& run, ValueOf<Run> out, GradientSlot x, Gradient gradient) {
  return recorded(run, std::move(out), static_cast<bool>(x), [x, gradient = std::move(gradient)](auto& tape, auto& dy) {
    auto dx = make_value<Real<typename Run::device>>(tape.context(), x.shape);
    gradient(tape.context(), dx.view(), dy);
    tape.accumulate(x, std::move(dx));
  });
}

// Uninitialised memory for a result.
template <class Run>
ValueOf<Run> make_result(Run& run, Shape shape) {
  return make_value<Real<typename Run::device>>(context_of(run), shape);
}
// The same in the parameters' type, for statistics.
template <class Run>
WeightOf<Run> make_weight(Run& run, Shape shape) {
  return make_value<Weight<typename Run::device>>(context_of(run), shape);
}
// x's own memory if this is the only reference and nothing is recorded, else new memory of its shape.
template <class Run>
ValueOf<Run> reuse(Run& run, const ValueOf<Run>& x) {
  if constexpr (!is_tape<Run>) {
    if (x.unique()) return x.detached();
  }
  return make_result(run, x.shape());
}

namespace detail {

template <class Device>
View<const Weight<Device>, Device> value_or_null(const Parameter<Device>* p) {
  return p ? p->value() : View<const Weight<Device>, Device>();
}
template <class Device>
View<Weight<Device>, Device> gradient_or_null(Parameter<Device>* p) {
  return p && p->trainable() ? p->gradient() : View<Weight<Device>, Device>();
}

}  // namespace detail

// ---- layers with parameters ----

template <class Run>
ValueOf<Run> conv2d(Run& run, ValueOf<Run> x, ParameterOf<Run>& w, ParameterOf<Run>* b, ops::Conv2d config) {
  auto out = make_result(run, ops::conv2d_shape(x.shape(), w.shape(), config));
  ops::conv2d(context_of(run), out.view(), x.view(), w, detail::value_or_null(b), config);
  return recorded(run, std::move(out), takes_gradient(x) || w.trainable(), [x, &w, b, config](auto& tape, auto& dy) {
    auto& ctx = tape.context();
    if (w.trainable()) {
      ops::conv2d_backward_weights(ctx, w.gradient(), detail::gradient_or_null(b), x.view(), dy.view(), config);
      tape.contributed(&w), tape.contributed(b);
    }
    if (takes_gradient(x)) {
      auto dx = make_result(ctx, x.shape());
      ops::conv2d_backward_data(ctx, dx.view(), dy.view(), w, config);
      tape.accumulate(x, std::move(dx));
    }
  });
}

template <class Run>
ValueOf<Run> linear(Run& run, ValueOf<Run> x, ParameterOf<Run>& w, ParameterOf<Run>* b) {
  Shape shape = x.shape();
  shape.c = w.shape().n;
  auto out = make_result(run, shape);
  ops::linear(context_of(run), out.view(), x.view(), w, detail::value_or_null(b));
  return recorded(run, std::move(out), takes_gradient(x) || w.trainable(), [x, &w, b](auto& tape, auto& dy) {
    auto& ctx = tape.context();
    if (w.trainable()) {
      ops::linear_backward_weights(ctx, w.gradient(), detail::gradient_or_null(b), x.view(), dy.view());
      tape.contributed(&w), tape.contributed(b);
    }
    if (takes_gradient(x)) {
      auto dx = make_result(ctx, x.shape());
      ops::linear_backward_data(ctx, dx.view(), dy.view(), w);
      tape.accumulate(x, std::move(dx));
    }
  });
}

// config.silu: the activation is part of the operation.
template <class Run>
ValueOf<Run> group_norm(Run& run, ValueOf<Run> x, ParameterOf<Run>& scale, ParameterOf<Run>& shift,
                        ops::GroupNorm config) {
  const bool wanted = is_tape<Run> && (takes_gradient(x) || scale.trainable());
  auto out = reuse(run, x);
  WeightOf<Run> stats;  // for the backward pass
  if (wanted) stats = make_weight(run, {.n = x.shape().n, .c = 2 * config.groups});
  ops::group_norm(context_of(run), out.view(), stats.view(), x.view(), scale.value(), shift.value(), config);
  return recorded(run, std::move(out), wanted, [x, stats, &scale, &shift, config](auto& tape, auto& dy) {
    auto& ctx = tape.context();
    auto dx = make_result(ctx, x.shape());
    ops::group_norm_backward(ctx, dx.view(), detail::gradient_or_null(&scale), detail::gradient_or_null(&shift),
                             dy.view(), x.view(), stats.view(), scale.value(), shift.value(), config);
    tape.contributed(&scale), tape.contributed(&shift);
    tape.accumulate(x, std::move(dx));
  });
}

// The parameters of a batch norm; the running statistics are written in training.
template <class Device>
struct BatchNormParameters {
  Parameter<Device>*scale, *shift, *mean, *var;
};

template <class Run>
ValueOf<Run> batch_norm(Run& run, ValueOf<Run> x, const BatchNormParameters<typename Run::device>& p,
                        ops::BatchNorm config, bool training) {
  auto& ctx = context_of(run);
  auto out = reuse(run, x);
  WeightOf<Run> stats;  // of the batch
  if (training) {
    stats = make_weight(run, {.n = 2, .c = x.shape().c});
    ops::batch_norm_train(ctx, out.view(), stats.view(), p.mean->edit(), p.var->edit(), x.view(), p.scale->value(),
                          p.shift->value(), config);
  } else {
    ops::batch_norm_eval(ctx, out.view(), x.view(), p.scale->value(), p.shift->value(), p.mean->value(), p.var->value(),
                         config);
  }
  const bool wanted = takes_gradient(x) || p.scale->trainable();
  return recorded(run, std::move(out), wanted, [x, stats, p, config](auto& tape, auto& dy) {
    auto& c = tape.context();
    auto dx = make_result(c, x.shape());
    const auto dscale = detail::gradient_or_null(p.scale), dshift = detail::gradient_or_null(p.shift);
    if (stats)
      ops::batch_norm_train_backward(c, dx.view(), dscale, dshift, dy.view(), x.view(), stats.view(), p.scale->value(),
                                     p.shift->value(), config);
    else
      ops::batch_norm_eval_backward(c, dx.view(), dscale, dshift, dy.view(), x.view(), p.scale->value(),
                                    p.shift->value(), p.mean->value(), p.var->value(), config);
    tape.contributed(p.scale), tape.contributed(p.shift);
    tape.accumulate(x, std::move(dx));
  });
}

// ---- operations without parameters ----

template <class Run>
ValueOf<Run> activate(Run& run, ValueOf<Run> x, ops::Activation kind) {
  auto out = reuse(run, x);
  ops::activate(context_of(run), out.view(), x.view(), kind);
  return recorded_for(run, std::move(out), slot_of(x), [x, kind](auto& ctx, auto dx, auto& dy) {
    ops::activate_backward(ctx, dx, dy.view(), x.view(), kind);
  });
}
template <class Run>
ValueOf<Run> silu(Run& run, ValueOf<Run> x) {
  return activate(run, std::move(x), ops::Activation::silu);
}
template <class Run>
ValueOf<Run> relu(Run& run, ValueOf<Run> x) {
  return activate(run, std::move(x), ops::Activation::relu);
}
template <class Run>
ValueOf<Run> tanh(Run& run, ValueOf<Run> x) {
  return activate(run, std::move(x), ops::Activation::tanh);
}

// factor * x + offset
template <class Run>
ValueOf<Run> scale(Run& run, ValueOf<Run> x, float factor, float offset = 0.0f) {
  auto out = reuse(run, x);
  ops::scale(context_of(run), out.view(), x.view(), factor, offset);
  return recorded_for(run, std::move(out), slot_of(x),
                      [factor](auto& ctx, auto dx, auto& dy) { ops::scale(ctx, dx, dy.view(), factor, 0.0f); });
}

template <class Run>
ValueOf<Run> add(Run& run, ValueOf<Run> x, ValueOf<Run> y) {
  auto out = reuse(run, x);
  ops::add(context_of(run), out.view(), x.view(), y.view());
  return recorded(run, std::move(out), takes_gradient(x) || takes_gradient(y),
                  [x = slot_of(x), y = slot_of(y)](auto& tape, auto& dy) {
                    tape.accumulate(x, dy);
                    tape.accumulate(y, dy);
                  });
}

// Adds shift [n, c] to every pixel of x [n, h, w, c].
template <class Run>
ValueOf<Run> add_per_image(Run& run, ValueOf<Run> x, ValueOf<Run> shift) {
  auto out = reuse(run, x);
  ops::add_per_image(context_of(run), out.view(), x.view(), shift.view());
  return recorded(run, std::move(out), takes_gradient(x) || takes_gradient(shift),
                  [x = slot_of(x), shift = slot_of(shift)](auto& tape, auto& dy) {
                    tape.accumulate(x, dy);
                    if (!shift) return;
                    auto ds = make_result(tape, shift.shape);
                    ops::sum_pixels(tape.context(), ds.view(), dy.view());
                    tape.accumulate(shift, std::move(ds));
                  });
}

template <class Run>
ValueOf<Run> attention(Run& run, ValueOf<Run> qkv, ops::Attention config) {
  Shape shape = qkv.shape();
  D3AD_CHECK(shape.c % 3 == 0, "attention: ", shape.c, " channels are not queries, keys and values");
  shape.c /= 3;
  auto out = make_result(run, shape);
  ops::attention(context_of(run), out.view(), qkv.view(), config);
  return recorded_for(run, std::move(out), slot_of(qkv), [qkv, config](auto& ctx, auto dqkv, auto& dy) {
    ops::attention_backward(ctx, dqkv, dy.view(), qkv.view(), config);
  });
}

// The channels of a, then those of b.
template <class Run>
ValueOf<Run> concat(Run& run, ValueOf<Run> a, ValueOf<Run> b) {
  Shape shape = a.shape();
  shape.c += b.shape().c;
  auto out = make_result(run, shape);
  ops::concat(context_of(run), out.view(), a.view(), b.view());
  return recorded(run, std::move(out), takes_gradient(a) || takes_gradient(b),
                  [a = slot_of(a), b = slot_of(b)](auto& tape, auto& dy) {
                    auto da = a ? make_result(tape, a.shape) : ValueOf<Run>();
                    auto db = b ? make_result(tape, b.shape) : ValueOf<Run>();
                    const View<Real<typename Run::device>, typename Run::device> null;
                    ops::split(tape.context(), da ? da.view() : null, db ? db.view() : null, dy.view());
                    if (da) tape.accumulate(a, std::move(da));
                    if (db) tape.accumulate(b, std::move(db));
                  });
}

template <class Run>
ValueOf<Run> avg_pool2(Run& run, ValueOf<Run> x) {
  Shape shape = x.shape();
  shape.h /= 2, shape.w /= 2;
  auto out = make_result(run, shape);
  ops::avg_pool2(context_of(run), out.view(), x.view());
  return recorded_for(run, std::move(out), slot_of(x),
                      [](auto& ctx, auto dx, auto& dy) { ops::avg_pool2_backward(ctx, dx, dy.view()); });
}

// ResNet's max pooling: 3x3, stride 2, padding 1.
template <class Run>
ValueOf<Run> max_pool3(Run& run, ValueOf<Run> x) {
  auto& ctx = context_of(run);
  Shape shape = x.shape();
  shape.h = (shape.h - 1) / 2 + 1, shape.w = (shape.w - 1) / 2 + 1;
  auto out = make_result(run, shape);
  Value<std::int32_t, typename Run::device> argmax;  // for the backward pass
  if (is_tape<Run> && takes_gradient(x)) argmax = make_value<std::int32_t>(ctx, shape);
  ops::max_pool3(ctx, out.view(), argmax.view(), x.view());
  return recorded_for(run, std::move(out), slot_of(x), [argmax](auto& c, auto dx, auto& dy) {
    ops::max_pool3_backward(c, dx, dy.view(), argmax.view());
  });
}

// [n, h, w, c] -> [n, 1, 1, c]
template <class Run>
ValueOf<Run> global_avg_pool(Run& run, ValueOf<Run> x) {
  auto out = make_result(run, {.n = x.shape().n, .c = x.shape().c});
  ops::global_avg_pool(context_of(run), out.view(), x.view());
  return recorded_for(run, std::move(out), slot_of(x),
                      [](auto& ctx, auto dx, auto& dy) { ops::global_avg_pool_backward(ctx, dx, dy.view()); });
}

template <class Run>
ValueOf<Run> upsample2(Run& run, ValueOf<Run> x) {
  Shape shape = x.shape();
  shape.h *= 2, shape.w *= 2;
  auto out = make_result(run, shape);
  ops::upsample_nearest2(context_of(run), out.view(), x.view());
  return recorded_for(run, std::move(out), slot_of(x),
                      [](auto& ctx, auto dx, auto& dy) { ops::upsample_nearest2_backward(ctx, dx, dy.view()); });
}

// A sample of a VAE's posterior (ops/posterior.hpp); its mean if noise is empty.
template <class Run>
ValueOf<Run> posterior(Run& run, ValueOf<Run> moments, ValueOf<Run> noise) {
  Shape shape = moments.shape();
  shape.c /= 2;
  auto out = make_result(run, shape);
  ops::posterior(context_of(run), out.view(), moments.view(), noise.view());
  return recorded_for(run, std::move(out), slot_of(moments), [moments, noise](auto& ctx, auto dm, auto& dy) {
    ops::posterior_backward(ctx, dm, dy.view(), moments.view(), noise.view());
  });
}

// Runs `body(run, x, condition)`. A tape keeps only its inputs; the backward pass runs `body` again for the
// intermediate values. `body` must compute the same the second time, so it must not update running statistics.
template <class Run, class Body>
ValueOf<Run> checkpoint(Run& run, ValueOf<Run> x, ValueOf<Run> condition, Body body) {
  if constexpr (is_tape<Run>) {
    auto out = body(run.context(), x.detached(), condition.detached());
    return recorded(run, out.detached(), /*wanted=*/true, [x, condition, body](auto& tape, auto& dy) {
      Tape<typename Run::device> inner(tape.context());
      inner.listen(tape.listener());
      auto inner_x = inner.leaf(x), inner_condition = inner.leaf(condition);
      auto y = body(inner, inner_x, inner_condition);
      inner.backward_from(y, dy);
      if (auto g = inner.gradient(inner_x)) tape.accumulate(x, std::move(g));
      if (auto g = inner.gradient(inner_condition)) tape.accumulate(condition, std::move(g));
    });
  } else {
    return body(run, std::move(x), std::move(condition));
  }
}

// Splits the channels into two halves, such as a VAE's moments into mean and log-variance.
template <class Run>
std::pair<ValueOf<Run>, ValueOf<Run>> halves(Run& run, ValueOf<Run> x) {
  Shape shape = x.shape();
  D3AD_CHECK(shape.c % 2 == 0, "halves: ", shape.c, " channels, expected an even number");
  shape.c /= 2;
  auto a = make_result(run, shape), b = make_result(run, shape);
  ops::split(context_of(run), a.view(), b.view(), x.view());
  // The gradient of x is dy in this half and 0 in the other one.
  const auto half = [&](ValueOf<Run> part, bool first) {
    return recorded_for(run, std::move(part), slot_of(x), [first](auto& ctx, auto dx, auto& dy) {
      auto zeros = make_result(ctx, dy.shape());
      ops::fill(ctx, zeros.view(), 0.0f);
      ops::concat(ctx, dx, first ? dy.view() : zeros.view(), first ? zeros.view() : dy.view());
    });
  };
  return {half(std::move(a), true), half(std::move(b), false)};
}

// ---- losses: one number, whose gradient stays on the device ----

// Reads a number from the device.
template <class T, class Device>
T item(const Value<T, Device>& x) {
  D3AD_CHECK(x.shape().size() == 1, "item: ", x.shape(), ", expected one number");
  T host{};
  copy_to_host<T, Device>(&host, x.view());
  return host;
}

// Mean squared error over all elements. The target takes no gradient.
template <class Run>
ValueOf<Run> mse(Run& run, ValueOf<Run> x, ValueOf<Run> target) {
  auto out = make_result(run, {});
  ops::mse(context_of(run), out.view(), x.view(), target.view());
  return recorded_for(run, std::move(out), slot_of(x), [x, target](auto& ctx, auto dx, auto& dy) {
    ops::mse_backward(ctx, dx, x.view(), target.view(), to_weight(ctx, dy).view());
  });
}

// Mean absolute error over all elements. The target takes no gradient.
template <class Run>
ValueOf<Run> l1(Run& run, ValueOf<Run> x, ValueOf<Run> target) {
  auto out = make_result(run, {});
  ops::l1(context_of(run), out.view(), x.view(), target.view());
  return recorded_for(run, std::move(out), slot_of(x), [x, target](auto& ctx, auto dx, auto& dy) {
    ops::l1_backward(ctx, dx, x.view(), target.view(), to_weight(ctx, dy).view());
  });
}

// Mean over images of 1 - cosine of the flattened features. Both take gradients.
template <class Run>
ValueOf<Run> cosine_loss(Run& run, ValueOf<Run> x, ValueOf<Run> y) {
  auto out = make_result(run, {});
  ops::cosine_loss(context_of(run), out.view(), x.view(), y.view());
  return recorded(run, std::move(out), takes_gradient(x) || takes_gradient(y), [x, y](auto& tape, auto& dy) {
    auto& ctx = tape.context();
    auto gx = takes_gradient(x) ? make_result(ctx, x.shape()) : ValueOf<Run>();
    auto gy = takes_gradient(y) ? make_result(ctx, y.shape()) : ValueOf<Run>();
    ops::cosine_loss_backward(ctx, gx.view(), gy.view(), x.view(), y.view(), to_weight(ctx, dy).view());
    if (gx) tape.accumulate(x, std::move(gx));
    if (gy) tape.accumulate(y, std::move(gy));
  });
}

// Kullback-Leibler divergence of a VAE's posterior from the standard normal, mean over images.
template <class Run>
ValueOf<Run> kl(Run& run, ValueOf<Run> mean, ValueOf<Run> logvar) {
  auto out = make_result(run, {});
  ops::kl(context_of(run), out.view(), mean.view(), logvar.view());
  const bool wanted = takes_gradient(mean) || takes_gradient(logvar);
  return recorded(run, std::move(out), wanted, [mean, logvar](auto& tape, auto& dy) {
    auto& ctx = tape.context();
    auto gm = make_result(ctx, mean.shape()), gv = make_result(ctx, logvar.shape());
    ops::kl_backward(ctx, gm.view(), gv.view(), mean.view(), logvar.view(), to_weight(ctx, dy).view());
    tape.accumulate(mean, std::move(gm));
    tape.accumulate(logvar, std::move(gv));
  });
}

// Mean cross-entropy of logits [n, c] against labels [n] in 0 ... c-1.
template <class Run>
ValueOf<Run> cross_entropy(Run& run, ValueOf<Run> logits, Value<std::int32_t, typename Run::device> labels) {
  auto out = make_result(run, {});
  ops::cross_entropy(context_of(run), out.view(), logits.view(), labels.view());
  return recorded_for(run, std::move(out), slot_of(logits), [logits, labels](auto& ctx, auto dx, auto& dy) {
    ops::cross_entropy_backward(ctx, dx, logits.view(), labels.view(), to_weight(ctx, dy).view());
  });
}

}  // namespace d3ad::fn
