// What an optimizer does on the GPU: each operation against the reference device, all tensors at once against one after
// the other, and training steps against those of the CPU.

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "d3ad/autograd/adamw.hpp"
#include "d3ad/backend/cuda/ops.hpp"
#include "d3ad/backend/reference/ops.hpp"
#include "support/compare.hpp"
#include "support/cuda.hpp"

namespace cuda_optimizer_test {

using namespace d3ad;

namespace {

// Several chunks, exactly one, ends of a pack, single elements.
const std::vector<std::int64_t> kSizes{50001, 16384, 16385, 7, 1, 4, 32768, 1023};

// The state of one tensor on the GPU. shifted: it lies where packs cannot be read.
template <class T>
struct State {
  Tensor<float, CudaOf<T>> memory[5];
  std::int64_t count;
  int shift;

  State(std::int64_t size, std::uint64_t seed, bool shifted = false) : count(size), shift(shifted ? 1 : 0) {
    for (std::uint64_t i = 0; i < 5; ++i) {
      auto x = test::random({.c = count + 1}, 10 * seed + i);
      if (i == 2)
        for (std::int64_t k = 0; k <= count; ++k) x.data()[k] = std::abs(x.data()[k]);  // v is not negative
      memory[i] = test::to_cuda<T, float>(x.view());
    }
  }
  View<float, CudaOf<T>> view(int i) { return {memory[i].data() + shift, {.c = count}}; }
  ops::AdamWTensor<CudaOf<T>> tensor(bool average = true) {
    return {view(0), view(1), view(2), view(3), average ? view(4) : View<float, CudaOf<T>>()};
  }
  Tensor<float, Cpu> host(int i) { return test::from_cuda<T, float>(view(i)); }
  std::vector<float> bits() {
    std::vector<float> all;
    for (int i = 0; i < 5; ++i) {
      const auto x = host(i);
      all.insert(all.end(), x.data(), x.data() + x.size());
    }
    return all;
  }
};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

const ops::AdamW kConfig{.lr = 0.01f, .weight_decay = 0.1f};

}  // namespace

TEST_CASE_TEMPLATE("adamw, ema and sum_squares on the GPU are the reference device's", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  Context<CudaOf<T>> ctx;
  Context<Reference> reference;
  for (const std::int64_t size : kSizes)
    for (const bool shifted : {false, true}) {
      CAPTURE(size);
      State<T> s(size, 1, shifted);
      std::vector<Tensor<double, Reference>> want;
      for (int i = 0; i < 5; ++i) want.push_back(test::to_reference(s.host(i).view()));
      for (int step = 1; step <= 3; ++step) {
        ops::adamw(ctx, s.view(0), s.view(1), s.view(2), s.view(3), kConfig, step, 0.5f);
        ops::adamw(reference, want[0].view(), want[1].view(), want[2].view(), want[3].view(), kConfig, step, 0.5);
        ops::ema(ctx, s.view(4), s.view(0), 0.75f);
        ops::ema(reference, want[4].view(), want[0].view(), 0.75);
      }
      for (int i = 0; i < 5; ++i) {
        const auto c = test::compare(s.host(i).view(), want[static_cast<std::size_t>(i)].view(), 2e-6);
        CHECK_MESSAGE(c.close, "tensor ", i, ": ", c);
      }
      CHECK(ops::sum_squares(ctx, s.view(3)) ==
            doctest::Approx(ops::sum_squares(reference, want[3].view())).epsilon(1e-12));
    }
}

TEST_CASE("sums on the GPU depend on the numbers alone, not on where they lie, and know NaN") {
  if (!test::cuda_present()) return;
  Context<Cuda> ctx;
  for (const std::int64_t size : {50001, 9000001}) {
    auto host = test::random({.c = size}, 7);
    Tensor<float, Cuda> memory({.c = size + 1});
    double sums[2], all[2];
    for (const int shift : {0, 1}) {
      const View<float, Cuda> x{memory.data() + shift, {.c = size}};
      copy_from_host(x, host.data());
      sums[shift] = ops::sum_squares(ctx, x);
      all[shift] = ops::sum_squares_all(ctx, {{{}, {}, {}, x, {}}});
    }
    CHECK(sums[0] == sums[1]);
    CHECK(all[0] == all[1]);
    CHECK(sums[0] == doctest::Approx(all[0]).epsilon(1e-12));
  }
  auto bad = test::random({.c = 70001}, 8);
  bad.data()[70000] = std::nanf("");
  const auto x = test::to_cuda<float>(bad.view());
  CHECK(std::isnan(ops::sum_squares(ctx, x.view())));
  CHECK(std::isnan(ops::sum_squares_all(ctx, {{{}, {}, {}, x.view(), {}}})));
  CHECK(ops::sum_squares_all(ctx, {}) == 0);
  CHECK(ops::sum_squares(ctx, View<const float, Cuda>(x.data(), {.c = 0})) == 0);
}

TEST_CASE_TEMPLATE("all tensors at once are the same as one after the other", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  Context<CudaOf<T>> ctx;
  std::vector<State<T>> together, apart;
  for (std::size_t i = 0; i < kSizes.size(); ++i)
    for (auto* states : {&together, &apart}) states->emplace_back(kSizes[i], i + 1, i % 3 == 2);
  std::vector<ops::AdamWTensor<CudaOf<T>>> tensors;
  for (std::size_t i = 0; i < together.size(); ++i) tensors.push_back(together[i].tensor(i % 2 == 0));
  for (int step = 1; step <= 2; ++step) {
    ops::adamw_all(ctx, tensors, kConfig, step, 0.5f, 0.75f);
    double squares = 0;
    for (std::size_t i = 0; i < apart.size(); ++i) {
      auto& s = apart[i];
      ops::adamw(ctx, s.view(0), s.view(1), s.view(2), s.view(3), kConfig, step, 0.5f);
      if (i % 2 == 0) ops::ema(ctx, s.view(4), s.view(0), 0.75f);
      squares += ops::sum_squares(ctx, s.view(3));
    }
    for (std::size_t i = 0; i < apart.size(); ++i) CHECK(same_bits(together[i].bits(), apart[i].bits()));
    CHECK(ops::sum_squares_all(ctx, tensors) == doctest::Approx(squares).epsilon(1e-12));
  }
}

TEST_CASE("the table of tensors follows when they change, and two optimizers can take turns") {
  if (!test::cuda_present()) return;
  Context<Cuda> ctx;
  State<float> a(40000, 1), b(300, 2), c(20000, 3), a2(40000, 1), b2(300, 2), c2(20000, 3);
  const auto one = [&](State<float>& s, int step) {
    ops::adamw(ctx, s.view(0), s.view(1), s.view(2), s.view(3), kConfig, step, 1.0f);
  };
  ops::adamw_all(ctx, {a.tensor(false), b.tensor(false)}, kConfig, 1, 1.0f, 0.0f);
  ops::adamw_all(ctx, {c.tensor(false)}, kConfig, 1, 1.0f, 0.0f);
  for (auto* s : {&a2, &b2, &c2}) one(*s, 1);
  const auto allocations = Memory<Cuda>::allocations();
  ops::adamw_all(ctx, {a.tensor(false), b.tensor(false)}, kConfig, 2, 1.0f, 0.0f);
  ops::adamw_all(ctx, {c.tensor(false)}, kConfig, 2, 1.0f, 0.0f);
  CHECK(Memory<Cuda>::allocations() == allocations);
  for (auto* s : {&a2, &b2, &c2}) one(*s, 2);
  // Fewer, then others, under the same first tensor.
  ops::adamw_all(ctx, {a.tensor(false)}, kConfig, 3, 1.0f, 0.0f);
  ops::adamw_all(ctx, {a.tensor(false), c.tensor(false)}, kConfig, 4, 1.0f, 0.0f);
  one(a2, 3), one(a2, 4), one(c2, 4);
  CHECK(same_bits(a.bits(), a2.bits()));
  CHECK(same_bits(b.bits(), b2.bits()));
  CHECK(same_bits(c.bits(), c2.bits()));
}

TEST_CASE_TEMPLATE("AdamW trains on the GPU as on the CPU", T, float, half, bfloat16) {
  if (!test::cuda_present()) return;
  Context<CudaOf<T>> ctx;
  Context<Cpu> cpu({.threads = 1});
  const Shape s{.c = 20001};
  Parameter<CudaOf<T>> a("a", {s.c}, s), b("b", {3}, {.c = 3}), fixed("fixed", {2}, {.c = 2}, false);
  Parameter<Cpu> a_cpu("a", {s.c}, s), b_cpu("b", {3}, {.c = 3}), fixed_cpu("fixed", {2}, {.c = 2}, false);
  test::random(a_cpu.edit(), 1);
  test::random(b_cpu.edit(), 2);
  test::random(fixed_cpu.edit(), 3);
  copy_from_host(a.edit(), a_cpu.value().data);
  copy_from_host(b.edit(), b_cpu.value().data);
  copy_from_host(fixed.edit(), fixed_cpu.value().data);
  AdamW<CudaOf<T>> optimizer({&a, &b, &fixed}, kConfig);
  AdamW<Cpu> on_cpu({&a_cpu, &b_cpu, &fixed_cpu}, kConfig);
  const auto same = [](Parameter<CudaOf<T>>& got, const Parameter<Cpu>& want) {
    const auto c = test::compare(test::from_cuda<T, float>(got.edit()).view(), want.value(), 2e-6);
    CHECK_MESSAGE(c.close, got.name(), ": ", c);
  };
  for (int step = 1; step <= 4; ++step) {
    optimizer.zero_gradients(ctx);
    CHECK(ops::sum_squares(ctx, a.gradient()) == 0);
    for (auto* p : {&a_cpu, &b_cpu}) test::random(p->gradient(), static_cast<std::uint64_t>(100 + step));
    copy_from_host(a.gradient(), a_cpu.gradient().data);
    copy_from_host(b.gradient(), b_cpu.gradient().data);
    const double norm = optimizer.step(ctx, {.lr_factor = 0.5, .clip = 1.0, .ema = 0.3});
    CHECK(norm == doctest::Approx(on_cpu.step(cpu, {.lr_factor = 0.5, .clip = 1.0, .ema = 0.3})).epsilon(1e-10));
    same(a, a_cpu);
    same(b, b_cpu);
    same(fixed, fixed_cpu);
  }
  optimizer.take_averages(ctx);
  on_cpu.take_averages(cpu);
  same(a, a_cpu);
  same(b, b_cpu);

  // One number that is not finite: an Error, and nothing moves.
  const float bad = INFINITY;
  copy_from_host(View<float, CudaOf<T>>(b.gradient().data + 1, {}), &bad);
  CHECK_THROWS_WITH_AS(optimizer.step(ctx, {}), doctest::Contains("not finite at step 5"), Error);
  same(a, a_cpu);
  same(b, b_cpu);
}

TEST_CASE("the optimizer's operations on the GPU refuse what does not fit") {
  if (!test::cuda_present()) return;
  Context<Cuda> ctx;
  State<float> a(8, 1), b(9, 2);
  const auto x = a.view(0), y = b.view(0);
  using doctest::Contains;
  CHECK_THROWS_WITH_AS(ops::adamw(ctx, x, x, y, x, {}, 1, 1), Contains("adamw: moments"), Error);
  CHECK_THROWS_WITH_AS(ops::adamw_all(ctx, {{x, x, x, y, {}}}, {}, 1, 1, 0), Contains("adamw: moments"), Error);
  CHECK_THROWS_WITH_AS(ops::adamw_all(ctx, {{x, x, x, x, y}}, {}, 1, 1, 0), Contains("ema: average"), Error);
  CHECK_THROWS_WITH_AS(ops::adamw_all(ctx, {a.tensor()}, {}, 0, 1, 0), Contains("expected 1 or more"), Error);
  CHECK_THROWS_WITH_AS(ops::ema(ctx, x, y, 0.5f), Contains("ema: average"), Error);
}

}  // namespace cuda_optimizer_test
