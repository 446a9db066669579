// Shapes, views, tensors and parameters.

#include "d3ad/core/tensor.hpp"

#include <doctest/doctest.h>

#include <sstream>
#include <type_traits>

#include "d3ad/backend/cpu/packed_weights.hpp"
#include "d3ad/backend/ops.hpp"
#include "d3ad/core/parameter.hpp"
#include "support/compare.hpp"

namespace tensor_test {

using namespace d3ad;

// What must not compile: data of one device where another's is expected, a write through a read-only view.
static_assert(!std::is_convertible_v<View<float, Cpu>, View<float, Cuda>>);
static_assert(!std::is_convertible_v<View<const float, Cpu>, View<float, Cpu>>);
static_assert(std::is_convertible_v<View<float, Cpu>, View<const float, Cpu>>);
static_assert(!std::is_copy_constructible_v<Tensor<float, Cpu>>);
static_assert(std::is_nothrow_move_constructible_v<Tensor<float, Cpu>>);
static_assert(std::is_same_v<Real<Cpu>, float> && std::is_same_v<Real<Reference>, double>);

TEST_CASE("a shape counts its elements, pixels and rows") {
  constexpr Shape s{2, 3, 4, 5};
  CHECK(s.size() == 120);
  CHECK(s.pixels() == 12);
  CHECK(s.rows() == 24);
  std::ostringstream text;
  text << s;
  CHECK(text.str() == "[n 2, h 3, w 4, c 5]");
}

TEST_CASE("views are reshaped and cut into images") {
  auto t = test::random({3, 2, 2, 4}, 1);
  const auto v = t.view().images(1, 2);
  CHECK(v.shape == Shape{2, 2, 2, 4});
  CHECK(v.data == t.data() + 16);
  CHECK(t.view().reshaped({.c = 48}).size() == 48);
  CHECK_THROWS_WITH_AS(t.view().images(2, 2), doctest::Contains("is outside"), Error);
  CHECK_THROWS_WITH_AS(t.view().reshaped({.c = 47}), doctest::Contains("has not as many elements"), Error);
}

TEST_CASE("tensors go to the host and back") {
  const auto t = test::random({1, 2, 3, 4}, 1);
  std::vector<float> host(24);
  copy_to_host(host.data(), t.view());
  Tensor<float, Cpu> back(t.shape());
  copy_from_host(back.view(), host.data());
  CHECK(test::compare(back.view(), t.view(), 0).close);
}

TEST_CASE("a parameter counts its changes, keeps its gradient and lets nobody write once it is frozen") {
  Parameter<Cpu> p("conv.weight", {4, 2, 1, 1}, {.n = 4, .c = 2});
  const auto before = p.version();
  p.edit();
  CHECK(p.version() > before);
  CHECK_FALSE(p.has_gradient());
  CHECK(p.gradient().data[7] == 0.0f);
  p.gradient().data[7] = 1.0f;
  CHECK(p.gradient().data[7] == 1.0f);
  p.freeze();
  CHECK_FALSE(p.has_gradient());
  CHECK_FALSE(p.trainable());
  CHECK_THROWS_WITH_AS(p.edit(), doctest::Contains("'conv.weight' is frozen"), Error);
}

TEST_CASE("a parameter in bfloat16 gives up its floats") {
  Parameter<Cpu> p("w", {4}, {.c = 4});
  Tensor<bfloat16, Cpu> half(p.shape());
  for (int i = 0; i < 4; ++i) half.data()[i] = bfloat16(0.5f * static_cast<float>(i));
  p.adopt_narrow(std::move(half));
  CHECK(p.narrow());
  CHECK_FALSE(p.has_plain());
  CHECK_THROWS_WITH_AS(p.value(), doctest::Contains("plain float value was freed (bfloat16)"), Error);
  Context<Cpu> ctx({.threads = 1});
  CHECK(plain_weights(ctx, p).data()[3] == 1.5f);
}

TEST_CASE("a frozen parameter gives up its plain value when it is packed, and no reader notices") {
  const auto values = test::random({33, 3, 3, 17}, 1);
  const auto frozen = [&] {
    Parameter<Cpu> p("w", {33, 17, 3, 3}, values.shape());
    copy_from_host(p.edit(), values.data());
    p.freeze();
    return p;
  };
  Context<Cpu> ctx({.threads = 1}), other({.threads = 1});
  SUBCASE("nobody reads it") {
    const auto p = frozen();
    CHECK(p.has_plain());
    packed_panels(ctx, p);
    CHECK_FALSE(p.has_plain());
    CHECK(test::compare(p.plain()->view(), values.view(), 0).close);
    CHECK_FALSE(p.has_plain());
  }
  SUBCASE("it is read later") {
    const auto p = frozen();
    packed_panels(ctx, p);
    CHECK(test::compare(p.value(), values.view(), 0).close);
    CHECK(p.has_plain());
  }
  SUBCASE("a view was handed out before") {
    const auto p = frozen();
    const auto view = p.value();
    packed_panels(ctx, p);
    CHECK(p.has_plain());
    CHECK(test::compare(view, values.view(), 0).close);
  }
  SUBCASE("somebody holds it meanwhile, and the packed copy after it") {
    const auto p = frozen();
    const auto held = plain_weights(ctx, p);
    const auto panels = packed_panels(other, p);
    CHECK_FALSE(p.has_plain());
    CHECK(test::compare(View<const float, Cpu>(held.data(), values.shape()), values.view(), 0).close);
    CHECK(packed_panels(ctx, p).data() == panels.data());
  }
}

}  // namespace tensor_test
