// ops/bilinear.hpp on the GPU against the reference device.

#include "d3ad/ops/bilinear.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "d3ad/backend/cuda/context.hpp"
#include "d3ad/backend/reference/bilinear.hpp"
#include "d3ad/backend/reference/ops.hpp"
#include "support/compare.hpp"
#include "support/cuda.hpp"

namespace cuda_bilinear_test {

using namespace d3ad;

namespace {

template <class T>
Tensor<float, Cpu> resized(const Tensor<float, Cpu>& x, Shape to) {
  Context<CudaOf<T>> ctx;
  Tensor<float, CudaOf<T>> out(to);
  ops::bilinear_align_corners(ctx, out.view(), test::to_cuda<T, float>(x.view()).view());
  return test::from_cuda<T, float>(out.view());
}

void same_as_reference(Shape from, std::int64_t h, std::int64_t w) {
  CAPTURE(from);
  CAPTURE(h);
  CAPTURE(w);
  const auto x = test::random(from, 1);
  const Shape to{from.n, h, w, from.c};
  Context<Reference> exact;
  Tensor<double, Reference> want(to);
  ops::bilinear_align_corners(exact, want.view(), test::to_reference(x.view()).view());
  const auto got = test::compare(resized<float>(x, to).view(), want.view(), 1e-6);
  CHECK_MESSAGE(got.close, got);
}

}  // namespace

TEST_CASE("CUDA: bilinear_align_corners is that of the reference device at any size") {
  if (!test::cuda_present()) return;
  for (const Shape s : {Shape{2, 5, 7, 3}, Shape{1, 1, 1, 2}, Shape{1, 1, 9, 1}, Shape{1, 32, 32, 1}, Shape{3, 4, 5, 4},
                        Shape{2, 9, 2, 12}})
    for (const Shape to : {Shape{.h = 1, .w = 1}, Shape{.h = 5, .w = 7}, Shape{.h = 13, .w = 4},
                           Shape{.h = 64, .w = 63}, Shape{.h = 2, .w = 300}})
      same_as_reference(s, to.h, to.w);
  same_as_reference({1, 16, 16, 1}, 1100, 1000);  // more elements than the grid has threads
}

TEST_CASE_TEMPLATE("CUDA: bilinear_align_corners keeps corners, and has the same bits for all activations", T, half,
                   bfloat16) {
  if (!test::cuda_present()) return;
  const auto x = test::random({1, 4, 4, 1}, 2);
  const auto out = resized<T>(x, {1, 11, 9, 1}), other = resized<float>(x, {1, 11, 9, 1});
  CHECK(out.data()[0] == x.data()[0]);
  CHECK(out.data()[8] == x.data()[3]);
  CHECK(out.data()[10 * 9] == x.data()[12]);
  CHECK(out.data()[98] == x.data()[15]);
  CHECK(std::equal(out.data(), out.data() + out.size(), other.data()));
}

TEST_CASE("CUDA: bilinear_align_corners refuses other batches and empty images; of no images it makes none") {
  if (!test::cuda_present()) return;
  Context<Cuda> ctx;
  Tensor<float, Cuda> x({2, 3, 3, 1}), other({1, 3, 3, 1}), empty({1, 0, 3, 1}), none({0, 3, 3, 1});
  CHECK_THROWS_AS(ops::bilinear_align_corners(ctx, other.view(), x.view()), Error);
  CHECK_THROWS_AS(ops::bilinear_align_corners(ctx, other.view(), empty.view()), Error);
  CHECK_NOTHROW(ops::bilinear_align_corners(ctx, none.view(), none.view()));
}

}  // namespace cuda_bilinear_test
