// scale_start and guided_step on the GPU against the reference device, with predictions in each activation type.

#include "d3ad/backend/reference/diffusion_step.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "d3ad/backend/cuda/ops.hpp"
#include "d3ad/backend/reference/ops.hpp"
#include "support/compare.hpp"
#include "support/cuda.hpp"

namespace cuda_diffusion_step_test {

using namespace d3ad;

namespace {

// With packs of every type, of float alone, and without; more than one block; several images.
const std::vector<Shape> kShapes{{3, 40, 30, 4}, {3, 1, 3, 4}, {3, 5, 7, 3}, {3, 1, 1, 1}};
const std::vector<ops::StepCoefficients> kSteps{
    {0.83f, 0.86f, 0.0f, 0.37f}, {0.99f, 1.0f, 0.0f, 0.0f}, {0.5f, 0.9f, 0.1f, 0.3f}};

template <class T>
Tensor<ops::StepCoefficients, CudaOf<T>> table(const std::vector<ops::StepCoefficients>& steps) {
  Tensor<ops::StepCoefficients, CudaOf<T>> out({.n = static_cast<std::int64_t>(steps.size())});
  copy_from_host(out.view(), steps.data());
  return out;
}

template <class T>
struct Case {
  Context<CudaOf<T>> ctx;
  Tensor<float, CudaOf<T>> x, z0, noise, out;
  Tensor<T, CudaOf<T>> e;
  Tensor<double, Reference> want;

  explicit Case(Shape s)
      : x(test::to_cuda<T, float>(test::random(s, 1).view())),
        z0(test::to_cuda<T, float>(test::random(s, 3).view())),
        noise(test::to_cuda<T, float>(test::random(s, 4).view())),
        out(s),
        e(test::to_cuda<T>(test::random(s, 2).view())),
        want(s) {}

  // What the formula gives for the numbers that are on the device.
  void reference(std::vector<ops::StepCoefficients> steps, bool with_noise, float eta2) {
    const auto exact = [](auto& t) { return test::to_reference(test::from_cuda<T>(t.view()).view()); };
    const auto x_ = exact_floats(x), z_ = exact_floats(z0), n_ = exact_floats(noise);
    const auto e_ = exact(e);
    Context<Reference> reference;
    ops::guided_step(reference, want.view(), x_.view(), e_.view(), z_.view(),
                     with_noise ? n_.view() : View<const double, Reference>(),
                     {steps.data(), {.n = static_cast<std::int64_t>(steps.size())}}, eta2);
  }
  static Tensor<double, Reference> exact_floats(Tensor<float, CudaOf<T>>& t) {
    return test::to_reference(test::from_cuda<T, float>(t.view()).view());
  }
  test::Comparison compare(Tensor<float, CudaOf<T>>& got) {
    return test::compare(test::from_cuda<T, float>(got.view()).view(), want.view(), 2e-6);
  }
};

std::vector<float> numbers(const Tensor<float, Cpu>& t) { return {t.data(), t.data() + t.size()}; }

}  // namespace

TEST_CASE_TEMPLATE("guided_step on the GPU follows its formula, image by image", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  for (const Shape s : kShapes)
    for (const float eta2 : {0.0f, 4.0f, 10.0f}) {
      CAPTURE(s);
      Case<T> c(s);
      c.reference(kSteps, true, eta2);
      const auto k = table<T>(kSteps);
      ops::guided_step(c.ctx, c.out.view(), c.x.view(), c.e.view(), c.z0.view(), c.noise.view(), k.view(), eta2);
      const auto got = c.compare(c.out);
      CHECK_MESSAGE(got.close, got);
    }
}

TEST_CASE_TEMPLATE("guided_step on the GPU may write to what it reads", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  const auto k = table<T>(kSteps);
  for (const Shape s : kShapes)
    for (const int which : {0, 1, 2}) {
      Case<T> c(s);
      c.reference(kSteps, true, 4.0f);
      auto& out = which == 0 ? c.x : which == 1 ? c.z0 : c.noise;
      ops::guided_step(c.ctx, out.view(), c.x.view(), c.e.view(), c.z0.view(), c.noise.view(), k.view(), 4.0f);
      const auto got = c.compare(out);
      CHECK_MESSAGE(got.close, got);
    }
}

TEST_CASE("guided_step on the GPU may write to a prediction in float") {
  if (!test::cuda_present()) return;
  Case<float> c(kShapes[0]);
  c.reference(kSteps, true, 4.0f);
  const auto k = table<float>(kSteps);
  ops::guided_step(c.ctx, c.e.view(), c.x.view(), c.e.view(), c.z0.view(), c.noise.view(), k.view(), 4.0f);
  const auto got = c.compare(c.e);
  CHECK_MESSAGE(got.close, got);
}

TEST_CASE_TEMPLATE("guided_step on the GPU needs no noise where no c1 does", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  auto steps = kSteps;
  steps[2].c1 = 0;
  const auto k = table<T>(steps), wanting = table<T>(kSteps);
  for (const Shape s : kShapes) {
    Case<T> c(s);
    c.reference(steps, false, 4.0f);
    ops::guided_step(c.ctx, c.out.view(), c.x.view(), c.e.view(), c.z0.view(), {}, k.view(), 4.0f);
    const auto got = c.compare(c.out);
    CHECK_MESSAGE(got.close, got);
    // The one that asks for noise in vain is NaN, the others are as they were.
    const auto before = numbers(test::from_cuda<T, float>(c.out.view()));
    ops::guided_step(c.ctx, c.out.view(), c.x.view(), c.e.view(), c.z0.view(), {}, wanting.view(), 4.0f);
    const auto after = numbers(test::from_cuda<T, float>(c.out.view()));
    const auto two = static_cast<std::ptrdiff_t>(before.size() / 3 * 2);
    CHECK(std::equal(before.begin(), before.begin() + two, after.begin()));
    CHECK(std::all_of(after.begin() + two, after.end(), [](float v) { return std::isnan(v); }));
  }
}

TEST_CASE_TEMPLATE("an idle image stays as it is on the GPU, bit for bit", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  auto steps = kSteps;
  steps[1] = ops::kIdle;
  const auto k = table<T>(steps);
  for (const Shape s : kShapes)
    for (const bool with_noise : {false, true})
      for (const float eta2 : {0.0f, 7.0f}) {
        Case<T> c(s);
        ops::guided_step(c.ctx, c.out.view(), c.x.view(), c.e.view(), c.z0.view(),
                         with_noise ? c.noise.view() : View<const float, CudaOf<T>>(), k.view(), eta2);
        const auto x = numbers(test::from_cuda<T, float>(c.x.view())),
                   out = numbers(test::from_cuda<T, float>(c.out.view()));
        const auto each = static_cast<std::ptrdiff_t>(x.size() / 3);
        CHECK(std::equal(x.begin() + each, x.begin() + 2 * each, out.begin() + each));
        CHECK_FALSE(std::equal(x.begin(), x.begin() + each, out.begin()));
      }
}

TEST_CASE_TEMPLATE("scale_start on the GPU mixes latent and noise with each image's factors", T, float, half,
                   bfloat16) {
  if (!test::cuda_present()) return;
  const float a[3] = {0.9f, 0.8f, 0.7f}, b[3] = {0.1f, 0.2f, 0.0f};
  Tensor<float, CudaOf<T>> signal({.n = 3}), spread({.n = 3});
  copy_from_host(signal.view(), a);
  copy_from_host(spread.view(), b);
  for (const Shape s : kShapes)
    for (const bool with_noise : {false, true})
      for (const bool in_place : {false, true}) {
        Case<T> c(s);
        const auto z = c.exact_floats(c.z0), n = c.exact_floats(c.noise);
        Context<Reference> reference;
        ops::scale_start(reference, c.want.view(), z.view(), with_noise ? n.view() : View<const double, Reference>(),
                         {a, {.n = 3}}, {b, {.n = 3}});
        auto& out = in_place ? c.z0 : c.out;
        ops::scale_start(c.ctx, out.view(), c.z0.view(), with_noise ? c.noise.view() : View<const float, CudaOf<T>>(),
                         signal.view(), spread.view());
        const auto got = c.compare(out);
        CHECK_MESSAGE(got.close, got);
      }
}

TEST_CASE("steps on the GPU refuse shapes that do not fit") {
  if (!test::cuda_present()) return;
  Case<float> c(kShapes[0]);
  const auto k = table<float>({ops::kIdle, ops::kIdle});
  CHECK_THROWS_WITH_AS(
      ops::guided_step(c.ctx, c.out.view(), c.x.view(), c.e.view(), c.z0.view(), c.noise.view(), k.view(), 4.0f),
      doctest::Contains("expected one an image"), Error);
  CHECK_THROWS_WITH_AS(ops::scale_start(c.ctx, c.out.view(), c.z0.view().images(0, 2), {}, c.x.view(), c.x.view()),
                       doctest::Contains("is not the shape of z0"), Error);
}

}  // namespace cuda_diffusion_step_test
