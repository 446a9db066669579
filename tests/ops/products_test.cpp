// conv2d, linear and attention: the CPU's, by oneDNN and by our own kernels, against the reference device's loops;
// their gradients; weights in bfloat16, frozen and packed ones; what they refuse.

#include <doctest/doctest.h>

#include <vector>

#include "d3ad/core/parameter.hpp"
#include "support/both_devices.hpp"

namespace ops_products_test {

using namespace d3ad;

namespace {

// A parameter of shape {n = out, h, w, c = in} with the numbers of `values`.
template <class Device, class T>
Parameter<Device> parameter(View<T, Device> values) {
  const Shape s = values.shape;
  Parameter<Device> p("weight", {s.n, s.c, s.h, s.w}, s);
  std::vector<Weight<Device>> host(static_cast<std::size_t>(s.size()));
  copy_to_host<Weight<Device>, Device>(host.data(), values);
  copy_from_host(p.edit(), host.data());
  return p;
}

struct Layer {
  Shape x, w;
  ops::Conv2d config;
};

// Every kind of convolution the networks have, and sizes that no vector width divides.
const std::vector<Layer> kLayers{
    {{2, 9, 7, 3}, {5, 3, 3, 3}, {.kernel = 3, .pad = 1}},
    {{1, 16, 16, 32}, {64, 3, 3, 32}, {.kernel = 3, .pad = 1}},
    {{2, 8, 10, 16}, {32, 3, 3, 16}, {.kernel = 3, .stride = 2, .pad = 1}},
    {{1, 8, 8, 16}, {16, 3, 3, 16}, {.kernel = 3, .stride = 2, .pad = 0, .pad_end = 1}},  // the VAE's downsampling
    {{1, 21, 20, 3}, {8, 7, 7, 3}, {.kernel = 7, .stride = 2, .pad = 3}},                 // ResNet's first
    {{2, 6, 6, 24}, {12, 1, 1, 24}, {.kernel = 1}},
    {{2, 6, 7, 16}, {32, 1, 1, 16}, {.kernel = 1, .stride = 2}},
    {{3, 16, 16, 8}, {16, 1, 1, 8}, {.kernel = 1, .stride = 2}},
    {{1, 7, 8, 5}, {3, 1, 1, 5}, {.kernel = 1, .stride = 3}},
    {{1, 3, 3, 1}, {1, 3, 3, 1}, {.kernel = 3}},
};

}  // namespace

TEST_CASE("conv2d and its gradients are those of the reference device") {
  for (const auto& layer : kLayers) {
    const Shape x = layer.x, w = layer.w;
    const ops::Conv2d config = layer.config;
    CAPTURE(x);
    CAPTURE(w);
    const Shape out = ops::conv2d_shape(x, w, config), bias{.c = w.n};
    const auto forward = [&](auto& ctx, auto o, auto in) {
      ops::conv2d(ctx, o, in[0], parameter(in[1]), in[2], config);
    };
    const auto without_bias = [&](auto& ctx, auto o, auto in) {
      ops::conv2d(ctx, o, in[0], parameter(in[1]), {}, config);
    };
    const auto backward_data = [&](auto& ctx, auto dx, auto in) {
      ops::conv2d_backward_data(ctx, dx, in[1], parameter(in[0]), config);
    };
    // Gradients of parameters add to what is there.
    const auto backward_weights = [&](auto& ctx, auto dw, auto in) {
      ops::fill(ctx, dw, 0.5f);
      ops::fill(ctx, in[2], 0.25f);
      ops::conv2d_backward_weights(ctx, dw, in[2], in[0], in[1], config);
    };
    const auto backward_bias = [&](auto& ctx, auto db, auto in) {
      ops::fill(ctx, db, 0.25f);
      ops::conv2d_backward_weights(ctx, in[2], db, in[0], in[1], config);
    };
    const bool winograd = config.kernel == 3 && config.stride == 1 && std::min(x.c, w.n) >= 16;  // the plan's choice
    test::same_on_both({x, w, bias}, out, winograd ? 1e-5 : 2e-6, forward);
    test::same_on_both({x, w}, out, winograd ? 1e-5 : 2e-6, without_bias);
    test::same_on_both({w, out}, x, winograd ? 1e-5 : 2e-6, backward_data, -1, /*same_bits=*/false);
    test::same_on_both({x, out, bias}, w, 5e-6, backward_weights, -1, /*same_bits=*/false);
    test::same_on_both({x, out, w}, bias, 5e-6, backward_bias);
  }
}

TEST_CASE("a kernel turned round, a shifted padding or a stride that starts elsewhere would be noticed in conv2d") {
  Context<Cpu> ctx({.threads = 1});
  const Shape shape{1, 8, 8, 4};
  const auto x = test::random(shape, 1);
  auto values = test::random({4, 3, 3, 4}, 2);
  const auto run = [&](ops::Conv2d config) {
    Tensor<float, Cpu> out(ops::conv2d_shape(shape, values.shape(), config));
    ops::conv2d(ctx, out.view(), x.view(), parameter(values.view()), {}, config);
    return out;
  };
  const auto want = run({.kernel = 3, .stride = 2, .pad = 1, .pad_end = 0});
  CHECK_FALSE(test::compare(run({.kernel = 3, .stride = 2, .pad = 0, .pad_end = 1}).view(), want.view(), 1e-5).close);
  for (int o = 0; o < 4; ++o)
    for (int c = 0; c < 4; ++c) std::swap(values.data()[(o * 9 + 0) * 4 + c], values.data()[(o * 9 + 8) * 4 + c]);
  CHECK_FALSE(test::compare(run({.kernel = 3, .stride = 2, .pad = 1, .pad_end = 0}).view(), want.view(), 1e-5).close);
}

TEST_CASE("conv2d sees a parameter change, and computes the same with frozen and with bfloat16 weights") {
  Context<Cpu> ctx({.threads = 2});
  const Shape shape{1, 8, 8, 16};
  const auto x = test::random(shape, 1);
  const ops::Conv2d config{.kernel = 3, .pad = 1};
  auto w = parameter(test::random({32, 3, 3, 16}, 2).view());
  const auto run = [&](const Parameter<Cpu>& p) {
    Tensor<float, Cpu> out({1, 8, 8, 32});
    ops::conv2d(ctx, out.view(), x.view(), p, {}, config);
    return out;
  };
  const auto first = run(w);
  for (std::int64_t i = 0; i < w.size(); ++i) w.edit().data[i] *= -2.0f;
  const auto changed = run(w);
  for (std::int64_t i = 0; i < first.size(); ++i) CHECK(changed.data()[i] == -2.0f * first.data()[i]);
  w.freeze();
  CHECK(test::compare(run(w).view(), changed.view(), 0).close);
  CHECK(test::compare(run(w).view(), changed.view(), 0).close);

  // bfloat16: as if the weights had been rounded.
  const auto values = test::random({32, 3, 3, 16}, 3);
  auto narrow = parameter(values.view()), rounded = parameter(values.view());
  Tensor<bfloat16, Cpu> half(values.shape());
  ops::narrow(ctx, half.view(), values.view());
  for (std::int64_t i = 0; i < half.size(); ++i) rounded.edit().data[i] = static_cast<float>(half.data()[i]);
  narrow.adopt_narrow(std::move(half));
  CHECK(test::compare(run(narrow).view(), run(rounded).view(), 1e-6).close);
}

TEST_CASE("linear and its gradients are those of the reference device") {
  for (const auto& [rows, in, out] : {std::tuple{6, 16, 8}, {300, 3, 7}, {1, 128, 129}, {1000, 32, 96}}) {
    const Shape x{.n = rows, .c = in}, y{.n = rows, .c = out}, w{.n = out, .c = in}, bias{.c = out};
    test::same_on_both({x, w, bias}, y, 2e-6,
                       [](auto& ctx, auto o, auto i) { ops::linear(ctx, o, i[0], parameter(i[1]), i[2]); });
    test::same_on_both({y, w}, x, 2e-6,
                       [](auto& ctx, auto dx, auto i) { ops::linear_backward_data(ctx, dx, i[0], parameter(i[1])); });
    test::same_on_both({x, y}, w, 5e-6, [](auto& ctx, auto dw, auto i) {
      ops::fill(ctx, dw, 0.5f);
      ops::linear_backward_weights(ctx, dw, {}, i[0], i[1]);
    });
    test::same_on_both({x, y, w}, bias, 5e-6, [](auto& ctx, auto db, auto i) {
      ops::fill(ctx, db, 0.5f);
      ops::linear_backward_weights(ctx, i[2], db, i[0], i[1]);
    });
  }
}

TEST_CASE("attention and its gradient are those of the reference device") {
  for (const auto& sizes : {std::pair{1, Shape{2, 3, 5, 24}},
                            {4, Shape{1, 16, 16, 96}},
                            {8, Shape{1, 1, 1, 24}},
                            {1, Shape{1, 40, 33, 6}},
                            {2, Shape{3, 8, 8, 60}}}) {
    const int heads = sizes.first;
    const Shape s = sizes.second;
    CAPTURE(s);
    const Shape out{s.n, s.h, s.w, s.c / 3};
    const ops::Attention config{.heads = heads};
    // Scores of some size, so that the softmax is not flat.
    const auto forward = [=](auto& ctx, auto o, auto in) {
      ops::scale(ctx, in[0], in[0], 3, 0);
      ops::attention(ctx, o, in[0], config);
    };
    const auto backward = [=](auto& ctx, auto dx, auto in) {
      ops::scale(ctx, in[1], in[1], 3, 0);
      ops::attention_backward(ctx, dx, in[0], in[1], config);
    };
    test::same_on_both({s}, out, 5e-6, forward);
    test::same_on_both({out, s}, s, 1e-5, backward);
  }
}

TEST_CASE("attention without its scale, or with heads side by side in another order, would be noticed") {
  Context<Cpu> ctx({.threads = 1});
  auto qkv = test::random({1, 4, 4, 48}, 1);
  Tensor<float, Cpu> want({1, 4, 4, 16}), got({1, 4, 4, 16});
  ops::attention(ctx, want.view(), qkv.view(), {.heads = 2});
  ops::attention(ctx, got.view(), qkv.view(), {.heads = 4});
  CHECK_FALSE(test::compare(got.view(), want.view(), 1e-3).close);
  for (std::int64_t r = 0; r < 16; ++r)
    for (int c = 0; c < 8; ++c) qkv.data()[r * 48 + c] *= std::sqrt(8.0f);  // q of head 0: takes 1 / sqrt(d) out again
  ops::attention(ctx, got.view(), qkv.view(), {.heads = 2});
  CHECK_FALSE(test::compare(got.view(), want.view(), 1e-3).close);
}

TEST_CASE("products refuse shapes that do not fit") {
  Context<Cpu> ctx({.threads = 1});
  const auto x = test::random({1, 4, 4, 3}, 1), w = test::random({5, 3, 3, 4}, 2);
  Tensor<float, Cpu> out({1, 4, 4, 5}), tiny({1, 1, 1, 4});
  using doctest::Contains;
  CHECK_THROWS_WITH_AS(ops::conv2d(ctx, out.view(), x.view(), parameter(w.view()), {}, {.kernel = 3, .pad = 1}),
                       Contains("conv2d: x has 3 channels, weight expects 4"), Error);
  CHECK_THROWS_WITH_AS(ops::conv2d(ctx, out.view(), tiny.view(), parameter(w.view()), {}, {.kernel = 3}),
                       Contains("smaller than kernel 3"), Error);
  CHECK_THROWS_WITH_AS(ops::conv2d(ctx, out.view(), tiny.view(), parameter(w.view()), {}, {.kernel = 3, .pad = 3}),
                       Contains("do not fit kernel 3"), Error);
  CHECK_THROWS_WITH_AS(ops::linear(ctx, out.view(), x.view(), parameter(w.view()), {}), Contains("is not a matrix"),
                       Error);
  CHECK_THROWS_WITH_AS(ops::attention(ctx, out.view(), x.view(), {.heads = 2}), Contains("expected a multiple of 6"),
                       Error);
}

}  // namespace ops_products_test
