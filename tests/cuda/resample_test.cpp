// upsample_nearest2 on a GPU in each activation type: against the reference device, with packs and without.

#include <doctest/doctest.h>

#include "support/cuda_types.hpp"

namespace cuda_resample_test {

using namespace d3ad;

TEST_CASE_TEMPLATE("CUDA: upsampling is that of the reference device", T, float, half, bfloat16) {
  for (const Shape s : {Shape{2, 4, 6, 3}, {1, 1, 1, 1}, {3, 5, 9, 8}, {2, 7, 5, 20}, {1, 3, 7, 64}}) {
    const Shape twice{s.n, 2 * s.h, 2 * s.w, s.c};
    test::same_in_type<T>({s}, twice, 0, [](auto& ctx, auto out, auto in) { ops::upsample_nearest2(ctx, out, in[0]); });
    test::same_in_type<T>({twice}, s, 3e-7,
                          [](auto& ctx, auto out, auto in) { ops::upsample_nearest2_backward(ctx, out, in[0]); });
  }
}

TEST_CASE("CUDA: upsampling refuses shapes that do not fit") {
  if (!test::cuda_present()) return;
  Context<Cuda> ctx;
  Tensor<float, Cuda> a({1, 3, 4, 2}), b({1, 6, 4, 2});
  using doctest::Contains;
  CHECK_THROWS_WITH_AS(ops::upsample_nearest2(ctx, b.view(), a.view()), Contains("upsample_nearest2: the output"),
                       Error);
  CHECK_THROWS_WITH_AS(ops::upsample_nearest2_backward(ctx, a.view(), b.view()),
                       Contains("upsample_nearest2: the output"), Error);
}

}  // namespace cuda_resample_test
