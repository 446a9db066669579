// conv_block by every algorithm (our kernels direct and by Winograd, oneDNN's parts) against the reference device, on the
// cases of support/conv_block_cases.hpp. The plan that chooses between the algorithms, and its files.

#include "d3ad/autograd/conv_block.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <map>
#include <type_traits>
#include <vector>

#include "d3ad/backend/cpu/conv_plan.hpp"
#include "d3ad/backend/reference/ops.hpp"
#include "d3ad/core/parameter.hpp"
#include "support/both_devices.hpp"
#include "support/conv_block_cases.hpp"
#include "support/temporary_folder.hpp"

namespace ops_conv_block_test {

using namespace d3ad;
using conv::Algorithm;
using ops::Resample;

namespace {

template <class Device, class T>
Parameter<Device> parameter(View<T, Device> values) {
  const Shape s = values.shape;
  Parameter<Device> p("weight", {s.n, s.c, s.h, s.w}, s);
  std::vector<Weight<Device>> host(static_cast<std::size_t>(s.size()));
  copy_to_host<Weight<Device>, Device>(host.data(), values);
  copy_from_host(p.edit(), host.data());
  return p;
}

template <class Device>
void prefer(Context<Device>& ctx, Algorithm algorithm) {
  if constexpr (std::is_same_v<Device, Cpu>) conv::plan_of(ctx).prefer(algorithm);
}
void moments_in_double(View<float, Cpu> moments, View<const float, Cpu> x) {
  Context<Reference> ctx;
  Tensor<double, Reference> exact(moments.shape);
  const auto same = test::to_reference(x);
  ops::channel_moments(ctx, exact.view(), same.view());
  for (std::int64_t i = 0; i < moments.size(); ++i) moments.data[i] = static_cast<float>(exact.data()[i]);
}
template <class Ctx>
using DeviceOf = typename std::remove_reference_t<Ctx>::device;

const std::vector<Algorithm> kAlgorithms{Algorithm::direct, Algorithm::winograd2, Algorithm::winograd4,
                                         Algorithm::onednn};
bool has_bfloat16() {
  if (!onednn::has_bfloat16()) MESSAGE("this processor has no bfloat16: left out");
  return onednn::has_bfloat16();
}

}  // namespace

TEST_CASE("conv_block is that of the reference device, by every algorithm") {
  for (const auto& c : test::kConvBlockCases)
    for (const Algorithm algorithm : kAlgorithms) {
      CAPTURE(c.x);
      CAPTURE(c.w);
      CAPTURE(std::string(conv::name(algorithm)));
      const auto forward = [&](auto& ctx, auto out, auto in) {
        prefer(ctx, algorithm);
        test::ConvBlockOperands<DeviceOf<decltype(ctx)>> operands(c, in);
        operands.out.y = out;
        ops::conv_block(ctx, operands.out, operands.in, operands.w, c.config);
      };
      test::same_on_both(c.inputs(), c.y(), algorithm == Algorithm::winograd4 ? 2e-5 : 4e-6, forward);
      // The moments of what was written.
      const auto moments = [&](auto& ctx, auto out, auto in) {
        using Device = DeviceOf<decltype(ctx)>;
        prefer(ctx, algorithm);
        test::ConvBlockOperands<Device> operands(c, in);
        Tensor<Real<Device>, Device> own(c.y());
        operands.out.y = own.view(), operands.out.moments = out;
        ops::conv_block(ctx, operands.out, operands.in, operands.w, c.config);
      };
      test::same_on_both(c.inputs(), ops::moments_shape(c.y()), 2e-5, moments);
    }
}

TEST_CASE("with bfloat16 conv_block differs by the rounding of its operands, and is refused where there is none") {
  Context<Cpu> plain({.threads = 1});
  if (!has_bfloat16()) {
    CHECK_THROWS_WITH_AS(conv::plan_of(plain).use_bfloat16(), doctest::Contains("no instructions"), Error);
    return;
  }
  for (const auto& c : test::kConvBlockCases) {
    CAPTURE(c.x);
    CAPTURE(c.w);
    const auto inputs = test::random_inputs(c.inputs());
    const auto compute = [&](Context<Cpu>& ctx) {
      std::vector<Tensor<float, Cpu>> copies;
      test::Views<Cpu> in;
      for (const auto& input : inputs) copies.push_back(test::copy(input));
      for (auto& input : copies) in.push_back(input.view());
      Tensor<float, Cpu> out(c.y());
      test::ConvBlockOperands<Cpu> operands(c, in);
      operands.out.y = out.view();
      ops::conv_block(ctx, operands.out, operands.in, operands.w, c.config);
      return out;
    };
    Context<Cpu> one({.threads = 1}), two({.threads = 2});
    conv::plan_of(one).use_bfloat16(), conv::plan_of(two).use_bfloat16();
    const auto exact = compute(plain), rounded = compute(one);
    // Of each product's two factors 2^-9 at most, and they do not all round the same way.
    const auto close = test::compare(rounded.view(), exact.view(), 8e-3);
    CHECK_MESSAGE(close.close, close);
    CHECK(test::compare(rounded.view(), exact.view(), 1e-5).close == (c.convolved().c < 16));
    CHECK(test::compare(compute(two).view(), rounded.view(), 0).close);
  }
}

TEST_CASE("weights that were packed in bfloat16 are still there as they were") {
  if (!has_bfloat16()) return;
  const auto values = test::random({48, 3, 3, 32}, 3), x = test::random({1, 16, 16, 32}, 1);
  auto frozen = parameter(values.view());
  frozen.freeze();
  const auto run = [&](const Parameter<Cpu>& p, Algorithm algorithm) {
    Context<Cpu> ctx({.threads = 2});
    conv::plan_of(ctx).prefer(algorithm);
    Tensor<float, Cpu> y({1, 16, 16, 48});
    ops::conv_block(ctx, {.y = y.view()}, {.x = x.view()}, p, {.kernel = 3, .pad = 1});
    return y;
  };
  const auto rounded = run(frozen, Algorithm::bfloat16);
  for (const Algorithm a : {Algorithm::onednn, Algorithm::bfloat16, Algorithm::direct, Algorithm::bfloat16})
    CHECK(test::compare(run(frozen, a).view(),
                        a == Algorithm::bfloat16 ? rounded.view() : run(parameter(values.view()), a).view(), 0)
              .close);
}

TEST_CASE("conv_block takes the moments it is given") {
  Context<Cpu> ctx({.threads = 2});
  const auto x = test::random({2, 9, 9, 32}, 1), more = test::random({2, 9, 9, 16}, 2);
  const auto w = test::random({16, 3, 3, 48}, 3), scale = test::random({.c = 48}, 4),
             shift = test::random({.c = 48}, 5);
  const auto p = parameter(w.view());
  const auto run = [&](View<const float, Cpu> x_moments, View<const float, Cpu> more_moments) {
    Tensor<float, Cpu> y({2, 9, 9, 16});
    ops::conv_block(ctx, {.y = y.view()},
                    {.x = x.view(),
                     .more = more.view(),
                     .x_moments = x_moments,
                     .more_moments = more_moments,
                     .norm_scale = scale.view(),
                     .norm_shift = shift.view(),
                     .norm = {.groups = 4, .eps = 1e-5f}},
                    p, {.kernel = 3, .pad = 1});
    return y;
  };
  Tensor<float, Cpu> a({2, 2, 1, 32}), b({2, 2, 1, 16});
  ops::channel_moments(ctx, a.view(), x.view());
  ops::channel_moments(ctx, b.view(), more.view());
  const auto measured = run({}, {});
  CHECK(test::compare(run(a.view(), b.view()).view(), measured.view(), 0).close);
  CHECK(test::compare(run({}, b.view()).view(), measured.view(), 0).close);
  for (std::int64_t i = 0; i < a.size(); ++i) a.data()[i] *= 1.5f;
  CHECK_FALSE(test::compare(run(a.view(), b.view()).view(), measured.view(), 1e-3).close);
}

TEST_CASE("moments of a far-off mean keep their precision, a NaN goes through") {
  for (const auto level : test::simd_levels()) {
    const test::AtLevel at(level);
    for (const Algorithm algorithm : kAlgorithms) {
      Context<Cpu> ctx({.threads = 2});
      conv::plan_of(ctx).prefer(algorithm);
      auto x = test::random({1, 24, 24, 16}, 1);
      Tensor<float, Cpu> w({16, 3, 3, 16}), bias({.c = 16}), y({1, 24, 24, 16}), m({1, 2, 1, 16}), want({1, 2, 1, 16});
      test::zero(w.view());
      for (std::int64_t o = 0; o < 16; ++o) w.data()[(o * 9 + 4) * 16 + o] = 1, bias.data()[o] = 1000;
      const auto p = parameter(w.view());
      ops::conv_block(ctx, {.y = y.view(), .moments = m.view(), .bias = bias.view()}, {.x = x.view()}, p,
                      {.kernel = 3, .pad = 1});
      moments_in_double(want.view(), y.view());
      for (std::int64_t c = 0; c < 16; ++c) {  // a variance of about 1/3 beside a mean of 1000
        CHECK(m.data()[c] == doctest::Approx(want.data()[c]).epsilon(2e-6));
        CHECK(m.data()[16 + c] == doctest::Approx(want.data()[16 + c]).epsilon(1e-4));
      }
      x.data()[(12 * 24 + 12) * 16 + 3] = NAN;
      ops::conv_block(ctx, {.y = y.view(), .relu = true}, {.x = x.view()}, p, {.kernel = 3, .pad = 1});
      CHECK(std::isnan(y.data()[(12 * 24 + 12) * 16 + 3]));
    }
  }
}

TEST_CASE("conv_block computes the same with frozen and with bfloat16 weights, by whichever algorithm next") {
  const auto values = test::random({48, 3, 3, 32}, 3), x = test::random({1, 16, 16, 32}, 1);
  auto frozen = parameter(values.view()), narrow = parameter(values.view()), rounded = parameter(values.view());
  frozen.freeze();
  Tensor<float, Cpu> want({1, 16, 16, 48}), got(want.shape());
  const auto run = [&](const Parameter<Cpu>& p, Algorithm algorithm, Tensor<float, Cpu>& y) {
    Context<Cpu> ctx({.threads = 2});
    conv::plan_of(ctx).prefer(algorithm);
    ops::conv_block(ctx, {.y = y.view()}, {.x = x.view()}, p, {.kernel = 3, .pad = 1});
  };
  {
    Context<Cpu> ctx;
    Tensor<bfloat16, Cpu> half(values.shape());
    ops::narrow(ctx, half.view(), values.view());
    for (std::int64_t i = 0; i < half.size(); ++i) rounded.edit().data[i] = static_cast<float>(half.data()[i]);
    narrow.adopt_narrow(std::move(half));
  }
  for (const Algorithm algorithm :
       {Algorithm::winograd4, Algorithm::onednn, Algorithm::direct, Algorithm::winograd2, Algorithm::onednn}) {
    CAPTURE(std::string(conv::name(algorithm)));
    const auto fresh = parameter(values.view());
    run(fresh, algorithm, want);
    run(frozen, algorithm, got);
    CHECK(test::compare(got.view(), want.view(), 0).close);
    run(rounded, algorithm, want);
    run(narrow, algorithm, got);
    CHECK(test::compare(got.view(), want.view(), 0).close);
  }
  // Other vectors want other panels: made of those that are there.
  for (const auto level : test::simd_levels()) {
    const test::AtLevel at(level);
    run(parameter(values.view()), Algorithm::direct, want);
    run(frozen, Algorithm::direct, got);
    CHECK(test::compare(got.view(), want.view(), 0).close);
  }
}

TEST_CASE("a value's moments go with it, and not with what is written over it") {
  Context<Cpu> ctx({.threads = 1});
  auto w = parameter(test::random({16, 3, 3, 16}, 1).view());
  auto x = make_value<float>(ctx, {1, 8, 8, 16});
  test::random(x.view(), 2);
  auto y = fn::conv_block<Context<Cpu>>(ctx, x, w, nullptr, {.kernel = 3, .pad = 1}, {.measured = true});
  REQUIRE(y.note());
  const auto same = y;
  CHECK(same.note() == y.note());
  CHECK(y.detached().note() == nullptr);
  CHECK(y.reshaped({1, 4, 16, 16}).note() == nullptr);
  CHECK(fn::scale(ctx, same, 2.0f).note() == nullptr);
  Tensor<float, Cpu> want({1, 2, 1, 16});
  ops::channel_moments(ctx, want.view(), y.view());
  CHECK(test::compare(View<const float, Cpu>(y.note(), want.shape()), want.view(), 1e-5).close);
  const auto plain = fn::conv_block<Context<Cpu>>(ctx, x, w, nullptr, {.kernel = 3, .pad = 1}, {});
  CHECK(plain.note() == nullptr);
}

TEST_CASE("a 1x1 convolution to half as many channels may be written over its input, the rest of which is given back") {
  for (const Shape x_shape : {Shape{1, 1, 3, 32}, Shape{3, 33, 31, 48}, Shape{2, 64, 64, 64}})
    for (const bool tuned : {false, true}) {
      CAPTURE(x_shape);
      Context<Cpu> ctx({.threads = 2});
      const Shape y_shape{x_shape.n, x_shape.h, x_shape.w, x_shape.c / 2 - 3};
      auto w = parameter(test::random({y_shape.c, 1, 1, x_shape.c}, 1).view());
      auto bias = parameter(test::random({.c = y_shape.c}, 2).view());
      const auto values = test::random(x_shape, 3);
      auto x = make_value<float>(ctx, x_shape);
      std::copy_n(values.data(), values.size(), x.view().data);
      const auto want = fn::conv_block<Context<Cpu>>(ctx, x, w, &bias, {.kernel = 1}, {});  // x is ours as well
      CHECK(want.view().data != x.view().data);
      CHECK(test::compare(x.view(), values.view(), 0).close);
      if (tuned) conv::plan_of(ctx).tune();
      const float* const where = x.view().data;
      auto y = fn::conv_block<Context<Cpu>>(ctx, std::move(x), w, &bias, {.kernel = 1}, {});
      CHECK(y.view().data == where);
      CHECK(y.shape() == y_shape);
      const auto c = test::compare(y.view(), want.view(), 0);
      CHECK_MESSAGE(c.close, c);
    }
  // By parts it goes by way of other memory.
  for (const Algorithm algorithm : {Algorithm::direct, Algorithm::onednn}) {
    Context<Cpu> ctx({.threads = 2});
    conv::plan_of(ctx).prefer(algorithm);
    const auto w = parameter(test::random({16, 1, 1, 32}, 1).view());
    auto x = test::random({1, 50, 50, 32}, 3);
    Tensor<float, Cpu> want({1, 50, 50, 16});
    ops::conv_block(ctx, {.y = want.view()}, {.x = x.view()}, w, {.kernel = 1});
    ops::conv_block(ctx, {.y = {x.data(), want.shape()}}, {.x = x.view()}, w, {.kernel = 1});
    CHECK(test::compare(View<const float, Cpu>(x.data(), want.shape()), want.view(), 0).close);
    CHECK_THROWS_WITH_AS(
        ops::conv_block(ctx, {.y = {x.data(), want.shape()}, .relu = true}, {.x = x.view()}, w, {.kernel = 1}),
        doctest::Contains("y is x"), Error);
  }
  // Where more is to be done with it, it is not.
  Context<Cpu> ctx({.threads = 1});
  auto w = parameter(test::random({8, 1, 1, 16}, 1).view());
  const auto own = [&](Shape s) {
    auto x = make_value<float>(ctx, s);
    test::random(x.view(), 2);
    return x;
  };
  auto x = own({1, 8, 8, 16});
  const float* where = x.view().data;
  CHECK(fn::conv_block<Context<Cpu>>(ctx, std::move(x), w, nullptr, {.kernel = 1}, {.relu = true}).view().data !=
        where);
  auto wide = parameter(test::random({9, 1, 1, 16}, 1).view());
  x = own({1, 8, 8, 16}), where = x.view().data;
  CHECK(fn::conv_block<Context<Cpu>>(ctx, std::move(x), wide, nullptr, {.kernel = 1}, {}).view().data != where);
}

TEST_CASE("conv_block refuses what does not fit") {
  Context<Cpu> ctx({.threads = 1});
  const auto x = test::random({1, 8, 8, 16}, 1), odd = test::random({1, 7, 7, 16}, 1),
             w = test::random({8, 3, 3, 16}, 2);
  const auto p = parameter(w.view());
  Tensor<float, Cpu> y({1, 8, 8, 8}), small({1, 4, 4, 8});
  using doctest::Contains;
  const ops::Conv2d config{.kernel = 3, .pad = 1};
  CHECK_THROWS_WITH_AS(ops::conv_block(ctx, {.y = y.view()}, {}, p, config), Contains("no input"), Error);
  CHECK_THROWS_WITH_AS(ops::conv_block(ctx, {.y = small.view()}, {.x = x.view()}, p, config), Contains("expected"),
                       Error);
  CHECK_THROWS_WITH_AS(ops::conv_block(ctx, {.y = y.view()}, {.x = x.view(), .more = odd.view()}, p, config),
                       Contains("more channels"), Error);
  CHECK_THROWS_WITH_AS(
      ops::conv_block(ctx, {.y = small.view()}, {.x = odd.view(), .resample = Resample::down}, p, config),
      Contains("does not divide"), Error);
  CHECK_THROWS_WITH_AS(ops::conv_block(ctx, {.y = y.view(), .residual = small.view()}, {.x = x.view()}, p, config),
                       Contains("residual"), Error);
  CHECK_THROWS_WITH_AS(ops::conv_block(ctx, {.y = y.view(), .moments = small.view()}, {.x = x.view()}, p, config),
                       Contains("moments"), Error);
  CHECK_THROWS_WITH_AS(ops::conv_block(ctx, {.y = y.view(), .shift = small.view()}, {.x = x.view()}, p, config),
                       Contains("shift"), Error);
}

TEST_CASE("a tuned plan has tried every algorithm that can, and stays with its choice") {
  const conv::Layer layer{.x = {1, 8, 8, 16}, .w = {16, 3, 3, 16}, .pad = 1, .pad_end = 1};
  const auto tries = [&](conv::AlgorithmPlan& plan) {
    std::map<Algorithm, int> tried;
    plan.run(layer, [&](Algorithm a) { ++tried[a]; });
    return tried;
  };
  conv::AlgorithmPlan plan;
  CHECK(tries(plan).size() == 1);
  plan.tune();
  CHECK(tries(plan).size() == 4);
  const auto again = tries(plan);
  REQUIRE(again.size() == 1);
  CHECK(again.begin()->first == plan.algorithm(layer));
  CHECK(again.begin()->second == 1);
  conv::AlgorithmPlan told;
  told.set(layer, Algorithm::winograd2);
  told.tune();
  CHECK(tries(told) == std::map<Algorithm, int>{{Algorithm::winograd2, 1}});
  conv::AlgorithmPlan lean;
  lean.allow_winograd(false);
  lean.tune();
  CHECK(tries(lean).size() == 2);
}

TEST_CASE("a plan chooses by shapes, is told otherwise, and comes back from its file") {
  const conv::Layer large{.x = {1, 64, 64, 256}, .w = {256, 3, 3, 256}, .pad = 1, .pad_end = 1};
  const conv::Layer small{.x = {1, 4, 4, 256}, .w = {256, 3, 3, 256}, .pad = 1, .pad_end = 1};
  const conv::Layer strided{.x = {1, 64, 64, 256}, .w = {256, 3, 3, 256}, .stride = 2, .pad = 1, .pad_end = 1};
  conv::AlgorithmPlan plan;
  CHECK(plan.algorithm(large) == Algorithm::winograd4);
  CHECK(plan.algorithm(small) == Algorithm::direct);
  CHECK(plan.algorithm(strided) == Algorithm::onednn);
  auto alone = small;
  alone.alone = true;
  CHECK(plan.algorithm(alone) == Algorithm::onednn);
  CHECK(plan.text() ==
        "block n1 h4 w4 c256 o256 k3 s1 p1 e1 direct\n"
        "block n1 h64 w64 c256 o256 k3 s1 p1 e1 winograd4\n"
        "block n1 h64 w64 c256 o256 k3 s2 p1 e1 onednn\n"
        "conv n1 h4 w4 c256 o256 k3 s1 p1 e1 onednn\n");

  const test::TemporaryFolder folder;
  const auto file = folder.path() / "conv.plan";
  plan.set(large, Algorithm::winograd2);
  CHECK(plan.algorithm(large) == Algorithm::winograd2);
  plan.save(file);
  conv::AlgorithmPlan other;
  other.load(file);
  CHECK(other.algorithm(large) == Algorithm::winograd2);
  CHECK(other.algorithm(small) == Algorithm::direct);

  conv::AlgorithmPlan lean;
  lean.allow_winograd(false);
  CHECK(lean.algorithm(large) == Algorithm::direct);
  lean.prefer(Algorithm::winograd4);
  CHECK(lean.algorithm(large) == Algorithm::winograd4);
  CHECK(lean.algorithm(strided) == Algorithm::onednn);  // it cannot

  using doctest::Contains;
  const auto refuses = [&](const char* text, const char* why) {
    std::ofstream(file) << text << '\n';
    CHECK_THROWS_WITH_AS(conv::AlgorithmPlan().load(file), Contains(why), Error);
  };
  refuses("block n1 h64 w64 c256 o256 k3 s1 p1 e1 fastest", "is not like");
  refuses("block n1 h64 w64 c256 o256 k3 s1 p1 winograd4", "is not like");
  refuses("black n1 h64 w64 c256 o256 k3 s1 p1 e1 winograd4", "is not like");
  refuses("block n1 h64 w64 c256 o256 k3 s1 p1 e1 more winograd4", "is not like");
  refuses("block n0 h64 w64 c256 o256 k3 s1 p1 e1 direct", "not the shape");
  refuses("block n1 h64 w64 c256 o256 k3 s2 p1 e1 winograd4", "computes 3x3");
  CHECK_THROWS_AS(conv::AlgorithmPlan().load(folder.path() / "none.plan"), Error);
}

}  // namespace ops_conv_block_test
