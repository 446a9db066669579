// Normal numbers on the GPU are the CPU's to the bit, wherever in the stream they begin; add_noise is the formula's.

#include "d3ad/backend/cpu/noise.hpp"

#include <doctest/doctest.h>

#include <cstring>

#include "d3ad/backend/cuda/ops.hpp"
#include "support/compare.hpp"
#include "support/cuda.hpp"

namespace cuda_noise_test {

using namespace d3ad;

namespace {

// A view into the middle of a tensor, so that packs cannot be stored.
template <class T>
View<float, CudaOf<T>> off_by_one(Tensor<float, CudaOf<T>>& x, std::int64_t count) {
  return {x.data() + 1, {.c = count}};
}

}  // namespace

TEST_CASE_TEMPLATE("normal numbers of the GPU are the CPU's bits", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  Context<CudaOf<T>> ctx;
  Context<Cpu> cpu({.threads = 1});
  const Rng rng(20, Rng::stream("noise"));
  for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{6}, std::uint64_t{7},
                                    std::uint64_t{40000}, (std::uint64_t{1} << 40) + 3, ~std::uint64_t{0} - 9})
    for (const std::int64_t count : {1, 2, 3, 4, 5, 127, 20003})
      for (const bool shifted : {false, true}) {
        CAPTURE(first);
        CAPTURE(count);
        Tensor<float, Cpu> want({.c = count});
        ops::normal(cpu, want.view(), rng, first);
        Tensor<float, CudaOf<T>> memory({.c = count + 2});
        ops::normal(ctx, shifted ? off_by_one<T>(memory, count) : View<float, CudaOf<T>>(memory.data(), {.c = count}),
                    rng, first);
        const auto got = test::from_cuda<T, float>(memory.view());
        CHECK(std::memcmp(got.data() + (shifted ? 1 : 0), want.data(),
                          static_cast<std::size_t>(count) * sizeof(float)) == 0);
      }
}

TEST_CASE("a normal number does not depend on how many come with it") {
  if (!test::cuda_present()) return;
  Context<Cuda> ctx;
  const Rng rng(4, 5);
  Tensor<float, Cuda> all({.c = 5000000}), few({.c = 1000});  // more than all threads of a grid make at once
  ops::normal(ctx, all.view(), rng, 3);
  ops::normal(ctx, few.view(), rng, 3 + 4999000);
  const auto a = test::from_cuda<float>(all.view()), b = test::from_cuda<float>(few.view());
  CHECK(std::memcmp(a.data() + 4999000, b.data(), 1000 * sizeof(float)) == 0);
}

TEST_CASE_TEMPLATE("add_noise mixes with each image's factors", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  Context<CudaOf<T>> ctx;
  Context<Cpu> cpu({.threads = 1});
  for (const Shape s : {Shape{3, 9, 16, 32}, {2, 5, 7, 3}, {1, 1, 1, 1}, {5, 1, 1, 4}, {3, 33, 31, 4}}) {
    const auto z = test::random(s, 1), e = test::random(s, 2), a = test::random({.n = s.n}, 3),
               b = test::random({.n = s.n}, 4);
    Tensor<float, Cpu> want(s);
    ops::add_noise(cpu, want.view(), z.view(), e.view(), a.view(), b.view());
    const auto factors = test::to_cuda<T, float>(a.view()), noise_factors = test::to_cuda<T, float>(b.view());
    for (const int alias : {-1, 0, 1}) {
      auto from = test::to_cuda<T, float>(z.view()), noise = test::to_cuda<T, float>(e.view());
      Tensor<float, CudaOf<T>> own(s);
      const auto out = alias < 0 ? own.view() : alias == 0 ? from.view() : noise.view();
      ops::add_noise(ctx, out, from.view(), noise.view(), factors.view(), noise_factors.view());
      const auto c = test::compare(test::from_cuda<T, float>(out).view(), want.view(), 1e-6);
      CHECK_MESSAGE(c.close, c);
    }
  }
}

TEST_CASE("noise on the GPU refuses shapes that do not fit") {
  if (!test::cuda_present()) return;
  Context<Cuda> ctx;
  Tensor<float, Cuda> x({2, 3, 3, 1}), one(Shape{});
  CHECK_THROWS_WITH_AS(ops::add_noise(ctx, x.view(), x.view(), x.view(), one.view(), one.view()),
                       doctest::Contains("expected one an image"), Error);
}

}  // namespace cuda_noise_test
