// Our own kernels on another kind of processor: convolutions by each algorithm and attention, against the reference
// device. Needs no oneDNN: its symbols stay unresolved and uncalled (tests/aarch64/run.sh).

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <d3ad/d3ad.hpp>

#include "d3ad/backend/reference/ops.hpp"

using namespace d3ad;

namespace {

bool ok = true;

template <class T>
Tensor<T, Cpu> random(Shape shape, std::uint64_t seed) {
  Tensor<T, Cpu> x(shape);
  const Rng rng(seed, Rng::stream("aarch64"));
  for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] = 2 * rng.uniform(static_cast<std::uint64_t>(i)) - 1;
  return x;
}
Tensor<double, Reference> exact(const Tensor<float, Cpu>& x) {
  Tensor<double, Reference> y(x.shape());
  std::copy_n(x.data(), x.size(), y.data());
  return y;
}
template <class Device, class T>
Parameter<Device> parameter(const Tensor<T, Device>& values) {
  const Shape s = values.shape();
  Parameter<Device> p("weight", {s.n, s.c, s.h, s.w}, s);
  std::copy_n(values.data(), values.size(), p.edit().data);
  return p;
}

void compare(const char* what, const Tensor<float, Cpu>& got, const Tensor<double, Reference>& want, double tolerance) {
  double error = 0, largest = 0;
  for (std::int64_t i = 0; i < got.size(); ++i) {
    error = std::max(error, std::abs(double{got.data()[i]} - want.data()[i]));
    largest = std::max(largest, std::abs(want.data()[i]));
  }
  const bool close = error <= tolerance * largest && largest > 0;
  std::printf("%-10s error %.1e of %.2f: %s\n", what, error, largest, close ? "right" : "WRONG");
  ok = ok && close;
}

}  // namespace

int main() {
  Context<Cpu> ctx({.threads = 2});
  Context<Reference> reference;
  {
    const auto x = random<float>({2, 10, 9, 32}, 1), w = random<float>({21, 3, 3, 32}, 2);
    const auto scale = random<float>({.c = 32}, 3), shift = random<float>({.c = 32}, 4);
    const auto x2 = exact(x), w2 = exact(w), scale2 = exact(scale), shift2 = exact(shift);
    const auto run = [](auto& c, auto& y, const auto& in, const auto& weight, const auto& a, const auto& b) {
      ops::conv_block(c, {.y = y.view()},
                      {.x = in.view(),
                       .norm_scale = a.view(),
                       .norm_shift = b.view(),
                       .norm = {.groups = 4, .eps = 1e-5f, .silu = true}},
                      parameter(weight), {.kernel = 3, .pad = 1});
    };
    Tensor<double, Reference> want({2, 10, 9, 21});
    run(reference, want, x2, w2, scale2, shift2);
    for (const auto a : {conv::Algorithm::direct, conv::Algorithm::winograd2, conv::Algorithm::winograd4}) {
      Tensor<float, Cpu> got(want.shape());
      conv::plan_of(ctx).prefer(a);
      run(ctx, got, x, w, scale, shift);
      compare(conv::name(a), got, want, 2e-5);
    }
  }
  const auto qkv = random<float>({1, 9, 8, 96}, 5);
  const auto qkv2 = exact(qkv);
  Tensor<float, Cpu> got({1, 9, 8, 32});
  Tensor<double, Reference> want(got.shape());
  ops::attention(ctx, got.view(), qkv.view(), {.heads = 2});
  ops::attention(reference, want.view(), qkv2.view(), {.heads = 2});
  compare("attention", got, want, 5e-6);
  return ok ? 0 : 1;
}
