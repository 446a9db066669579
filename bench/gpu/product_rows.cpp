// The rows of matrix products by cuDNN and cuBLASLt: convolutions, linear layers, attention, and the gradients of a
// convolution. They show how near the networks can come to the GPU's peak of arithmetic; two operations, a
// multiplication and an addition, are counted for each pair of numbers.

#include <optional>
#include <vector>

#include "kernel_rows.hpp"

namespace gpu {

namespace {

// The same weights on both devices, rounded to T.
template <class T>
struct Weights {
  Both<T> numbers;
  Parameter<Cpu> here;
  Parameter<CudaOf<T>> there;

  explicit Weights(Shape s)
      : numbers("bench.weight", s, std::sqrt(3.0f / static_cast<float>(s.size() / s.n))),
        here("weight", {s.n, s.c, s.h, s.w}, s),
        there("weight", {s.n, s.c, s.h, s.w}, s) {
    copy_from_host(here.edit(), numbers.host.data());
    copy_from_host(there.edit(), numbers.host.data());
  }
};

template <class Device, class T>
const Parameter<Device>& on(const Weights<T>& w) {
  if constexpr (std::is_same_v<Device, Cpu>)
    return w.here;
  else
    return w.there;
}
template <class Ctx>
using DeviceOf = typename std::remove_reference_t<Ctx>::device;

constexpr ops::Conv2d kThree{.kernel = 3, .pad = 1};
constexpr Sizes kConvolved{.model = {30, 32, 32, 192}, .large = {8, 128, 128, 512}};

double conv_flop(Shape x) { return 2.0 * 9 * static_cast<double>(x.size() * x.c); }

}  // namespace

template <class T>
void product_rows(KernelTable<T>& table) {
  // Sums of thousands of products, and the CPU's are Winograd's.
  const double allowed = std::max(table.tolerance(), 1e-4);

  table.row("conv3x3", kConvolved, [&](Shape s) {
    const Weights<T> w({s.c, 3, 3, s.c});
    table.same(
        {.flop = conv_flop(s)}, s, {s},
        [&](auto& ctx, auto out, const auto& in) {
          ops::conv2d(ctx, out, in[0], on<DeviceOf<decltype(ctx)>>(w), {}, kThree);
        },
        allowed);
  });
  table.row("conv3x3_backward_data", kConvolved, [&](Shape s) {
    const Weights<T> w({s.c, 3, 3, s.c});
    table.same(
        {.flop = conv_flop(s)}, s, {s},
        [&](auto& ctx, auto dx, const auto& in) {
          ops::conv2d_backward_data(ctx, dx, in[0], on<DeviceOf<decltype(ctx)>>(w), kThree);
        },
        allowed);
  });
  table.row("conv3x3_backward_weights", kConvolved, [&](Shape s) {
    table.template same<T, float>(
        {.flop = conv_flop(s)}, {s.c, 3, 3, s.c}, {s, s},
        [&](auto& ctx, auto dw, const auto& in) {
          ops::fill(ctx, dw, 0.0f);
          ops::conv2d_backward_weights(ctx, dw, {}, in[0], in[1], kThree);
        },
        allowed);
  });
  table.row("linear", {.model = {.n = 30 * 1024, .c = 192}, .large = {.n = 8192, .c = 8192}}, [&](Shape s) {
    const std::int64_t outputs = s.n == 8192 ? s.c : 3 * s.c;
    const Weights<T> w({.n = outputs, .c = s.c});
    table.same(
        {.flop = 2.0 * static_cast<double>(s.size() * outputs)}, {.n = s.n, .c = outputs}, {s},
        [&](auto& ctx, auto out, const auto& in) { ops::linear(ctx, out, in[0], on<DeviceOf<decltype(ctx)>>(w), {}); },
        allowed);
  });
  // Of the UNet, and, with one head, of the VAE.
  table.row("attention", {.model = {30, 32, 32, 3 * 192}, .large = {30, 32, 32, 3 * 512}}, [&](Shape s) {
    const ops::Attention config{.heads = s.c == 3 * 512 ? 1 : 8};
    const double positions = static_cast<double>(s.h * s.w);
    table.same(
        {.flop = 4.0 * static_cast<double>(s.n) * positions * positions * static_cast<double>(s.c / 3)},
        {s.n, s.h, s.w, s.c / 3}, {s},
        [&](auto& ctx, auto out, const auto& in) { ops::attention(ctx, out, in[0], config); }, allowed);
  });
}

template void product_rows(KernelTable<float>&);
template void product_rows(KernelTable<half>&);
template void product_rows(KernelTable<bfloat16>&);

}  // namespace gpu
