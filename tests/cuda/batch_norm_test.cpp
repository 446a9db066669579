// batch_norm and its gradients on a GPU in each activation type: against the reference device on the same rounded
// numbers, with packs and without, one block of rows and several, in place.

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "d3ad/backend/reference/ops.hpp"
#include "support/cuda_types.hpp"

namespace cuda_batch_norm_test {

using namespace d3ad;

namespace {

// At least a few rows: of two, which become 1 and -1 whatever they are, the gradient is 0 but for rounding.
const std::vector<Shape> kShapes{{2, 5, 7, 32}, {1, 2, 3, 3}, {3, 40, 31, 24}, {4, 33, 20, 5}, {8, 4, 4, 264}};

template <class T>
Tensor<float, Cpu> rounded(Shape shape, std::uint64_t seed, float offset = 0) {
  auto x = test::random(shape, seed);
  for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] = static_cast<T>(x.data()[i] + offset);
  return x;
}

// What the operations take, on the host; before: what gradients of parameters are added to.
struct Inputs {
  Tensor<float, Cpu> x, dy, scale, shift, mean, var, before;
};
template <class T>
Inputs inputs(Shape s) {
  const Shape channels{.c = s.c};
  Inputs in{rounded<T>(s, 1, 0.3f),      rounded<T>(s, 2),
            rounded<float>(channels, 3), rounded<float>(channels, 4),
            rounded<float>(channels, 5), rounded<float>(channels, 6),
            rounded<float>(channels, 7)};
  for (std::int64_t c = 0; c < s.c; ++c) in.var.data()[c] = 1.0f + 0.5f * in.var.data()[c];
  return in;
}

// Activations and parameters on a device, and results as they come back.
template <class Device>
struct On;
template <>
struct On<Reference> {
  using Result = Tensor<double, Reference>;
  static Result activations(const Tensor<float, Cpu>& x) { return test::to_reference(x.view()); }
  static Result weights(const Tensor<float, Cpu>& x) { return test::to_reference(x.view()); }
  static Result back(Result& x) { return std::move(x); }
};
template <class T>
struct On<CudaOf<T>> {
  using Result = Tensor<float, Cpu>;
  static Tensor<T, CudaOf<T>> activations(const Tensor<float, Cpu>& x) { return test::to_cuda<T>(x.view()); }
  static Tensor<float, CudaOf<T>> weights(const Tensor<float, Cpu>& x) { return test::to_cuda<T, float>(x.view()); }
  template <class U>
  static Result back(Tensor<U, CudaOf<T>>& x) {
    return test::from_cuda<T, U>(x.view());
  }
};

template <class Device>
struct Results {
  using Result = typename On<Device>::Result;
  std::vector<Result> activations, weights;
};

template <class Device>
Results<Device> run(const Inputs& in, ops::BatchNorm config, bool in_place) {
  using D = On<Device>;
  Context<Device> ctx;
  Results<Device> got;
  const auto scale = D::weights(in.scale), shift = D::weights(in.shift), mean = D::weights(in.mean);
  const auto var = D::weights(in.var);
  const auto x = D::activations(in.x), dy = D::activations(in.dy);
  Tensor<float, Cpu> nan(in.x.shape()), none({.n = 2, .c = in.x.shape().c});
  std::fill_n(nan.data(), nan.size(), std::numeric_limits<float>::quiet_NaN());
  std::fill_n(none.data(), none.size(), std::numeric_limits<float>::quiet_NaN());
  auto stats = D::weights(none);
  {
    auto y = D::activations(in_place ? in.x : nan);
    ops::batch_norm_eval(ctx, y.view(), in_place ? y.view() : x.view(), scale.view(), shift.view(), mean.view(),
                         var.view(), config);
    got.activations.push_back(D::back(y));
  }
  {
    auto y = D::activations(in_place ? in.x : nan);
    auto moving_mean = D::weights(in.mean), moving_var = D::weights(in.var);
    ops::batch_norm_train(ctx, y.view(), stats.view(), moving_mean.view(), moving_var.view(),
                          in_place ? y.view() : x.view(), scale.view(), shift.view(), config);
    got.activations.push_back(D::back(y));
    got.weights.push_back(D::back(moving_mean)), got.weights.push_back(D::back(moving_var));
  }
  for (const bool training : {true, false})
    for (const bool parameters : {true, false}) {
      auto dx = D::activations(in_place ? in.dy : nan);
      auto dscale = D::weights(in.before), dshift = D::weights(in.before);
      auto to_scale = dscale.view(), to_shift = dshift.view();
      if (!parameters) to_scale = {}, to_shift = {};
      if (training)
        ops::batch_norm_train_backward(ctx, dx.view(), to_scale, to_shift, in_place ? dx.view() : dy.view(), x.view(),
                                       stats.view(), scale.view(), shift.view(), config);
      else
        ops::batch_norm_eval_backward(ctx, dx.view(), to_scale, to_shift, in_place ? dx.view() : dy.view(), x.view(),
                                      scale.view(), shift.view(), mean.view(), var.view(), config);
      got.activations.push_back(D::back(dx));
      got.weights.push_back(D::back(dscale)), got.weights.push_back(D::back(dshift));
    }
  got.weights.push_back(D::back(stats));
  return got;
}

}  // namespace

TEST_CASE_TEMPLATE("CUDA: batch_norm and its gradients are those of the reference device", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  for (const Shape s : kShapes)
    for (const bool relu : {false, true}) {
      CAPTURE(s);
      CAPTURE(relu);
      const auto in = inputs<T>(s);
      const ops::BatchNorm config{.eps = 1e-5f, .momentum = 0.3f, .relu = relu};
      const auto want = run<Reference>(in, config, false);
      for (const bool in_place : {false, true}) {
        const auto got = run<CudaOf<T>>(in, config, in_place), again = run<CudaOf<T>>(in, config, in_place);
        const double tolerance = 4e-6;
        for (std::size_t i = 0; i < want.activations.size(); ++i) {
          CAPTURE(i);
          const auto c =
              test::compare(got.activations[i].view(), want.activations[i].view(), tolerance + test::kRounding<T>);
          CHECK_MESSAGE(c.close, c);
          CHECK(test::compare(again.activations[i].view(), got.activations[i].view(), 0).close);
        }
        for (std::size_t i = 0; i < want.weights.size(); ++i) {
          CAPTURE(i);
          const auto c = test::compare(got.weights[i].view(), want.weights[i].view(), tolerance);
          CHECK_MESSAGE(c.close, c);
          CHECK(test::compare(again.weights[i].view(), got.weights[i].view(), 0).close);
        }
      }
    }
}

// One row has no deviation: the variance is 0, and Bessel's correction must not divide by 0. factor is 1 / sqrt(eps),
// 300, then, and rounding of factor * x as many times that of x.
TEST_CASE("CUDA: batch_norm of one row") {
  if (!test::cuda_present()) return;
  const auto in = inputs<float>({1, 1, 1, 8});
  const auto got = run<Cuda>(in, {.eps = 1e-5f}, false);
  const auto want = run<Reference>(in, {.eps = 1e-5f}, false);
  for (int i = 0; i < 2; ++i) {
    CHECK(test::compare(got.activations[i].view(), want.activations[i].view(), i == 0 ? 1e-6 : 1e-4).close);
    CHECK(test::compare(got.weights[i].view(), want.weights[i].view(), 1e-6).close);
  }
}

// A mean of 100 leaves 100 * 2^-24 / deviation, 1e-5, in x itself, and as much in factor and offset.
TEST_CASE("CUDA: batch_norm keeps its precision beside a large mean") {
  if (!test::cuda_present()) return;
  auto in = inputs<float>({4, 32, 32, 8});
  for (std::int64_t i = 0; i < in.x.size(); ++i) in.x.data()[i] += 100.0f;
  const auto got = run<Cuda>(in, {.eps = 1e-5f}, false);
  const auto want = run<Reference>(in, {.eps = 1e-5f}, false);
  const auto c = test::compare(got.activations[1].view(), want.activations[1].view(), 1e-4);
  CHECK_MESSAGE(c.close, c);
}

TEST_CASE_TEMPLATE("CUDA: NaN goes through batch_norm's ReLU", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  auto in = inputs<T>({1, 3, 3, 8});
  in.x.data()[9] = std::numeric_limits<float>::quiet_NaN();
  const auto got = run<CudaOf<T>>(in, {.eps = 1e-5f, .relu = true}, false);
  for (std::int64_t i = 0; i < 72; ++i) {
    CHECK(std::isnan(got.activations[0].data()[i]) == (i == 9));
    CHECK(std::isnan(got.activations[1].data()[i]) == (i % 8 == 1));
  }
}

TEST_CASE("CUDA: batch_norm refuses shapes that do not fit") {
  if (!test::cuda_present()) return;
  using doctest::Contains;
  Context<Cuda> ctx;
  Tensor<float, Cuda> x({1, 2, 2, 8}), eight({.c = 8}), seven({.c = 7}), stats({.n = 2, .c = 8});
  const ops::BatchNorm config{.eps = 1e-5f};
  CHECK_THROWS_WITH_AS(
      ops::batch_norm_eval(ctx, x.view(), x.view(), seven.view(), eight.view(), eight.view(), eight.view(), config),
      Contains("scale and shift are [n 1, h 1, w 1, c 7]"), Error);
  CHECK_THROWS_WITH_AS(
      ops::batch_norm_eval(ctx, x.view(), x.view(), eight.view(), eight.view(), seven.view(), eight.view(), config),
      Contains("mean and variance are"), Error);
  CHECK_THROWS_WITH_AS(ops::batch_norm_train(ctx, x.view(), eight.view(), eight.view(), eight.view(), x.view(),
                                             eight.view(), eight.view(), config),
                       Contains("batch_norm: statistics"), Error);
  CHECK_THROWS_WITH_AS(ops::batch_norm_train_backward(ctx, x.view(), {}, seven.view(), x.view(), x.view(), stats.view(),
                                                      eight.view(), eight.view(), config),
                       Contains("gradients of scale"), Error);
}

}  // namespace cuda_batch_norm_test
