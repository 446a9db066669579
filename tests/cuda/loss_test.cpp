// Losses and their gradients on the GPU against the reference device, in each activation type.

#include "d3ad/backend/reference/loss.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "d3ad/autograd/functions.hpp"
#include "d3ad/backend/cuda/ops.hpp"
#include "d3ad/backend/reference/ops.hpp"
#include "support/compare.hpp"
#include "support/cuda.hpp"
#include "support/number.hpp"

namespace cuda_loss_test {

using namespace d3ad;

namespace {

// With packs and without, several images, more than one block.
const std::vector<Shape> kShapes{{2, 5, 7, 3}, {3, 12, 16, 32}, {1, 50, 30, 5}, {3, 1, 3, 4}};
// Many rows of few classes, few rows of many.
const std::vector<Shape> kRows{{2, 9, 11, 3}, {3, 1, 3, 40}, {.n = 5, .c = 1000}, {.n = 7, .c = 2}};

template <class T>
constexpr double kTolerance = std::is_same_v<T, float>  ? 2e-6
                              : std::is_same_v<T, half> ? 1e-3
                                                        : 8e-3;

// Two operands on the GPU, and the same numbers for the reference device.
template <class T>
struct Case {
  Context<CudaOf<T>> ctx;
  Context<Reference> reference;
  Tensor<T, CudaOf<T>> x, y, out;
  Tensor<double, Reference> exact_x, exact_y, want;

  Case(Shape s, Shape result, float size = 1)
      : x(rounded(s, 1, size)),
        y(rounded(s, 2, size)),
        out(result),
        exact_x(exact(x)),
        exact_y(exact(y)),
        want(result) {}
  static Tensor<T, CudaOf<T>> rounded(Shape s, std::uint64_t seed, float size) {
    auto host = test::random(s, seed);
    for (std::int64_t i = 0; i < host.size(); ++i) host.data()[i] *= size;
    return test::to_cuda<T>(host.view());
  }
  static Tensor<double, Reference> exact(Tensor<T, CudaOf<T>>& t) {
    return test::to_reference(test::from_cuda<T>(t.view()).view());
  }
  void check() {
    const auto c = test::compare(test::from_cuda<T>(out.view()).view(), want.view(), kTolerance<T>);
    CHECK_MESSAGE(c.close, c);
  }
};

// f(context, out, x, y) on both.
template <class T, class F>
void same(const char* what, Shape s, Shape result, F f) {
  CAPTURE(what);
  CAPTURE(s);
  Case<T> c(s, result);
  f(c.ctx, c.out.view(), c.x.view(), c.y.view());
  f(c.reference, c.want.view(), c.exact_x.view(), c.exact_y.view());
  c.check();
}

template <class T>
Tensor<std::int32_t, CudaOf<T>> upload(const std::vector<std::int32_t>& labels) {
  Tensor<std::int32_t, CudaOf<T>> out({.n = static_cast<std::int64_t>(labels.size())});
  copy_from_host(out.view(), labels.data());
  return out;
}

template <class T>
std::vector<float> numbers(Tensor<T, CudaOf<T>>& t) {
  const auto host = test::from_cuda<T>(t.view());
  return {host.data(), host.data() + host.size()};
}

}  // namespace

TEST_CASE_TEMPLATE("losses on the GPU and their gradients are the reference device's", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  for (const Shape s : kShapes) {
    // As large as training in half has it scaled: its smallest numbers are coarse.
    const auto d = 0.7f * static_cast<float>(s.size());
    same<T>("mse", s, {}, [](auto& c, auto out, auto x, auto y) { ops::mse(c, out, x, y); });
    same<T>("mse_backward", s, s,
            [=](auto& c, auto out, auto x, auto y) { ops::mse_backward(c, out, x, y, test::number(c, d).view()); });
    same<T>("l1", s, {}, [](auto& c, auto out, auto x, auto y) { ops::l1(c, out, x, y); });
    same<T>("l1_backward", s, s,
            [=](auto& c, auto out, auto x, auto y) { ops::l1_backward(c, out, x, y, test::number(c, d).view()); });
    same<T>("l1_backward at 0", s, s,
            [=](auto& c, auto out, auto x, auto) { ops::l1_backward(c, out, x, x, test::number(c, d).view()); });
    same<T>("cosine_loss", s, {}, [](auto& c, auto out, auto x, auto y) { ops::cosine_loss(c, out, x, y); });
    same<T>("cosine_loss_backward to x", s, s, [=](auto& c, auto out, auto x, auto y) {
      ops::cosine_loss_backward(c, out, {}, x, y, test::number(c, d).view());
    });
    same<T>("cosine_loss_backward to y", s, s, [=](auto& c, auto out, auto x, auto y) {
      ops::cosine_loss_backward(c, {}, out, x, y, test::number(c, d).view());
    });
    same<T>("kl", s, {}, [](auto& c, auto out, auto x, auto y) { ops::kl(c, out, x, y); });
    same<T>("kl_backward to the mean", s, s, [](auto& c, auto out, auto x, auto y) {
      ops::kl_backward(c, out, {}, x, y, test::number(c, 7.0f).view());
    });
    same<T>("kl_backward to the variance", s, s, [](auto& c, auto out, auto x, auto y) {
      ops::kl_backward(c, {}, out, x, y, test::number(c, 7.0f).view());
    });
  }
}

TEST_CASE_TEMPLATE("both gradients of a loss at once are those apart", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  for (const Shape s : kShapes) {
    Case<T> c(s, s);
    Tensor<T, CudaOf<T>> dx(s), dy(s);
    const auto check = [&](auto op) {
      op(dx.view(), dy.view());
      op(c.out.view(), View<T, CudaOf<T>>());
      CHECK(numbers<T>(dx) == numbers<T>(c.out));
      op(View<T, CudaOf<T>>(), c.out.view());
      CHECK(numbers<T>(dy) == numbers<T>(c.out));
    };
    check([&](auto a, auto b) {
      ops::cosine_loss_backward(c.ctx, a, b, c.x.view(), c.y.view(), test::number(c.ctx, 0.7f).view());
    });
    check([&](auto a, auto b) {
      ops::kl_backward(c.ctx, a, b, c.x.view(), c.y.view(), test::number(c.ctx, 0.7f).view());
    });
  }
}

#if defined(D3AD_CUDA_EMULATION)
TEST_CASE_TEMPLATE("on a tape a loss and its gradient wait for nothing", T, float, half, bfloat16) {
  using Device = CudaOf<T>;
  Context<Device> ctx;
  const Case<T> numbers({2, 5, 7, 3}, {});
  using Operand = Value<T, Device>;
  const auto pass = [&] {
    Tape<Device> tape(ctx);
    const auto x = tape.leaf(Operand::borrow(numbers.x.view())), y = tape.leaf(Operand::borrow(numbers.y.view()));
    tape.backward(fn::add(tape, fn::add(tape, fn::mse(tape, x, y), fn::l1(tape, x, y)),
                          fn::add(tape, fn::cosine_loss(tape, x, y), fn::kl(tape, x, y))));
    CHECK(tape.gradient(x));
  };
  pass(), pass();  // memory is taken
  const auto waits = emulation::waits();
  pass();
  CHECK(emulation::waits() == waits);
}
#endif

TEST_CASE_TEMPLATE("cross entropy on the GPU is the reference device's", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  for (const Shape s : kRows)
    for (const float size : {1.0f, 60.0f}) {
      std::vector<std::int32_t> host;
      for (std::int64_t r = 0; r < s.rows(); ++r) host.push_back(static_cast<std::int32_t>((r * 7 + 1) % s.c));
      const auto labels = upload<T>(host);
      const View<const std::int32_t, Reference> on_reference(host.data(), {.n = s.rows()});
      Case<T> c(s, {}, size), back(s, s, size);
      ops::cross_entropy(c.ctx, c.out.view(), c.x.view(), labels.view());
      ops::cross_entropy(c.reference, c.want.view(), c.exact_x.view(), on_reference);
      c.check();
      const auto d = 0.7f * static_cast<float>(s.rows());
      ops::cross_entropy_backward(back.ctx, back.out.view(), back.x.view(), labels.view(),
                                  test::number(back.ctx, d).view());
      ops::cross_entropy_backward(back.reference, back.want.view(), back.exact_x.view(), on_reference,
                                  test::number(back.reference, double{d}).view());
      back.check();
    }
}

TEST_CASE_TEMPLATE("a label that is no class makes the loss NaN, and its row's gradient", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  const Shape s{.n = 9, .c = 5};
  for (const std::int32_t bad :
       {5, -1, std::numeric_limits<std::int32_t>::max(), std::numeric_limits<std::int32_t>::min()}) {
    Case<T> c(s, {}), back(s, s);
    std::vector<std::int32_t> host(9, 4);
    host[6] = bad;
    const auto labels = upload<T>(host);
    ops::cross_entropy(c.ctx, c.out.view(), c.x.view(), labels.view());
    CHECK(std::isnan(numbers<T>(c.out)[0]));
    ops::cross_entropy_backward(back.ctx, back.out.view(), back.x.view(), labels.view(),
                                test::number(back.ctx, 1.0f).view());
    const auto gradient = numbers<T>(back.out);
    for (std::size_t i = 0; i < gradient.size(); ++i) CHECK(std::isnan(gradient[i]) == (i / 5 == 6));
  }
}

TEST_CASE_TEMPLATE("NaN in an operand is NaN in its loss", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  const Shape s{2, 3, 5, 7};
  auto host = test::random(s, 1);
  host.data()[201] = std::numeric_limits<float>::quiet_NaN();
  const auto x = test::to_cuda<T>(host.view());
  Case<T> c(s, {});
  const auto is_nan = [&] { return std::isnan(numbers<T>(c.out)[0]); };
  ops::mse(c.ctx, c.out.view(), x.view(), c.y.view());
  CHECK(is_nan());
  ops::l1(c.ctx, c.out.view(), c.y.view(), x.view());
  CHECK(is_nan());
  ops::cosine_loss(c.ctx, c.out.view(), x.view(), c.y.view());
  CHECK(is_nan());
  ops::kl(c.ctx, c.out.view(), c.y.view(), x.view());
  CHECK(is_nan());
  ops::cross_entropy(c.ctx, c.out.view(), x.view(), upload<T>(std::vector<std::int32_t>(30, 2)).view());
  CHECK(is_nan());
}

TEST_CASE("a cosine loss of nothing is one on the GPU too, with no NaN in its gradient") {
  if (!test::cuda_present()) return;
  Context<Cuda> ctx;
  Tensor<float, Cuda> x({.n = 2, .c = 8}), dx({.n = 2, .c = 8}), loss(Shape{});
  const std::vector<float> zeros(16);
  copy_from_host(x.view(), zeros.data());
  ops::cosine_loss(ctx, loss.view(), x.view(), x.view());
  CHECK(numbers<float>(loss)[0] == 1.0f);
  ops::cosine_loss_backward(ctx, dx.view(), {}, x.view(), x.view(), test::number(ctx, 1.0f).view());
  CHECK(numbers<float>(dx) == zeros);
}

TEST_CASE_TEMPLATE("a loss on the GPU has the same bits wherever its operands lie", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  const Shape s{2, 31, 33, 8};
  Case<T> c(s, {});
  std::vector<T> host(static_cast<std::size_t>(s.size()));
  copy_to_host(host.data(), View<const T, CudaOf<T>>(c.x.view()));
  Tensor<T, CudaOf<T>> memory({.c = s.size() + 1});
  const View<T, CudaOf<T>> shifted{memory.data() + 1, s};
  copy_from_host(shifted, host.data());
  for (const auto op : {+[](Context<CudaOf<T>>&ctx, View<T, CudaOf<T>> out, In<T, CudaOf<T>> x, In<T, CudaOf<T>> y) {
                          ops::mse(ctx, out, x, y);
                        },
                        +[](Context<CudaOf<T>>&ctx, View<T, CudaOf<T>> out, In<T, CudaOf<T>> x, In<T, CudaOf<T>> y) {
                          ops::cosine_loss(ctx, out, x, y);
                        }}) {
    op(c.ctx, c.out.view(), c.x.view(), c.y.view());
    const auto first = numbers<T>(c.out);
    op(c.ctx, c.out.view(), shifted, c.y.view());
    CHECK(numbers<T>(c.out) == first);
  }
}

TEST_CASE("losses on the GPU refuse shapes that do not fit") {
  if (!test::cuda_present()) return;
  Context<Cuda> ctx;
  Tensor<float, Cuda> a({1, 3, 4, 2}), b({1, 4, 4, 2}), one(Shape{});
  const auto labels = upload<float>({1, 0});
  using doctest::Contains;
  CHECK_THROWS_WITH_AS(ops::mse(ctx, one.view(), a.view(), b.view()), Contains("expected one shape"), Error);
  CHECK_THROWS_WITH_AS(ops::l1(ctx, a.view(), a.view(), a.view()), Contains("expected one number"), Error);
  CHECK_THROWS_WITH_AS(ops::mse_backward(ctx, b.view(), a.view(), a.view(), test::number(ctx, 1).view()),
                       Contains("expected one shape"), Error);
  CHECK_THROWS_WITH_AS(ops::kl_backward(ctx, b.view(), {}, a.view(), a.view(), test::number(ctx, 1).view()),
                       Contains("expected one shape"), Error);
  CHECK_THROWS_WITH_AS(ops::cross_entropy(ctx, one.view(), a.view(), labels.view()), Contains("one for each row"),
                       Error);
}

}  // namespace cuda_loss_test
