// Contexts of several threads read one frozen parameter, which each of them may be the first to pack: none may take
// away what another one still reads. To be run under ASan and TSan too (CMakePresets.json); oneDNN's generated code,
// which no sanitizer sees into, reads the weights of `linear` here, and would crash on memory that is given back.

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "d3ad/backend/cpu/conv_plan.hpp"
#include "d3ad/backend/ops.hpp"
#include "d3ad/core/parameter.hpp"
#include "support/compare.hpp"

namespace ops_shared_weights_test {

using namespace d3ad;
using conv::Algorithm;

namespace {

Parameter<Cpu> frozen(const Tensor<float, Cpu>& values) {
  const Shape s = values.shape();
  Parameter<Cpu> p("weight", {s.n, s.c, s.h, s.w}, s);
  copy_from_host(p.edit(), values.data());
  p.freeze();
  return p;
}

using Output = Tensor<float, Cpu>;

// A 1x1 convolution, whose weights our own kernels want packed.
void block(Context<Cpu>& ctx, Output& y, const Tensor<float, Cpu>& x, const Parameter<Cpu>& w) {
  ops::conv_block<Cpu>(ctx, {.y = y.view()}, {.x = x.view()}, w, {.kernel = 1});
}
// 3x3, by an algorithm.
void conv3(Context<Cpu>& ctx, Algorithm algorithm, Output& y, const Tensor<float, Cpu>& x, const Parameter<Cpu>& w) {
  conv::plan_of(ctx).prefer(algorithm);
  ops::conv2d(ctx, y.view(), x.view(), w, {}, {.kernel = 3, .pad = 1});
}

// Runs `first` and, some milliseconds after it began, `second`, each on a context and a thread of its own.
template <class First, class Second>
void run_both(std::chrono::milliseconds later, First first, Second second) {
  std::atomic<bool> begun = false;
  std::thread a([&] {
    Context<Cpu> ctx({.threads = 1});
    begun = true;
    first(ctx);
  });
  std::thread b([&] {
    Context<Cpu> ctx({.threads = 1});
    while (!begun) std::this_thread::yield();
    std::this_thread::sleep_for(later);
    second(ctx);
  });
  a.join(), b.join();
}

}  // namespace

TEST_CASE("a product reads the plain weights while another context packs them and gives the plain ones up") {
  constexpr std::int64_t kChannels = 512;
  const auto values = test::random({.n = kChannels, .c = kChannels}, 1);
  const auto large = test::random({1, 64, 64, kChannels}, 2), small = test::random({1, 4, 4, kChannels}, 3);
  Output want_large(large.shape()), want_small(small.shape());
  Context<Cpu> ctx({.threads = 1});
  const auto alone = frozen(values);
  ops::linear(ctx, want_large.view(), large.view(), alone, {});
  block(ctx, want_small, small, alone);
  for (int round = 0; round < 6; ++round) {
    CAPTURE(round);
    const auto w = frozen(values);
    Output got_large(large.shape()), got_small(small.shape());
    run_both(
        std::chrono::milliseconds(3 * round),
        [&](Context<Cpu>& c) { ops::linear(c, got_large.view(), large.view(), w, {}); },
        [&](Context<Cpu>& c) { block(c, got_small, small, w); });
    CHECK(test::compare(got_large.view(), want_large.view(), 0).close);
    CHECK(test::compare(got_small.view(), want_small.view(), 0).close);
  }
}

TEST_CASE("convolutions of two contexts want one parameter in two layouts at the same time") {
  constexpr std::int64_t kChannels = 64;
  const auto values = test::random({kChannels, 3, 3, kChannels}, 1);
  const auto x = test::random({1, 48, 48, kChannels}, 2);
  std::vector<std::pair<Algorithm, Algorithm>> pairs{{Algorithm::direct, Algorithm::onednn},
                                                     {Algorithm::onednn, Algorithm::winograd4},
                                                     {Algorithm::winograd2, Algorithm::winograd4}};
  if (onednn::has_bfloat16()) pairs.emplace_back(Algorithm::bfloat16, Algorithm::direct);
  for (const auto& pair : pairs)
    for (int round = 0; round < 4; ++round) {
      const Algorithm first = pair.first, second = pair.second;
      CAPTURE(std::string(conv::name(first)));
      CAPTURE(std::string(conv::name(second)));
      Output want_first(x.shape()), want_second(x.shape()), got_first(x.shape()), got_second(x.shape());
      Context<Cpu> ctx({.threads = 1});
      conv3(ctx, first, want_first, x, frozen(values));
      conv3(ctx, second, want_second, x, frozen(values));
      const auto w = frozen(values);
      run_both(
          std::chrono::milliseconds(round), [&](Context<Cpu>& c) { conv3(c, first, got_first, x, w); },
          [&](Context<Cpu>& c) { conv3(c, second, got_second, x, w); });
      CHECK(test::compare(got_first.view(), want_first.view(), 0).close);
      CHECK(test::compare(got_second.view(), want_second.view(), 0).close);
    }
}

}  // namespace ops_shared_weights_test
