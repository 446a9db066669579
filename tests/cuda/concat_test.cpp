// concat and split on a GPU in each activation type: against the reference device, with packs and without.

#include <doctest/doctest.h>

#include "support/cuda_types.hpp"

namespace cuda_concat_test {

using namespace d3ad;

TEST_CASE_TEMPLATE("CUDA: concat and split are those of the reference device", T, float, half, bfloat16) {
  for (const auto& [p, q] : {std::pair{3, 5}, {32, 64}, {64, 36}, {1, 1}, {8, 3}}) {
    const Shape a{2, 9, 13, p}, b{2, 9, 13, q}, both{2, 9, 13, p + q};
    test::same_in_type<T>({a, b}, both, 0, [](auto& ctx, auto out, auto in) { ops::concat(ctx, out, in[0], in[1]); });
    test::same_in_type<T>({both}, a, 0, [](auto& ctx, auto out, auto in) { ops::split(ctx, out, {}, in[0]); });
    test::same_in_type<T>({both}, b, 0, [](auto& ctx, auto out, auto in) { ops::split(ctx, {}, out, in[0]); });
    test::same_in_type<T>({both, b}, a, 0, [](auto& ctx, auto out, auto in) { ops::split(ctx, out, in[1], in[0]); });
    test::same_in_type<T>({both, a}, b, 0, [](auto& ctx, auto out, auto in) { ops::split(ctx, in[1], out, in[0]); });
  }
}

TEST_CASE("CUDA: concat and split refuse shapes that do not fit") {
  if (!test::cuda_present()) return;
  Context<Cuda> ctx;
  Tensor<float, Cuda> a({1, 3, 4, 2}), b({1, 4, 4, 2});
  using doctest::Contains;
  CHECK_THROWS_WITH_AS(ops::concat(ctx, a.view(), a.view(), b.view()), Contains("differ in more than channels"), Error);
  CHECK_THROWS_WITH_AS(ops::split(ctx, b.view(), {}, a.view()), Contains("are not the parts of"), Error);
}

}  // namespace cuda_concat_test
