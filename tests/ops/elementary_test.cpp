// activation, elementwise, concat, pool, resample, loss, optimizer, time_embedding, noise: the CPU's against the
// reference device's at every vector width, in place where that is allowed, and what they refuse.

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support/both_devices.hpp"
#include "support/number.hpp"

namespace ops_elementary_test {

using namespace d3ad;

namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
const std::vector<Shape> kShapes{{2, 5, 7, 3}, {1, 1, 1, 1}, {3, 16, 16, 32}, {1, 90, 70, 5}};

}  // namespace

TEST_CASE("activations are those of the reference device") {
  for (const auto kind : {ops::Activation::silu, ops::Activation::relu, ops::Activation::tanh})
    for (const Shape s : kShapes)
      for (const int alias : {-1, 0}) {
        // Spread out, so that tails are reached.
        const auto spread = [&](auto& ctx, auto out, auto in) {
          ops::scale(ctx, in[0], in[0], 8, 0);
          ops::activate(ctx, out, in[0], kind);
        };
        test::same_on_both({s}, s, 1e-6, spread, alias);
        const auto backward = [&](auto& ctx, auto out, auto in) {
          ops::scale(ctx, in[1], in[1], 8, 0);
          ops::activate_backward(ctx, out, in[0], in[1], kind);
        };
        // Alone, an element may lie where SiLU's slope is 0, and then nothing measures its rounding.
        if (s.size() > 1) test::same_on_both({s, s}, s, 1e-6, backward, alias);
      }
}

TEST_CASE("activations keep NaN and know infinity") {
  Context<Cpu> ctx({.threads = 1});
  for (const auto level : test::simd_levels()) {
    const test::AtLevel at(level);
    float x[16];
    for (int i = 0; i < 16; ++i) x[i] = i % 4 == 0 ? kNaN : i % 4 == 1 ? -kNaN : i % 4 == 2 ? INFINITY : -INFINITY;
    const View<float, Cpu> v(x, {.c = 16});
    Tensor<float, Cpu> out({.c = 16});
    ops::activate(ctx, out.view(), v, ops::Activation::relu);
    for (int i = 0; i < 16; i += 4) {
      CHECK(std::isnan(out.data()[i]));
      CHECK(std::isnan(out.data()[i + 1]));
      CHECK(out.data()[i + 2] == INFINITY);
      CHECK(out.data()[i + 3] == 0.0f);
    }
    ops::activate(ctx, out.view(), v, ops::Activation::silu);
    CHECK(std::isnan(out.data()[0]));
    CHECK(out.data()[2] == INFINITY);
  }
}

TEST_CASE("elementwise operations are those of the reference device") {
  for (const Shape s : kShapes) {
    const Shape per_image{.n = s.n, .c = s.c}, channels{.c = s.c};
    test::same_on_both({s}, s, 0, [](auto& ctx, auto out, auto in) { ops::copy(ctx, out, in[0]); });
    test::same_on_both({}, s, 1e-7, [](auto& ctx, auto out, auto) { ops::fill(ctx, out, 0.3f); });
    const auto add_scaled = [](auto& ctx, auto out, auto in) {
      ops::copy(ctx, out, in[0]);
      ops::add_scaled(ctx, out, in[1], -0.75f);
    };
    test::same_on_both({s, s}, s, 2e-7, add_scaled);
    for (const int alias : {-1, 0}) {
      const auto add = [](auto& ctx, auto out, auto in) { ops::add(ctx, out, in[0], in[1]); };
      const auto scale = [](auto& ctx, auto out, auto in) { ops::scale(ctx, out, in[0], 1.5f, -0.25f); };
      const auto scale_channels = [](auto& ctx, auto out, auto in) {
        ops::scale_channels(ctx, out, in[0], in[1], in[2]);
      };
      const auto add_per_image = [](auto& ctx, auto out, auto in) { ops::add_per_image(ctx, out, in[0], in[1]); };
      test::same_on_both({s, s}, s, 2e-7, add, alias);
      test::same_on_both({s}, s, 2e-7, scale, alias);
      test::same_on_both({s, channels, channels}, s, 2e-7, scale_channels, alias);
      test::same_on_both({s, per_image}, s, 2e-7, add_per_image, alias);
    }
    test::same_on_both({s}, per_image, 1e-5, [](auto& ctx, auto out, auto in) { ops::sum_pixels(ctx, out, in[0]); });
  }
}

TEST_CASE("concat and split are those of the reference device") {
  for (const auto& [p, q] : {std::pair{3, 5}, {32, 64}, {1, 1}}) {
    const Shape a{2, 9, 5, p}, b{2, 9, 5, q}, both{2, 9, 5, p + q};
    test::same_on_both({a, b}, both, 0, [](auto& ctx, auto out, auto in) { ops::concat(ctx, out, in[0], in[1]); });
    test::same_on_both({both}, a, 0, [](auto& ctx, auto out, auto in) { ops::split(ctx, out, {}, in[0]); });
    test::same_on_both({both}, b, 0, [](auto& ctx, auto out, auto in) { ops::split(ctx, {}, out, in[0]); });
    test::same_on_both({both, b}, a, 0, [](auto& ctx, auto out, auto in) { ops::split(ctx, out, in[1], in[0]); });
  }
}

TEST_CASE("pooling and upsampling are those of the reference device") {
  for (const Shape s : {Shape{2, 4, 6, 3}, {1, 2, 2, 1}, {3, 16, 32, 20}}) {
    const Shape half{s.n, s.h / 2, s.w / 2, s.c}, twice{s.n, 2 * s.h, 2 * s.w, s.c}, one{.n = s.n, .c = s.c};
    test::same_on_both({s}, half, 3e-7, [](auto& ctx, auto out, auto in) { ops::avg_pool2(ctx, out, in[0]); });
    test::same_on_both({half}, s, 3e-7, [](auto& ctx, auto out, auto in) { ops::avg_pool2_backward(ctx, out, in[0]); });
    test::same_on_both({s}, twice, 0, [](auto& ctx, auto out, auto in) { ops::upsample_nearest2(ctx, out, in[0]); });
    test::same_on_both({twice}, s, 3e-7,
                       [](auto& ctx, auto out, auto in) { ops::upsample_nearest2_backward(ctx, out, in[0]); });
    test::same_on_both({s}, one, 1e-5, [](auto& ctx, auto out, auto in) { ops::global_avg_pool(ctx, out, in[0]); });
    test::same_on_both({one}, s, 3e-7,
                       [](auto& ctx, auto out, auto in) { ops::global_avg_pool_backward(ctx, out, in[0]); });
  }
  for (const Shape s : {Shape{2, 5, 7, 3}, {1, 1, 1, 2}, {1, 8, 8, 40}, {3, 33, 16, 17}}) {
    const Shape out{s.n, (s.h - 1) / 2 + 1, (s.w - 1) / 2 + 1, s.c};
    const auto forward = [](auto& ctx, auto o, auto in) { ops::max_pool3(ctx, o, {}, in[0]); };
    const auto backward = [&](auto& ctx, auto dx, auto in) {
      auto largest = make_value<std::remove_pointer_t<decltype(dx.data)>>(ctx, out);
      auto places = make_value<std::int32_t>(ctx, out);
      ops::max_pool3(ctx, largest.view(), places.view(), in[0]);
      ops::max_pool3_backward(ctx, dx, in[1], places.view());
    };
    test::same_on_both({s}, out, 0, forward);
    test::same_on_both({s, out}, s, 3e-7, backward);
  }
  for (const auto& [h, w] : {std::pair{1, 1}, {3, 5}, {16, 2}})
    test::same_on_both({{2, 7, 11, 6}}, {2, h, w, 6}, 1e-6,
                       [](auto& ctx, auto out, auto in) { ops::adaptive_avg_pool(ctx, out, in[0]); });
}

TEST_CASE("max_pool3 takes the first of equal ones, and NaN before all") {
  Context<Cpu> ctx({.threads = 1});
  Tensor<float, Cpu> x({1, 4, 4, 1}), out({1, 2, 2, 1});
  Tensor<std::int32_t, Cpu> places({1, 2, 2, 1});
  std::fill_n(x.data(), 16, -1.0f);
  x.data()[15] = kNaN;
  ops::max_pool3(ctx, out.view(), places.view(), x.view());
  CHECK(places.data()[0] == 0);
  CHECK(places.data()[1] == 1);
  CHECK(places.data()[2] == 4);
  CHECK(std::isnan(out.data()[3]));
  CHECK(places.data()[3] == 15);
}

TEST_CASE("losses and their gradients are those of the reference device") {
  for (const Shape s : kShapes) {
    const auto check = [&](auto loss, auto backward) {
      test::same_on_both({s, s}, {}, 1e-6, loss);
      test::same_on_both({s, s}, s, 2e-6, backward);
    };
    check([](auto& c, auto out, auto in) { ops::mse(c, out, in[0], in[1]); },
          [](auto& c, auto out, auto in) { ops::mse_backward(c, out, in[0], in[1], test::number(c, 0.7f).view()); });
    check([](auto& c, auto out, auto in) { ops::l1(c, out, in[0], in[1]); },
          [](auto& c, auto out, auto in) { ops::l1_backward(c, out, in[0], in[1], test::number(c, 0.7f).view()); });
    if (s.size() > 1)
      check([](auto& c, auto out, auto in) { ops::cosine_loss(c, out, in[0], in[1]); },
            [](auto& c, auto out, auto in) {
              ops::cosine_loss_backward(c, out, {}, in[0], in[1], test::number(c, 0.7f).view());
            });
    check([](auto& c, auto out, auto in) { ops::kl(c, out, in[0], in[1]); },
          [](auto& c, auto out, auto in) { ops::kl_backward(c, {}, out, in[0], in[1], test::number(c, 0.7f).view()); });
    const auto labelled = [&](auto& ctx) {
      auto labels = make_value<std::int32_t>(ctx, {.n = s.rows()});
      std::vector<std::int32_t> host;
      for (std::int64_t r = 0; r < s.rows(); ++r) host.push_back(static_cast<std::int32_t>((r * 7 + 1) % s.c));
      copy_from_host(labels.view(), host.data());
      return labels;
    };
    if (s.c > 1)
      check([&](auto& c, auto out, auto in) { ops::cross_entropy(c, out, in[0], labelled(c).view()); },
            [&](auto& c, auto out, auto in) {
              ops::cross_entropy_backward(c, out, in[0], labelled(c).view(), test::number(c, 0.7f).view());
            });
  }
  // Beside a large common offset the softmax still counts, and l1's derivative at 0 is 0.
  test::same_on_both({{4, 1, 1, 5}}, {}, 1e-5, [](auto& ctx, auto out, auto in) {
    ops::scale(ctx, in[0], in[0], 1, 1000);
    auto labels = make_value<std::int32_t>(ctx, {.n = 4});
    const std::int32_t host[]{2, 2, 2, 2};
    copy_from_host(labels.view(), host);
    ops::cross_entropy(ctx, out, in[0], labels.view());
  });
  test::same_on_both({{1, 2, 2, 3}}, {1, 2, 2, 3}, 0, [](auto& ctx, auto out, auto in) {
    ops::l1_backward(ctx, out, in[0], in[0], test::number(ctx, 1.0f).view());
  });
}

TEST_CASE("a cosine loss of nothing is one, with no NaN in its gradient") {
  Context<Cpu> ctx({.threads = 1});
  Tensor<float, Cpu> x({.c = 8}), dx({.c = 8}), loss(Shape{});
  test::zero(x.view());
  ops::cosine_loss(ctx, loss.view(), x.view(), x.view());
  CHECK(loss.data()[0] == 1.0f);
  ops::cosine_loss_backward(ctx, dx.view(), {}, x.view(), x.view(), test::number(ctx, 1.0f).view());
  for (int i = 0; i < 8; ++i) CHECK(dx.data()[i] == 0.0f);
}

TEST_CASE("optimizer operations are those of the reference device") {
  const Shape s{3, 16, 16, 33};
  for (const int what : {0, 1, 2})  // weights, m, v
    test::same_on_both({s, s, s, s}, s, 1e-6, [&](auto& ctx, auto out, auto in) {
      ops::add(ctx, in[2], in[2], in[2]);
      ops::activate(ctx, in[2], in[2], ops::Activation::relu);  // v is not negative
      for (int step = 1; step <= 3; ++step) ops::adamw(ctx, in[0], in[1], in[2], in[3], {.lr = 0.01f}, step, 0.5f);
      ops::copy(ctx, out, in[static_cast<std::size_t>(what)]);
    });
  test::same_on_both({s, s}, s, 1e-6, [](auto& ctx, auto out, auto in) {
    ops::ema(ctx, in[0], in[1], 0.9f);
    ops::copy(ctx, out, in[0]);
  });
  test::same_on_both({s}, {}, 1e-6, [](auto& ctx, auto out, auto in) {
    const auto sum = static_cast<std::remove_pointer_t<decltype(out.data)>>(ops::sum_squares(ctx, in[0]));
    copy_from_host(out, &sum);
  });
}

TEST_CASE("a dropped weight decay or another epsilon would be noticed in adamw") {
  Context<Cpu> ctx({.threads = 1});
  const auto run = [&](ops::AdamW config) {
    auto w = test::random({.c = 9}, 1), m = test::random({.c = 9}, 2), v = test::random({.c = 9}, 3);
    const auto g = test::random({.c = 9}, 4);
    ops::activate(ctx, v.view(), v.view(), ops::Activation::relu);
    config.lr = 0.01f;
    ops::adamw(ctx, w.view(), m.view(), v.view(), g.view(), config, 2, 1.0f);
    return w;
  };
  const auto want = run({});
  CHECK(test::compare(run({}).view(), want.view(), 1e-6).close);
  CHECK_FALSE(test::compare(run({.weight_decay = 0}).view(), want.view(), 1e-6).close);
  CHECK_FALSE(test::compare(run({.eps = 1e-3f}).view(), want.view(), 1e-6).close);
  CHECK_FALSE(test::compare(run({.beta2 = 0.99f}).view(), want.view(), 1e-6).close);
}

TEST_CASE("time embeddings and noise are those of the reference device") {
  for (const int channels : {2, 32, 128})
    test::same_on_both({}, {.n = 5, .c = channels}, 2e-7, [](auto& ctx, auto out, auto) {
      auto t = make_value<std::int32_t>(ctx, {.n = 5});
      const std::int32_t steps[5]{0, 1, 77, 500, 999};
      copy_from_host(t.view(), steps);
      ops::time_embedding(ctx, out, t.view());
    });
  const Shape s{3, 9, 16, 32};
  for (const std::uint64_t first : {0u, 3u, 40001u})
    test::same_on_both({}, s, 0, [&](auto& ctx, auto out, auto) { ops::normal(ctx, out, Rng(3, 4), first); });
  const Shape n{.n = 3};
  for (const int alias : {-1, 0, 1})
    test::same_on_both(
        {s, s, n, n}, s, 2e-7,
        [](auto& ctx, auto out, auto in) { ops::add_noise(ctx, out, in[0], in[1], in[2], in[3]); }, alias);
}

TEST_CASE("elementary operations refuse shapes that do not fit") {
  Context<Cpu> ctx({.threads = 1});
  Tensor<float, Cpu> a({1, 3, 4, 2}), b({1, 4, 4, 2}), one(Shape{}), even({1, 2, 2, 2});
  const auto x = a.view(), y = b.view();
  using doctest::Contains;
  CHECK_THROWS_WITH_AS(ops::activate(ctx, y, x, ops::Activation::relu), Contains("activate: the output"), Error);
  CHECK_THROWS_WITH_AS(ops::copy(ctx, y, x), Contains("copy: the output is"), Error);
  CHECK_THROWS_WITH_AS(ops::add(ctx, x, x, y), Contains("add: the output is"), Error);
  CHECK_THROWS_WITH_AS(ops::scale_channels(ctx, x, x, one.view(), one.view()), Contains("expected 2 values"), Error);
  CHECK_THROWS_WITH_AS(ops::add_per_image(ctx, x, x, one.view()), Contains("for each image and channel"), Error);
  CHECK_THROWS_WITH_AS(ops::concat(ctx, x, x, y), Contains("differ in more than channels"), Error);
  CHECK_THROWS_WITH_AS(ops::split(ctx, y, {}, x), Contains("are not the parts of"), Error);
  CHECK_THROWS_WITH_AS(ops::avg_pool2(ctx, even.view(), x), Contains("an even height and width"), Error);
  CHECK_THROWS_WITH_AS(ops::max_pool3(ctx, x, {}, y), Contains("max_pool3: the output"), Error);
  CHECK_THROWS_WITH_AS(ops::global_avg_pool(ctx, x, y), Contains("for each image and channel"), Error);
  CHECK_THROWS_WITH_AS(ops::upsample_nearest2(ctx, x, y), Contains("upsample_nearest2: the output"), Error);
  CHECK_THROWS_WITH_AS(ops::mse(ctx, one.view(), x, y), Contains("expected one shape"), Error);
  CHECK_THROWS_WITH_AS(ops::mse(ctx, x, x, x), Contains("expected one number"), Error);
  CHECK_THROWS_WITH_AS(ops::adamw(ctx, x, x, y, x, {}, 1, 1), Contains("adamw: moments"), Error);
  CHECK_THROWS_WITH_AS(ops::adamw(ctx, x, x, x, x, {}, 0, 1), Contains("step 0, expected 1 or more"), Error);
  CHECK_THROWS_WITH_AS(ops::add_noise(ctx, x, x, y, one.view(), one.view()), Contains("add_noise"), Error);
  std::int32_t label = 2;
  const View<const std::int32_t, Cpu> labels(&label, {});
  CHECK_THROWS_WITH_AS(ops::cross_entropy(ctx, one.view(), View<float, Cpu>(a.data(), {.c = 2}), labels),
                       Contains("label 2, expected 0 to 1"), Error);
}

}  // namespace ops_elementary_test
