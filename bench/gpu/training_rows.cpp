// The rows of our own kernels that training uses beside those of kernel_rows.cpp: gradients, sums, random numbers,
// AdamW.

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "d3ad/backend/cuda/column_sums.hpp"
#include "kernel_rows.hpp"

namespace gpu {

namespace {

constexpr Sizes kDeep{.model = {30, 32, 32, 192}, .large = {8, 256, 256, 128}};
constexpr Sizes kNumbers{.model = {30, 32, 32, 4}, .large = {64, 1024, 1024, 1}};

// A number on the device, made before the clock starts.
struct NumberKey {
  std::int64_t value;
  bool operator==(const NumberKey&) const = default;
};
template <class Device>
View<const Weight<Device>, Device> on_device(Context<Device>& ctx, std::int64_t number) {
  using Number = Tensor<Weight<Device>, Device>;
  return ctx.template kept<KeyedCache<Number, NumberKey>>()
      .get(NumberKey{number},
           [&] {
             Number made(Shape{});
             const auto host = static_cast<Weight<Device>>(number);
             copy_from_host(made.view(), &host);
             return made;
           })
      .view();
}

// dx, and the gradients of scale and shift: x and dy are read twice.
template <class T>
void group_norm_backward(KernelTable<T>& table, Shape s) {
  using Device = CudaOf<T>;
  const ops::GroupNorm config{.groups = 32, .eps = 1e-5f, .silu = true};
  const Both<T> x("bench.x", s), dy("bench.y", s);
  const Both<T, float> scale("bench.scale", {.c = s.c}, 0.1f, 1.0f), shift("bench.shift", {.c = s.c}, 0.1f);
  const Shape channels{.c = s.c}, statistics{.n = s.n, .c = 2 * config.groups};
  Tensor<T, Device> out(s), dx(s);
  Tensor<float, Device> stats(statistics), dscale(channels), dshift(channels);
  Tensor<float, Cpu> want(s), want_dx(s), here(statistics), want_dscale(channels), want_dshift(channels);
  for (auto* t : {&want_dscale, &want_dshift}) ops::fill(table.host(), t->view(), 0.0f);
  for (auto* t : {&dscale, &dshift}) ops::fill(table.device(), t->view(), 0.0f);
  ops::group_norm(table.host(), want.view(), here.view(), x.host.view(), scale.host.view(), shift.host.view(), config);
  ops::group_norm_backward(table.host(), want_dx.view(), want_dscale.view(), want_dshift.view(), dy.host.view(),
                           x.host.view(), here.view(), scale.host.view(), shift.host.view(), config);
  ops::group_norm(table.device(), out.view(), stats.view(), x.device.view(), scale.device.view(), shift.device.view(),
                  config);
  table.report(
      {.bytes = 5 * s.size() * table.kSize},
      [&] {
        ops::group_norm_backward(table.device(), dx.view(), dscale.view(), dshift.view(), dy.device.view(),
                                 x.device.view(), stats.view(), scale.device.view(), shift.device.view(), config);
      },
      [&] {
        return std::max({error_of(dx, want_dx), error_of(dscale, want_dscale), error_of(dshift, want_dshift)});
      });
}

// A bias' gradient.
template <class T>
void column_sums(KernelTable<T>& table, Shape s) {
  const Both<T> x("bench.x", s);
  Tensor<float, CudaOf<T>> sums({.c = s.c});
  ops::fill(table.device(), sums.view(), 0.0f);
  Tensor<float, Cpu> want({.c = s.c});
  for (std::int64_t c = 0; c < s.c; ++c) {
    double sum = 0;
    for (std::int64_t r = 0; r < s.rows(); ++r) sum += double{x.host.data()[r * s.c + c]};
    want.data()[c] = static_cast<float>(sum);
  }
  table.report(
      {.bytes = s.size() * table.kSize}, [&] { cuda::add_column_sums(table.device(), sums.view(), x.device.view()); },
      [&] { return error_of(sums, want); }, 1e-4);
}

// s.n tensors of s.c numbers each, without averages.
void adamw_all(KernelTable<float>& table, Shape s) {
  struct One {
    Both<float> w, m, v, gradient;
  };
  std::vector<One> tensors;
  std::vector<ops::AdamWTensor<Cuda>> there;
  std::vector<ops::AdamWTensor<Cpu>> here;
  const Shape shape{.c = s.c};
  tensors.reserve(static_cast<std::size_t>(s.n));
  for (std::int64_t i = 0; i < s.n; ++i) {
    const std::string id = concat("bench.", i);
    auto& t = tensors.emplace_back(
        One{{id + ".w", shape}, {id + ".m", shape, 0.1f}, {id + ".v", shape, 0.01f, 0.02f}, {id + ".g", shape}});
    there.push_back({t.w.device.view(), t.m.device.view(), t.v.device.view(), t.gradient.device.view(), {}});
    here.push_back({t.w.host.view(), t.m.host.view(), t.v.host.view(), t.gradient.host.view(), {}});
  }
  const ops::AdamW config{.lr = 1e-4f};
  ops::adamw_all(table.host(), here, config, 3, 1.0f, 0.0f);
  table.report(
      {.bytes = s.n * s.c * 4 * (4 + 3)}, [&] { ops::adamw_all(table.device(), there, config, 3, 1.0f, 0.0f); },
      [&] {
        double error = 0;
        for (const auto& t : tensors)
          error = std::max(
              {error, error_of(t.w.device, t.w.host), error_of(t.m.device, t.m.host), error_of(t.v.device, t.v.host)});
        return error;
      });
}

// What is float whatever the activations are.
void float_rows(KernelTable<float>& table) {
  table.row("normal", kNumbers, [&](Shape s) {
    table.same({.bytes = 4 * s.size()}, s, {},
               [](auto& ctx, auto out, const auto&) { ops::normal(ctx, out, Rng(1, Rng::stream("bench")), 0); });
  });
  table.row("add_noise", kNumbers, [&](Shape s) {
    table.same({.bytes = 3 * 4 * s.size()}, s, {s, s, {.n = s.n}, {.n = s.n}},
               [](auto& ctx, auto out, const auto& in) { ops::add_noise(ctx, out, in[0], in[1], in[2], in[3]); });
  });
  table.row("adamw_all", {.model = {.n = 20, .c = (1 << 20) - 3}, .large = {.n = 100, .c = (1 << 20) - 3}},
            [&](Shape s) { adamw_all(table, s); });
}

}  // namespace

template <class T>
void training_rows(KernelTable<T>& table) {
  constexpr std::int64_t kSize = KernelTable<T>::kSize;
  table.row("group_norm_backward", kDeep, [&](Shape s) { group_norm_backward(table, s); });
  table.row("silu_backward", kDeep, [&](Shape s) {
    table.same({.bytes = 3 * s.size() * kSize}, s, {s, s}, [](auto& ctx, auto out, const auto& in) {
      ops::activate_backward(ctx, out, in[0], in[1], ops::Activation::silu);
    });
  });
  table.row("avg_pool2_backward", kDeep, [&](Shape s) {
    table.same({.bytes = 5 * s.size() / 4 * kSize}, s, {{s.n, s.h / 2, s.w / 2, s.c}},
               [](auto& ctx, auto out, const auto& in) { ops::avg_pool2_backward(ctx, out, in[0]); });
  });
  table.row("upsample_nearest2_backward", kDeep, [&](Shape s) {
    table.same({.bytes = 5 * s.size() * kSize}, s, {{s.n, 2 * s.h, 2 * s.w, s.c}},
               [](auto& ctx, auto out, const auto& in) { ops::upsample_nearest2_backward(ctx, out, in[0]); });
  });
  table.row("mse", kDeep, [&](Shape s) {
    table.same({.bytes = 2 * s.size() * kSize}, {.c = 1}, {s, s},
               [](auto& ctx, auto out, const auto& in) { ops::mse(ctx, out, in[0], in[1]); });
  });
  table.row("mse_backward", kDeep, [&](Shape s) {
    table.same({.bytes = 3 * s.size() * kSize}, s, {s, s}, [n = s.size()](auto& ctx, auto out, const auto& in) {
      ops::mse_backward(ctx, out, in[0], in[1], on_device(ctx, n));
    });
  });
  table.row("column_sums", kDeep, [&](Shape s) { column_sums(table, s); });
  if constexpr (std::is_same_v<T, float>) float_rows(table);
}

template void training_rows(KernelTable<float>&);
template void training_rows(KernelTable<half>&);
template void training_rows(KernelTable<bfloat16>&);

}  // namespace gpu
