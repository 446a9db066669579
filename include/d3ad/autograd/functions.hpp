#pragma once
// The operations as functions of Values, written once over a runner:
//
//   auto y = fn::conv2d(run, x, weight, &bias, {.kernel = 3, .pad = 1});
//
// `run` is a Context (computes) or a Tape (computes and remembers). Results are new Values from the context's arena;
// where a runner does not record and the caller moved in the only reference to an input, element-wise results take its
// memory. Shapes and formulas are those of ops/. Losses return one number as a Value; item() reads it.

#include <cstdint>
#include <utility>

#include "d3ad/autograd/tape.hpp"
#include "d3ad/core/parameter.hpp"

namespace d3ad::fn {

template <class Run>
using ValueOf = Value<Real<typename Run::device>, typename Run::device>;
template <class Run>
using WeightOf = Value<Weight<typename Run::device>, typename Run::device>;
template <class Run>
using ParameterOf = Parameter<typename Run::device>;

namespace detail {

template <class Run>
ValueOf<Run> make(Run& run, Shape shape) {
  return make_value<Real<typename Run::device>>(context_of(run), shape);
}
// What is kept in the parameters' type: statistics and the like.
template <class Run>
WeightOf<Run> make_weight(Run& run, Shape shape) {
  return make_value<Weight<typename Run::device>>(context_of(run), shape);
}
// x's own memory where nobody else will read it, else new memory of its shape.
template <class Run>
ValueOf<Run> reuse(Run& run, const ValueOf<Run>& x) {
  if constexpr (!is_tape<Run>) {
    if (x.unique()) return x.detached();
  }
  return make(run, x.shape());
}
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
  auto& ctx = context_of(run);
  auto out = detail::make(run, ops::conv2d_shape(x.shape(), w.shape(), config));
  ops::conv2d(ctx, out.view(), x.view(), w, detail::value_or_null(b), config);
  if constexpr (is_tape<Run>) {
    if (run.wants(x) || w.trainable()) {
      return run.record(std::move(out), [&run, x = std::move(x), &w, b, config](const auto& dy) {
        auto& c = run.context();
        if (w.trainable()) {
          ops::conv2d_backward_weights(c, w.gradient(), detail::gradient_or_null(b), x.view(), dy.view(), config);
          run.contributed(&w), run.contributed(b);
        }
        if (run.wants(x)) {
          auto dx = detail::make(run, x.shape());
          ops::conv2d_backward_data(c, dx.view(), dy.view(), w, config);
          run.accumulate(x, std::move(dx));
        }
      });
    }
  }
  return out;
}

template <class Run>
ValueOf<Run> linear(Run& run, ValueOf<Run> x, ParameterOf<Run>& w, ParameterOf<Run>* b) {
  auto& ctx = context_of(run);
  Shape shape = x.shape();
  shape.c = w.shape().n;
  auto out = detail::make(run, shape);
  ops::linear(ctx, out.view(), x.view(), w, detail::value_or_null(b));
  if constexpr (is_tape<Run>) {
    if (run.wants(x) || w.trainable()) {
      return run.record(std::move(out), [&run, x = std::move(x), &w, b](const auto& dy) {
        auto& c = run.context();
        if (w.trainable()) {
          ops::linear_backward_weights(c, w.gradient(), detail::gradient_or_null(b), x.view(), dy.view());
          run.contributed(&w), run.contributed(b);
        }
        if (run.wants(x)) {
          auto dx = detail::make(run, x.shape());
          ops::linear_backward_data(c, dx.view(), dy.view(), w);
          run.accumulate(x, std::move(dx));
        }
      });
    }
  }
  return out;
}

// config.silu: the activation is part of the operation.
template <class Run>
ValueOf<Run> group_norm(Run& run, ValueOf<Run> x, ParameterOf<Run>& scale, ParameterOf<Run>& shift,
                        ops::GroupNorm config) {
  auto& ctx = context_of(run);
  auto out = detail::reuse(run, x);
  if constexpr (is_tape<Run>) {
    if (run.wants(x) || scale.trainable()) {
      auto stats = detail::make_weight(run, {.n = x.shape().n, .c = 2 * config.groups});
      ops::group_norm(ctx, out.view(), stats.view(), x.view(), scale.value(), shift.value(), config);
      return run.record(std::move(out), [&run, x = std::move(x), stats, &scale, &shift, config](const auto& dy) {
        auto dx = detail::make(run, x.shape());
        ops::group_norm_backward(run.context(), dx.view(), detail::gradient_or_null(&scale),
                                 detail::gradient_or_null(&shift), dy.view(), x.view(), stats.view(), scale.value(),
                                 shift.value(), config);
        run.contributed(&scale), run.contributed(&shift);
        run.accumulate(x, std::move(dx));
      });
    }
  }
  ops::group_norm(ctx, out.view(), {}, x.view(), scale.value(), shift.value(), config);
  return out;
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
  auto out = detail::reuse(run, x);
  if (training) {
    auto stats = detail::make_weight(run, {.n = 2, .c = x.shape().c});
    ops::batch_norm_train(ctx, out.view(), stats.view(), p.mean->edit(), p.var->edit(), x.view(), p.scale->value(),
                          p.shift->value(), config);
    if constexpr (is_tape<Run>) {
      if (run.wants(x) || p.scale->trainable()) {
        return run.record(std::move(out), [&run, x = std::move(x), stats, p, config](const auto& dy) {
          auto dx = detail::make(run, x.shape());
          ops::batch_norm_train_backward(run.context(), dx.view(), detail::gradient_or_null(p.scale),
                                         detail::gradient_or_null(p.shift), dy.view(), x.view(), stats.view(),
                                         p.scale->value(), p.shift->value(), config);
          run.contributed(p.scale), run.contributed(p.shift);
          run.accumulate(x, std::move(dx));
        });
      }
    }
    return out;
  }
  ops::batch_norm_eval(ctx, out.view(), x.view(), p.scale->value(), p.shift->value(), p.mean->value(), p.var->value(),
                       config);
  if constexpr (is_tape<Run>) {
    if (run.wants(x) || p.scale->trainable()) {
      return run.record(std::move(out), [&run, x = std::move(x), p, config](const auto& dy) {
        auto dx = detail::make(run, x.shape());
        ops::batch_norm_eval_backward(run.context(), dx.view(), detail::gradient_or_null(p.scale),
                                      detail::gradient_or_null(p.shift), dy.view(), x.view(), p.scale->value(),
                                      p.shift->value(), p.mean->value(), p.var->value(), config);
        run.contributed(p.scale), run.contributed(p.shift);
        run.accumulate(x, std::move(dx));
      });
    }
  }
  return out;
}

// ---- without parameters ----

template <class Run>
ValueOf<Run> activate(Run& run, ValueOf<Run> x, ops::Activation kind) {
  auto out = detail::reuse(run, x);
  ops::activate(context_of(run), out.view(), x.view(), kind);
  if constexpr (is_tape<Run>) {
    if (run.wants(x)) {
      return run.record(std::move(out), [&run, x = std::move(x), kind](const auto& dy) {
        auto dx = detail::make(run, x.shape());
        ops::activate_backward(run.context(), dx.view(), dy.view(), x.view(), kind);
        run.accumulate(x, std::move(dx));
      });
    }
  }
  return out;
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
  auto out = detail::reuse(run, x);
  ops::scale(context_of(run), out.view(), x.view(), factor, offset);
  if constexpr (is_tape<Run>) {
    if (run.wants(x)) {
      return run.record(std::move(out), [&run, x = run.slot(x), factor](const auto& dy) {
        auto dx = detail::make(run, x.shape);
        ops::scale(run.context(), dx.view(), dy.view(), factor, 0.0f);
        run.accumulate(x, std::move(dx));
      });
    }
  }
  return out;
}

namespace detail {

// factor[c] * x + offset[c] is what imagenet_input computes; backward: factor[c] * x + zero[c].
template <class Device>
struct ImagenetLine {
  Tensor<Weight<Device>, Device> factor{Shape{.c = 3}}, offset{Shape{.c = 3}}, zero{Shape{.c = 3}};

  ImagenetLine() {
    constexpr double kMean[3] = {0.485, 0.456, 0.406}, kDeviation[3] = {0.229, 0.224, 0.225};
    Weight<Device> f[3], o[3], z[3] = {};
    for (int c = 0; c < 3; ++c) {
      f[c] = static_cast<Weight<Device>>(0.5 / kDeviation[c]);
      o[c] = static_cast<Weight<Device>>((0.5 - kMean[c]) / kDeviation[c]);
    }
    copy_from_host(factor.view(), f);
    copy_from_host(offset.view(), o);
    copy_from_host(zero.view(), z);
  }
};

}  // namespace detail

// ((x + 1) / 2 - mean) / deviation with ImageNet's numbers, which the context keeps: x [n, h, w, 3] in [-1, 1].
template <class Run>
ValueOf<Run> imagenet_input(Run& run, ValueOf<Run> x) {
  using Line = detail::ImagenetLine<typename Run::device>;
  auto& ctx = context_of(run);
  Line& line = ctx.template kept<Line>();
  auto out = detail::reuse(run, x);
  ops::scale_channels(ctx, out.view(), x.view(), line.factor.view(), line.offset.view());
  if constexpr (is_tape<Run>) {
    if (run.wants(x)) {
      return run.record(std::move(out), [&run, x = run.slot(x), &line](const auto& dy) {
        auto dx = detail::make(run, x.shape);
        ops::scale_channels(run.context(), dx.view(), dy.view(), line.factor.view(), line.zero.view());
        run.accumulate(x, std::move(dx));
      });
    }
  }
  return out;
}

template <class Run>
ValueOf<Run> add(Run& run, ValueOf<Run> x, ValueOf<Run> y) {
  auto out = detail::reuse(run, x);
  ops::add(context_of(run), out.view(), x.view(), y.view());
  if constexpr (is_tape<Run>) {
    if (run.wants(x) || run.wants(y)) {
      return run.record(std::move(out), [&run, x = run.slot(x), y = run.slot(y)](const auto& dy) {
        run.accumulate(x, dy);
        run.accumulate(y, dy);
      });
    }
  }
  return out;
}

// shift [n, c] to every pixel of x [n, h, w, c]
template <class Run>
ValueOf<Run> add_per_image(Run& run, ValueOf<Run> x, ValueOf<Run> shift) {
  auto out = detail::reuse(run, x);
  ops::add_per_image(context_of(run), out.view(), x.view(), shift.view());
  if constexpr (is_tape<Run>) {
    if (run.wants(x) || run.wants(shift)) {
      return run.record(std::move(out), [&run, x = run.slot(x), shift = run.slot(shift)](const auto& dy) {
        run.accumulate(x, dy);
        if (shift) {
          auto ds = detail::make(run, shift.shape);
          ops::sum_pixels(run.context(), ds.view(), dy.view());
          run.accumulate(shift, std::move(ds));
        }
      });
    }
  }
  return out;
}

template <class Run>
ValueOf<Run> attention(Run& run, ValueOf<Run> qkv, ops::Attention config) {
  Shape shape = qkv.shape();
  D3AD_CHECK(shape.c % 3 == 0, "attention: ", shape.c, " channels are not queries, keys and values");
  shape.c /= 3;
  auto out = detail::make(run, shape);
  ops::attention(context_of(run), out.view(), qkv.view(), config);
  if constexpr (is_tape<Run>) {
    if (run.wants(qkv)) {
      return run.record(std::move(out), [&run, qkv = std::move(qkv), config](const auto& dy) {
        auto dqkv = detail::make(run, qkv.shape());
        ops::attention_backward(run.context(), dqkv.view(), dy.view(), qkv.view(), config);
        run.accumulate(qkv, std::move(dqkv));
      });
    }
  }
  return out;
}

// Channels of a, then channels of b.
template <class Run>
ValueOf<Run> concat(Run& run, ValueOf<Run> a, ValueOf<Run> b) {
  Shape shape = a.shape();
  shape.c += b.shape().c;
  auto out = detail::make(run, shape);
  ops::concat(context_of(run), out.view(), a.view(), b.view());
  if constexpr (is_tape<Run>) {
    if (run.wants(a) || run.wants(b)) {
      return run.record(std::move(out), [&run, a = run.slot(a), b = run.slot(b)](const auto& dy) {
        auto da = a ? detail::make(run, a.shape) : ValueOf<Run>();
        auto db = b ? detail::make(run, b.shape) : ValueOf<Run>();
        const View<Real<typename Run::device>, typename Run::device> null;
        ops::split(run.context(), da ? da.view() : null, db ? db.view() : null, dy.view());
        if (da) run.accumulate(a, std::move(da));
        if (db) run.accumulate(b, std::move(db));
      });
    }
  }
  return out;
}

template <class Run>
ValueOf<Run> avg_pool2(Run& run, ValueOf<Run> x) {
  Shape shape = x.shape();
  shape.h /= 2, shape.w /= 2;
  auto out = detail::make(run, shape);
  ops::avg_pool2(context_of(run), out.view(), x.view());
  if constexpr (is_tape<Run>) {
    if (run.wants(x)) {
      return run.record(std::move(out), [&run, x = run.slot(x)](const auto& dy) {
        auto dx = detail::make(run, x.shape);
        ops::avg_pool2_backward(run.context(), dx.view(), dy.view());
        run.accumulate(x, std::move(dx));
      });
    }
  }
  return out;
}

// 3x3, stride 2, padding 1: ResNet's pooling.
template <class Run>
ValueOf<Run> max_pool3(Run& run, ValueOf<Run> x) {
  auto& ctx = context_of(run);
  Shape shape = x.shape();
  shape.h = (shape.h - 1) / 2 + 1, shape.w = (shape.w - 1) / 2 + 1;
  auto out = detail::make(run, shape);
  if constexpr (is_tape<Run>) {
    if (run.wants(x)) {
      auto argmax = make_value<std::int32_t>(ctx, shape);
      ops::max_pool3(ctx, out.view(), argmax.view(), x.view());
      return run.record(std::move(out), [&run, x = run.slot(x), argmax](const auto& dy) {
        auto dx = detail::make(run, x.shape);
        ops::max_pool3_backward(run.context(), dx.view(), dy.view(), argmax.view());
        run.accumulate(x, std::move(dx));
      });
    }
  }
  ops::max_pool3(ctx, out.view(), {}, x.view());
  return out;
}

// [n, h, w, c] -> [n, 1, 1, c]
template <class Run>
ValueOf<Run> global_avg_pool(Run& run, ValueOf<Run> x) {
  auto out = detail::make(run, {.n = x.shape().n, .c = x.shape().c});
  ops::global_avg_pool(context_of(run), out.view(), x.view());
  if constexpr (is_tape<Run>) {
    if (run.wants(x)) {
      return run.record(std::move(out), [&run, x = run.slot(x)](const auto& dy) {
        auto dx = detail::make(run, x.shape);
        ops::global_avg_pool_backward(run.context(), dx.view(), dy.view());
        run.accumulate(x, std::move(dx));
      });
    }
  }
  return out;
}

template <class Run>
ValueOf<Run> upsample2(Run& run, ValueOf<Run> x) {
  Shape shape = x.shape();
  shape.h *= 2, shape.w *= 2;
  auto out = detail::make(run, shape);
  ops::upsample_nearest2(context_of(run), out.view(), x.view());
  if constexpr (is_tape<Run>) {
    if (run.wants(x)) {
      return run.record(std::move(out), [&run, x = run.slot(x)](const auto& dy) {
        auto dx = detail::make(run, x.shape);
        ops::upsample_nearest2_backward(run.context(), dx.view(), dy.view());
        run.accumulate(x, std::move(dx));
      });
    }
  }
  return out;
}

// A draw from a VAE's posterior (ops/posterior.hpp); an empty noise gives its mean.
template <class Run>
ValueOf<Run> posterior(Run& run, ValueOf<Run> moments, ValueOf<Run> noise) {
  Shape shape = moments.shape();
  shape.c /= 2;
  auto out = detail::make(run, shape);
  ops::posterior(context_of(run), out.view(), moments.view(), noise.view());
  if constexpr (is_tape<Run>) {
    if (run.wants(moments)) {
      return run.record(std::move(out), [&run, moments = std::move(moments), noise](const auto& dy) {
        auto dm = detail::make(run, moments.shape());
        ops::posterior_backward(run.context(), dm.view(), dy.view(), moments.view(), noise.view());
        run.accumulate(moments, std::move(dm));
      });
    }
  }
  return out;
}

// Runs `body(run, x, condition)` and, on a tape, keeps only its inputs: backward runs it again to get at what is
// between. `body` must compute the same the second time (no batch statistics that move).
template <class Run, class Body>
ValueOf<Run> checkpoint(Run& run, ValueOf<Run> x, ValueOf<Run> condition, Body body) {
  if constexpr (is_tape<Run>) {
    auto out = body(run.context(), x.detached(), condition.detached());
    return run.record(out.detached(), [&run, x = std::move(x), condition, body](const auto& dy) {
      Tape<typename Run::device> inner(run.context());
      inner.listen(run.listener());
      auto inner_x = inner.leaf(x), inner_condition = inner.leaf(condition);
      auto y = body(inner, inner_x, inner_condition);
      inner.backward_from(y, dy);
      if (auto g = inner.gradient(inner_x)) run.accumulate(x, std::move(g));
      if (auto g = inner.gradient(inner_condition)) run.accumulate(condition, std::move(g));
    });
  } else {
    return body(run, std::move(x), std::move(condition));
  }
}

// ---- losses: one number ----

// Reads a number from the device.
template <class T, class Device>
T item(const Value<T, Device>& x) {
  D3AD_CHECK(x.shape().size() == 1, "item: ", x.shape(), " is not one number");
  T host{};
  copy_to_host<T, Device>(&host, x.view());
  return host;
}

// Mean squared error over all elements; no gradient to the target.
template <class Run>
ValueOf<Run> mse(Run& run, ValueOf<Run> x, ValueOf<Run> target) {
  auto out = detail::make(run, {});
  ops::mse(context_of(run), out.view(), x.view(), target.view());
  if constexpr (is_tape<Run>) {
    if (run.wants(x)) {
      return run.record(std::move(out), [&run, x = std::move(x), target](const auto& dy) {
        auto dx = detail::make(run, x.shape());
        ops::mse_backward(run.context(), dx.view(), x.view(), target.view(), item(dy));
        run.accumulate(x, std::move(dx));
      });
    }
  }
  return out;
}

// Mean absolute error over all elements; no gradient to the target.
template <class Run>
ValueOf<Run> l1(Run& run, ValueOf<Run> x, ValueOf<Run> target) {
  auto out = detail::make(run, {});
  ops::l1(context_of(run), out.view(), x.view(), target.view());
  if constexpr (is_tape<Run>) {
    if (run.wants(x)) {
      return run.record(std::move(out), [&run, x = std::move(x), target](const auto& dy) {
        auto dx = detail::make(run, x.shape());
        ops::l1_backward(run.context(), dx.view(), x.view(), target.view(), item(dy));
        run.accumulate(x, std::move(dx));
      });
    }
  }
  return out;
}

// Mean over images of 1 - cosine of the flattened features; gradients to both.
template <class Run>
ValueOf<Run> cosine_loss(Run& run, ValueOf<Run> x, ValueOf<Run> y) {
  auto out = detail::make(run, {});
  ops::cosine_loss(context_of(run), out.view(), x.view(), y.view());
  if constexpr (is_tape<Run>) {
    if (run.wants(x) || run.wants(y)) {
      return run.record(std::move(out), [&run, x = std::move(x), y = std::move(y)](const auto& dy) {
        auto gx = run.wants(x) ? detail::make(run, x.shape()) : ValueOf<Run>();
        auto gy = run.wants(y) ? detail::make(run, y.shape()) : ValueOf<Run>();
        ops::cosine_loss_backward(run.context(), gx.view(), gy.view(), x.view(), y.view(), item(dy));
        if (gx) run.accumulate(x, std::move(gx));
        if (gy) run.accumulate(y, std::move(gy));
      });
    }
  }
  return out;
}

// Kullback-Leibler divergence of a VAE's posterior from the standard normal, mean over images.
template <class Run>
ValueOf<Run> kl(Run& run, ValueOf<Run> mean, ValueOf<Run> logvar) {
  auto out = detail::make(run, {});
  ops::kl(context_of(run), out.view(), mean.view(), logvar.view());
  if constexpr (is_tape<Run>) {
    if (run.wants(mean) || run.wants(logvar)) {
      return run.record(std::move(out), [&run, mean = std::move(mean), logvar = std::move(logvar)](const auto& dy) {
        auto gm = detail::make(run, mean.shape()), gv = detail::make(run, logvar.shape());
        ops::kl_backward(run.context(), gm.view(), gv.view(), mean.view(), logvar.view(), item(dy));
        run.accumulate(mean, std::move(gm));
        run.accumulate(logvar, std::move(gv));
      });
    }
  }
  return out;
}

// Mean cross-entropy of logits [n, c] against labels [n] in 0 ... c-1.
template <class Run>
ValueOf<Run> cross_entropy(Run& run, ValueOf<Run> logits, Value<std::int32_t, typename Run::device> labels) {
  auto out = detail::make(run, {});
  ops::cross_entropy(context_of(run), out.view(), logits.view(), labels.view());
  if constexpr (is_tape<Run>) {
    if (run.wants(logits)) {
      return run.record(std::move(out), [&run, logits = std::move(logits), labels](const auto& dy) {
        auto dx = detail::make(run, logits.shape());
        ops::cross_entropy_backward(run.context(), dx.view(), logits.view(), labels.view(), item(dy));
        run.accumulate(logits, std::move(dx));
      });
    }
  }
  return out;
}

// The halves of the channels: a VAE's moments into mean and log-variance.
template <class Run>
std::pair<ValueOf<Run>, ValueOf<Run>> halves(Run& run, ValueOf<Run> x) {
  Shape shape = x.shape();
  D3AD_CHECK(shape.c % 2 == 0, "halves: ", shape.c, " channels do not split in two");
  shape.c /= 2;
  auto a = detail::make(run, shape), b = detail::make(run, shape);
  ops::split(context_of(run), a.view(), b.view(), x.view());
  if constexpr (is_tape<Run>) {
    if (run.wants(x)) {
      // Each half hands its part on, beside zeros for the other.
      const auto half_of = [&run, whole = run.slot(x)](ValueOf<Run> part, bool first) {
        return run.record(std::move(part), [&run, whole, first](const auto& dy) {
          auto zeros = detail::make(run, dy.shape());
          ops::fill(run.context(), zeros.view(), 0.0f);
          auto dx = detail::make(run, whole.shape);
          ops::concat(run.context(), dx.view(), first ? dy.view() : zeros.view(), first ? zeros.view() : dy.view());
          run.accumulate(whole, std::move(dx));
        });
      };
      a = half_of(std::move(a), true);
      b = half_of(std::move(b), false);
    }
  }
  return {std::move(a), std::move(b)};
}

}  // namespace d3ad::fn
