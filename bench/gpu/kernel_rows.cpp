// The tables of kernels, and the rows of our own kernels that a detection uses: each verified against the CPU's
// operation on the same (rounded) numbers, then timed. kernel_rows.hpp says what the columns are; training_rows.cpp and
// product_rows.cpp have the others.

#include "kernel_rows.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "d3ad/backend/cuda/attention_softmax.hpp"
#include "d3ad/backend/cuda/conv_parts.hpp"

namespace gpu {

namespace {

constexpr Sizes kDeep{.model = {30, 32, 32, 192}, .large = {8, 256, 256, 128}};
constexpr Sizes kMaps{.model = {30, 256, 256, 1}, .large = {64, 1024, 1024, 1}};
constexpr Sizes kLatents{.model = {30, 32, 32, 4}, .large = {30, 512, 512, 4}};

template <class T>
struct Norm {
  Both<T, float> scale, shift;
  ops::GroupNorm config{.groups = 32, .eps = 1e-5f, .silu = true};
  explicit Norm(std::int64_t c) : scale("bench.scale", {.c = c}, 0.1f, 1.0f), shift("bench.shift", {.c = c}, 0.1f) {}
};

template <class T>
void group_norm(KernelTable<T>& table, Shape s) {
  const Norm<T> norm(s.c);
  const Both<T> x("bench.x", s);
  Tensor<T, CudaOf<T>> out(s);
  Tensor<float, Cpu> want(s);
  ops::group_norm(table.host(), want.view(), {}, x.host.view(), norm.scale.host.view(), norm.shift.host.view(),
                  norm.config);
  table.report(
      {.bytes = 3 * s.size() * table.kSize},
      [&] {
        ops::group_norm(table.device(), out.view(), {}, x.device.view(), norm.scale.device.view(),
                        norm.shift.device.view(), norm.config);
      },
      [&] { return error_of(out, want); });
}

// Two tensors side by side, normalised by moments that came with them, and SiLU: one pass.
template <class T>
void gather(KernelTable<T>& table, Shape s) {
  using Device = CudaOf<T>;
  const Both<T> x("bench.x", s), more("bench.y", s);
  const Norm<T> norm(2 * s.c);
  const Shape wide{s.n, s.h, s.w, 2 * s.c};
  Tensor<float, Device> x_moments(ops::moments_shape(s)), more_moments(ops::moments_shape(s));
  ops::channel_moments(table.device(), x_moments.view(), x.device.view());
  ops::channel_moments(table.device(), more_moments.view(), more.device.view());
  Tensor<T, Device> out(wide);
  Tensor<float, Cpu> both(wide), want(wide);
  ops::concat(table.host(), both.view(), x.host.view(), more.host.view());
  ops::group_norm(table.host(), want.view(), {}, both.view(), norm.scale.host.view(), norm.shift.host.view(),
                  norm.config);
  ops::ConvBlockInput<Device> in;
  in.x = x.device.view(), in.more = more.device.view();
  in.x_moments = x_moments.view(), in.more_moments = more_moments.view();
  in.norm_scale = norm.scale.device.view(), in.norm_shift = norm.shift.device.view(), in.norm = norm.config;
  table.report(
      {.bytes = 4 * s.size() * table.kSize}, [&] { cuda::gather(table.device(), out.view(), in); },
      [&] { return error_of(out, want); });
}

// Bias, shift of each image, residual, and the moments of the sum: in place.
template <class T>
void finish(KernelTable<T>& table, Shape s) {
  using Device = CudaOf<T>;
  Context<Cpu>& host = table.host();
  Both<T> y("bench.x", s);
  const Both<T> residual("bench.y", s), shift("bench.shift", {.n = s.n, .c = s.c});
  const Both<T, float> bias("bench.bias", {.c = s.c});
  Tensor<float, Device> moments(ops::moments_shape(s));
  Tensor<float, Cpu> want(s), rounded(s), want_moments(ops::moments_shape(s)), ones({.c = s.c});
  ops::add(host, want.view(), y.host.view(), residual.host.view());
  ops::add_per_image(host, want.view(), want.view(), shift.host.view());
  ops::fill(host, ones.view(), 1.0f);
  ops::scale_channels(host, want.view(), want.view(), ones.view(), bias.host.view());
  for (std::int64_t i = 0; i < s.size(); ++i) rounded.data()[i] = static_cast<float>(static_cast<T>(want.data()[i]));
  ops::channel_moments(host, want_moments.view(), rounded.view());
  ops::ConvBlockOutput<Device> out;
  out.y = y.device.view(), out.moments = moments.view(), out.bias = bias.device.view();
  out.shift = shift.device.view(), out.residual = residual.device.view();
  table.report(
      {.bytes = 3 * s.size() * table.kSize}, [&] { cuda::finish(table.device(), out, /*with_bias=*/true); },
      [&] { return std::max(error_of(y.device, want), error_of(moments, want_moments)); });
}

// s: rows and columns. Rows of scores in float, probabilities in T.
template <class T>
void softmax(KernelTable<T>& table, Shape s) {
  const Both<T, float> scores("bench.x", s, 8);
  constexpr float kScale = 0.5f;
  Tensor<T, CudaOf<T>> p(s);
  Tensor<float, Cpu> want(s);
  const std::int64_t n = s.c, rows = s.size() / n;
#pragma omp parallel for
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* const in = scores.host.data() + r * n;
    const double largest = double{*std::max_element(in, in + n)};
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += std::exp(kScale * (double{in[i]} - largest));
    for (std::int64_t i = 0; i < n; ++i)
      want.data()[r * n + i] = static_cast<float>(std::exp(kScale * (double{in[i]} - largest)) / sum);
  }
  const cuda::ScoreRows what{.rows = rows, .columns = n, .stride = n, .scale = kScale};
  table.report(
      {.bytes = s.size() * (4 + table.kSize)},
      [&] { cuda::softmax_rows(table.device(), p.data(), scores.device.data(), what); },
      [&] { return error_of(p, want); });
}

template <class T>
void guided_step(KernelTable<T>& table, Shape s) {
  const Both<T, float> x("bench.x", s), z0("bench.z", s);
  const Both<T> e("bench.y", s);
  const std::vector<ops::StepCoefficients> k(static_cast<std::size_t>(s.n), {0.9f, 0.95f, 0.0f, 0.2f});
  Tensor<ops::StepCoefficients, CudaOf<T>> there({.n = s.n});
  Tensor<ops::StepCoefficients, Cpu> here({.n = s.n});
  copy_from_host(there.view(), k.data());
  copy_from_host(here.view(), k.data());
  Tensor<float, CudaOf<T>> out(s);
  Tensor<float, Cpu> want(s);
  ops::guided_step(table.host(), want.view(), x.host.view(), e.host.view(), z0.host.view(), {}, here.view(), 4.0f);
  table.report(
      {.bytes = s.size() * (12 + table.kSize)},
      [&] {
        ops::guided_step(table.device(), out.view(), x.device.view(), e.device.view(), z0.device.view(), {},
                         there.view(), 4.0f);
      },
      [&] { return error_of(out, want); }, 1e-5);
}

// An image of 8 bits of s, resized to `side` a side. The bytes are those of the pixels and of what comes out; the image
// between its two passes is not counted.
void image_input(KernelTable<float>& table, Shape s, std::int64_t side) {
  const auto noise = uniform("bench.pixels", s, 127.5f);
  std::vector<std::uint8_t> host(static_cast<std::size_t>(s.size()));
  for (std::size_t i = 0; i < host.size(); ++i) host[i] = static_cast<std::uint8_t>(noise.data()[i] + 127.5f);
  Tensor<std::uint8_t, Cpu> here(s);
  Tensor<std::uint8_t, Cuda> there(s);
  copy_from_host(here.view(), host.data());
  copy_from_host(there.view(), host.data());
  const Shape input{1, side, side, 3};
  Tensor<float, Cuda> out(input);
  Tensor<float, Cpu> want(input);
  ops::image_input(table.host(), want.view(), here.view());
  table.report(
      {.bytes = s.size() + 4 * input.size()}, [&] { ops::image_input(table.device(), out.view(), there.view()); },
      [&] { return error_of(out, want); });
}

// What is float whatever the activations are.
void float_rows(KernelTable<float>& table) {
  table.row("blur", kMaps, [&](Shape s) {
    constexpr float kSigma = 4;
    const int radius = std::min<int>(anomaly::blur_radius(kSigma), static_cast<int>(s.h) - 1);
    table.same({.bytes = 4 * 4 * s.size()}, s, {s},
               [=](auto& ctx, auto out, const auto& in) { ops::gaussian_blur(ctx, out, in[0], kSigma, radius); });
  });
  table.row("bilinear", kMaps, [&](Shape s) {  // from an eighth of it
    const Shape from{s.n, s.h / 8, s.w / 8, s.c};
    table.same({.bytes = 4 * (s.size() + from.size())}, s, {from},
               [](auto& ctx, auto out, const auto& in) { ops::bilinear_align_corners(ctx, out, in[0]); });
  });
  table.row("mix_maps", kMaps, [&](Shape s) {
    table.same({.bytes = 3 * 4 * s.size()}, s, {s, s}, [](auto& ctx, auto out, const auto& in) {
      ops::mix_maps(ctx, out, in[0], in[1], {0, 4}, {0, 2}, 0.85f);
    });
  });
  table.row("max_per_image", kMaps, [&](Shape s) {
    table.same({.bytes = 4 * s.size()}, {.n = s.n}, {s},
               [](auto& ctx, auto out, const auto& in) { ops::max_per_image(ctx, out, in[0]); });
  });
  table.row("channel_l1", kLatents, [&](Shape s) {
    table.same({.bytes = 4 * (2 * s.size() + s.rows())}, {s.n, s.h, s.w, 1}, {s, s},
               [](auto& ctx, auto out, const auto& in) { ops::channel_l1(ctx, out, in[0], in[1]); });
  });
  table.row("image_input", {.model = {1, 1024, 1024, 3}, .large = {1, 8192, 8192, 3}}, [&](Shape s) {
    image_input(table, s, s.h == 1024 ? 256 : s.h == 8192 ? 8192 : 16);
  });
}

}  // namespace

template <class T>
void forward_rows(KernelTable<T>& table) {
  constexpr std::int64_t kSize = KernelTable<T>::kSize;
  table.row("add", kDeep, [&](Shape s) {
    table.same({.bytes = 3 * s.size() * kSize}, s, {s, s},
               [](auto& ctx, auto out, const auto& in) { ops::add(ctx, out, in[0], in[1]); });
  });
  table.row("concat", kDeep, [&](Shape s) {
    table.same({.bytes = 4 * s.size() * kSize}, {s.n, s.h, s.w, 2 * s.c}, {s, s},
               [](auto& ctx, auto out, const auto& in) { ops::concat(ctx, out, in[0], in[1]); });
  });
  table.row("silu", kDeep, [&](Shape s) {
    table.same({.bytes = 2 * s.size() * kSize}, s, {s},
               [](auto& ctx, auto out, const auto& in) { ops::activate(ctx, out, in[0], ops::Activation::silu); });
  });
  table.row("avg_pool2", kDeep, [&](Shape s) {
    table.same({.bytes = 5 * s.size() / 4 * kSize}, {s.n, s.h / 2, s.w / 2, s.c}, {s},
               [](auto& ctx, auto out, const auto& in) { ops::avg_pool2(ctx, out, in[0]); });
  });
  table.row("max_pool3", {.model = {60, 128, 128, 64}, .large = {60, 256, 256, 64}}, [&](Shape s) {
    const Shape out{s.n, (s.h - 1) / 2 + 1, (s.w - 1) / 2 + 1, s.c};
    table.same({.bytes = (s.size() + out.size()) * kSize}, out, {s},
               [](auto& ctx, auto y, const auto& in) { ops::max_pool3(ctx, y, {}, in[0]); });
  });
  table.row("upsample_nearest2", kDeep, [&](Shape s) {
    table.same({.bytes = 5 * s.size() * kSize}, {s.n, 2 * s.h, 2 * s.w, s.c}, {s},
               [](auto& ctx, auto out, const auto& in) { ops::upsample_nearest2(ctx, out, in[0]); });
  });
  table.row("group_norm", kDeep, [&](Shape s) { group_norm(table, s); });
  table.row("gather", kDeep, [&](Shape s) { gather(table, s); });
  table.row("finish", kDeep, [&](Shape s) { finish(table, s); });
  table.row("softmax", {.model = {.n = 8 * 1024, .c = 1024}, .large = {.n = 96 * 1024, .c = 1024}},
            [&](Shape s) { softmax(table, s); });
  table.row("guided_step", kLatents, [&](Shape s) { guided_step(table, s); });
  table.row("channel_cosine", {.model = {60, 32, 32, 128}, .large = {60, 128, 128, 128}}, [&](Shape s) {
    table.template same<T, float>(
        {.bytes = 2 * s.size() * kSize + 4 * s.rows()}, {s.n, s.h, s.w, 1}, {s, s},
        [](auto& ctx, auto out, const auto& in) { ops::channel_cosine(ctx, out, in[0], in[1]); }, 1e-5);
  });
  if constexpr (std::is_same_v<T, float>) float_rows(table);
}

bool kernel_rows(const Options& o) {
  print_line({"kernel", "type", "size", "shape", "best_ms", "median_ms", "runs", "bytes", "gb_per_s", "gflop",
              "tflop_per_s", "error", "tolerance", "verified", "note"});
  bool good = true;
  const auto table = [&]<class T>(T, const std::string& type) {
    if (!Options::chosen(o.types, type)) return;
    KernelTable<T> rows(o, type);
    if (type != "tf32") forward_rows(rows), training_rows(rows);  // nothing but products differs
    product_rows(rows);
    good = rows.good() && good;
  };
  table(half{}, "half");
  table(bfloat16{}, "bfloat16");
  table(float{}, "tf32");
  table(float{}, "float");
  return good;
}

}  // namespace gpu
