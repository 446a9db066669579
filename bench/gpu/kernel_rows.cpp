// The table of our own kernels: each verified against the CPU's operation on the same (rounded) numbers, then timed.
//
//   kernel,type,size,shape,best_ms,median_ms,runs,bytes,gb_per_s,error,tolerance,verified,note
//
// size: `model`, as in a detection of 30 images at the paper's size, much of which stays in the GPU's cache and tells
// of latency, not of bandwidth; or `large`, of some hundred megabytes, which tells how well a kernel uses memory. bytes
// are those that the operation has to move: each input and output once, but the input of a norm that has to measure it
// first twice, and a separable blur's image in both passes.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/backend/cuda/attention_softmax.hpp"
#include "d3ad/backend/cuda/conv_parts.hpp"
#include "gpu_bench.hpp"
#if __has_include("d3ad/ops/image_input.hpp")
#include "d3ad/ops/image_input.hpp"
#define GPU_BENCH_IMAGE_INPUT 1
#endif

namespace gpu {

namespace {

// The same numbers on both devices: of type U there, widened here.
template <class T, class U = T>
struct Both {
  Tensor<float, Cpu> host;
  Tensor<U, CudaOf<T>> device;

  // Hash numbers in [-scale, scale) + offset, rounded to U.
  Both(const std::string& name, Shape shape, float scale = 1, float offset = 0)
      : host(uniform(name, shape, scale)), device(shape) {
    std::vector<U> narrow(static_cast<std::size_t>(shape.size()));
    for (std::size_t i = 0; i < narrow.size(); ++i) {
      narrow[i] = static_cast<U>(host.data()[i] + offset);
      host.data()[i] = static_cast<float>(narrow[i]);
    }
    copy_from_host(device.view(), narrow.data());
  }
};

template <class U, class Device>
std::vector<float> downloaded(const Tensor<U, Device>& x) {
  std::vector<U> narrow(static_cast<std::size_t>(x.size()));
  copy_to_host<U, Device>(narrow.data(), x.view());
  return {narrow.begin(), narrow.end()};
}
template <class U, class Device>
double error_of(const Tensor<U, Device>& got, const Tensor<float, Cpu>& want) {
  D3AD_CHECK(got.size() == want.size(), "the results have ", got.size(), " and ", want.size(), " numbers");
  return relative_error(downloaded(got).data(), want.data(), static_cast<std::size_t>(want.size()));
}

template <class T>
class Kernels {
 public:
  Kernels(const Options& o, std::string type) : o_(o), type_(std::move(type)), host_({.threads = o.threads}) {}

  bool run() {
    for (const bool large : {false, true}) {
      const Shape deep = shape(large, {30, 32, 32, 192}, {8, 256, 256, 128});
      each("add", large, deep, [&](Shape s) { add(s); });
      each("concat", large, deep, [&](Shape s) { concat_channels(s); });
      each("group_norm", large, deep, [&](Shape s) { group_norm(s); });
      each("gather", large, deep, [&](Shape s) { gather(s); });
      each("finish", large, deep, [&](Shape s) { finish(s); });
      each("softmax", large, shape(large, {.n = 8 * 1024, .c = 1024}, {.n = 96 * 1024, .c = 1024}),
           [&](Shape s) { softmax(s); });
      each("guided_step", large, shape(large, {30, 32, 32, 4}, {30, 512, 512, 4}), [&](Shape s) { guided_step(s); });
      each("channel_cosine", large, shape(large, {60, 32, 32, 128}, {60, 128, 128, 128}),
           [&](Shape s) { channel_cosine(s); });
      if constexpr (std::is_same_v<T, float>) {  // what is float whatever the activations are
        each("blur", large, shape(large, {30, 256, 256, 1}, {64, 1024, 1024, 1}), [&](Shape s) { blur(s); });
        each("bilinear", large, shape(large, {30, 256, 256, 1}, {64, 1024, 1024, 1}), [&](Shape s) { bilinear(s); });
        each("adamw_all", large,
             {.n = o_.small ? 4
                   : large  ? 100
                            : 20,
              .c = o_.small ? 1000 : (1 << 20) - 3},
             [&](Shape s) { adamw_all(s); });
#if defined(GPU_BENCH_IMAGE_INPUT)
        each("image_input", large, shape(large, {1, 1024, 1024, 3}, {1, 8192, 8192, 3}), [&](Shape s) {
          image_input(s, o_.small ? 16 : large ? 8192 : 256);
        });
#endif
      }
    }
    return good_;
  }

 private:
  using Device = CudaOf<T>;

  Shape shape(bool large, Shape model, Shape big) const {
    if (!o_.small) return large ? big : model;
    const Shape s = large ? big : model;
    return {std::min<std::int64_t>(s.n, 3), std::min<std::int64_t>(s.h, large ? 24 : 16),
            std::min<std::int64_t>(s.w, large ? 24 : 16), std::min<std::int64_t>(s.c, 256)};
  }

  // tolerances: of a sum of two, of a norm, ... in the type, relative to the largest value.
  static constexpr double tolerance() {
    return std::is_same_v<T, float> ? 1e-5 : std::is_same_v<T, half> ? 2e-3 : 1.6e-2;
  }

  template <class Body>
  void each(const char* name, bool large, Shape s, Body body) {
    if (!Options::chosen(o_.rows, name)) return;
    name_ = name, size_ = large ? "large" : "model", shape_ = concat(s.n, 'x', s.h, 'x', s.w, 'x', s.c);
    try {
      ctx_ = std::make_unique<Context<Device>>();
      body(s);
    } catch (const std::exception& error) {
      good_ = false;
      print_line({name_, type_, size_, shape_, "", "", "", "", "", "", "", "no", error.what()});
    }
    ctx_.reset();
  }

  // After one call of `work` error() tells how far off it is; then it is timed, some of them together.
  template <class Work, class Error>
  void report(std::int64_t bytes, Work work, Error error, double tol = tolerance()) {
    work();
    const Verdict verdict{.error = error(), .tolerance = tol};
    Clock clock(ctx_->stream());
    work();
    const double once = clock(work);
    const int together = once > 0 ? std::clamp(static_cast<int>(5 / once), 1, 1000) : 1;
    const Times t = measure(ctx_->stream(), o_, work, together);
    good_ = verdict.ok() && good_;
    print_line({name_, type_, size_, shape_, number(t.best), number(t.median), concat(t.runs), concat(bytes),
                number(per_second(1e-9 * static_cast<double>(bytes), t.median)), number(verdict.error, "%.2e"),
                number(verdict.tolerance, "%.2e"), verdict.ok() ? "yes" : "no", ""});
  }

  static constexpr std::int64_t kSize = sizeof(T);

  // ---- the kernels ----

  void add(Shape s) {
    const Both<T> x("bench.x", s), y("bench.y", s);
    Tensor<T, Device> out(s);
    Tensor<float, Cpu> want(s);
    ops::add(host_, want.view(), x.host.view(), y.host.view());
    report(
        3 * s.size() * kSize, [&] { ops::add(*ctx_, out.view(), x.device.view(), y.device.view()); },
        [&] { return error_of(out, want); });
  }

  void concat_channels(Shape s) {
    const Both<T> a("bench.x", s), b("bench.y", s);
    const Shape wide{s.n, s.h, s.w, 2 * s.c};
    Tensor<T, Device> out(wide);
    Tensor<float, Cpu> want(wide);
    ops::concat(host_, want.view(), a.host.view(), b.host.view());
    report(
        4 * s.size() * kSize, [&] { ops::concat(*ctx_, out.view(), a.device.view(), b.device.view()); },
        [&] { return error_of(out, want); });
  }

  struct Norm {
    Both<T, float> scale, shift;
    ops::GroupNorm config{.groups = 32, .eps = 1e-5f, .silu = true};
    explicit Norm(std::int64_t c) : scale("bench.scale", {.c = c}, 0.1f, 1.0f), shift("bench.shift", {.c = c}, 0.1f) {}
  };

  void group_norm(Shape s) {
    const Both<T> x("bench.x", s);
    const Norm norm(s.c);
    Tensor<T, Device> out(s);
    Tensor<float, Cpu> want(s);
    ops::group_norm(host_, want.view(), {}, x.host.view(), norm.scale.host.view(), norm.shift.host.view(), norm.config);
    report(
        3 * s.size() * kSize,
        [&] {
          ops::group_norm(*ctx_, out.view(), {}, x.device.view(), norm.scale.device.view(), norm.shift.device.view(),
                          norm.config);
        },
        [&] { return error_of(out, want); });
  }

  // Two tensors side by side, normalised by moments that came with them, and SiLU: one pass.
  void gather(Shape s) {
    const Both<T> x("bench.x", s), more("bench.y", s);
    const Norm norm(2 * s.c);
    const Shape wide{s.n, s.h, s.w, 2 * s.c};
    Tensor<float, Device> x_moments(ops::moments_shape(s)), more_moments(ops::moments_shape(s));
    ops::channel_moments(*ctx_, x_moments.view(), x.device.view());
    ops::channel_moments(*ctx_, more_moments.view(), more.device.view());
    Tensor<T, Device> out(wide);
    Tensor<float, Cpu> both(wide), want(wide);
    ops::concat(host_, both.view(), x.host.view(), more.host.view());
    ops::group_norm(host_, want.view(), {}, both.view(), norm.scale.host.view(), norm.shift.host.view(), norm.config);
    ops::ConvBlockInput<Device> in;
    in.x = x.device.view(), in.more = more.device.view();
    in.x_moments = x_moments.view(), in.more_moments = more_moments.view();
    in.norm_scale = norm.scale.device.view(), in.norm_shift = norm.shift.device.view(), in.norm = norm.config;
    report(
        4 * s.size() * kSize, [&] { cuda::gather(*ctx_, out.view(), in); }, [&] { return error_of(out, want); });
  }

  // Bias, shift of each image, residual, and the moments of the sum: in place.
  void finish(Shape s) {
    Both<T> y("bench.x", s);
    const Both<T> residual("bench.y", s), shift("bench.shift", {.n = s.n, .c = s.c});
    const Both<T, float> bias("bench.bias", {.c = s.c});
    Tensor<float, Device> moments(ops::moments_shape(s));
    Tensor<float, Cpu> want(s), rounded(s), want_moments(ops::moments_shape(s));
    ops::add(host_, want.view(), y.host.view(), residual.host.view());
    ops::add_per_image(host_, want.view(), want.view(), shift.host.view());
    Tensor<float, Cpu> ones({.c = s.c});
    ops::fill(host_, ones.view(), 1.0f);
    ops::scale_channels(host_, want.view(), want.view(), ones.view(), bias.host.view());
    for (std::int64_t i = 0; i < s.size(); ++i) rounded.data()[i] = static_cast<float>(static_cast<T>(want.data()[i]));
    ops::channel_moments(host_, want_moments.view(), rounded.view());
    ops::ConvBlockOutput<Device> out;
    out.y = y.device.view(), out.moments = moments.view(), out.bias = bias.device.view();
    out.shift = shift.device.view(), out.residual = residual.device.view();
    report(
        3 * s.size() * kSize, [&] { cuda::finish(*ctx_, out, /*with_bias=*/true); },
        [&] { return std::max(error_of(y.device, want), error_of(moments, want_moments)); });
  }

  // s: rows and columns. Rows of scores in float, probabilities in T.
  void softmax(Shape s) {
    const Both<T, float> scores("bench.x", s, 8);
    constexpr float kScale = 0.5f;
    Tensor<T, Device> p(s);
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
    report(
        s.size() * (4 + kSize), [&] { cuda::softmax_rows(*ctx_, p.data(), scores.device.data(), what); },
        [&] { return error_of(p, want); });
  }

  void guided_step(Shape s) {
    const Both<T, float> x("bench.x", s), z0("bench.z", s);
    const Both<T> e("bench.y", s);
    const std::vector<ops::StepCoefficients> k(static_cast<std::size_t>(s.n), {0.9f, 0.95f, 0.0f, 0.2f});
    Tensor<ops::StepCoefficients, Device> there({.n = s.n});
    Tensor<ops::StepCoefficients, Cpu> here({.n = s.n});
    copy_from_host(there.view(), k.data());
    copy_from_host(here.view(), k.data());
    Tensor<float, Device> out(s);
    Tensor<float, Cpu> want(s);
    ops::guided_step(host_, want.view(), x.host.view(), e.host.view(), z0.host.view(), {}, here.view(), 4.0f);
    report(
        s.size() * (12 + kSize),
        [&] {
          ops::guided_step(*ctx_, out.view(), x.device.view(), e.device.view(), z0.device.view(), {}, there.view(),
                           4.0f);
        },
        [&] { return error_of(out, want); }, 1e-5);
  }

  void channel_cosine(Shape s) {
    const Both<T> a("bench.x", s), b("bench.y", s);
    const Shape map{s.n, s.h, s.w, 1};
    Tensor<float, Device> out(map);
    Tensor<float, Cpu> want(map);
    ops::channel_cosine(host_, want.view(), a.host.view(), b.host.view());
    report(
        2 * s.size() * kSize + 4 * map.size(),
        [&] { ops::channel_cosine(*ctx_, out.view(), a.device.view(), b.device.view()); },
        [&] { return error_of(out, want); }, 1e-5);
  }

  void blur(Shape s) {
    const Both<T, float> x("bench.x", s);
    constexpr float kSigma = 4;
    const int radius = std::min<int>(anomaly::blur_radius(kSigma), static_cast<int>(s.h) - 1);
    Tensor<float, Device> out(s);
    Tensor<float, Cpu> want(s);
    ops::gaussian_blur(host_, want.view(), x.host.view(), kSigma, radius);
    report(
        4 * 4 * s.size(), [&] { ops::gaussian_blur(*ctx_, out.view(), x.device.view(), kSigma, radius); },
        [&] { return error_of(out, want); });
  }

  // To s from an eighth of it.
  void bilinear(Shape s) {
    const Shape small{s.n, s.h / 8, s.w / 8, s.c};
    const Both<T, float> x("bench.x", small);
    Tensor<float, Device> out(s);
    Tensor<float, Cpu> want(s);
    ops::bilinear_align_corners(host_, want.view(), x.host.view());
    report(
        4 * (s.size() + small.size()), [&] { ops::bilinear_align_corners(*ctx_, out.view(), x.device.view()); },
        [&] { return error_of(out, want); });
  }

  // s.n tensors of s.c numbers each, without averages.
  void adamw_all(Shape s) {
    struct One {
      Both<T, float> w, m, v, gradient;
    };
    std::vector<One> tensors;
    std::vector<ops::AdamWTensor<Device>> there;
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
    ops::adamw_all(host_, here, config, 3, 1.0f, 0.0f);
    report(
        s.n * s.c * 4 * (4 + 3), [&] { ops::adamw_all(*ctx_, there, config, 3, 1.0f, 0.0f); },
        [&] {
          double error = 0;
          for (const auto& t : tensors)
            error = std::max({error, error_of(t.w.device, t.w.host), error_of(t.m.device, t.m.host),
                              error_of(t.v.device, t.v.host)});
          return error;
        });
  }

#if defined(GPU_BENCH_IMAGE_INPUT)
  // An image of 8 bits of s, resized to `side` a side. The bytes are those of the pixels and of what comes out; the
  // image between its two passes is not counted.
  void image_input(Shape s, std::int64_t side) {
    const auto noise = uniform("bench.pixels", s, 127.5f);
    std::vector<std::uint8_t> host(static_cast<std::size_t>(s.size()));
    for (std::size_t i = 0; i < host.size(); ++i) host[i] = static_cast<std::uint8_t>(noise.data()[i] + 127.5f);
    Tensor<std::uint8_t, Cpu> here(s);
    Tensor<std::uint8_t, Device> there(s);
    copy_from_host(here.view(), host.data());
    copy_from_host(there.view(), host.data());
    const Shape input{1, side, side, 3};
    Tensor<float, Device> out(input);
    Tensor<float, Cpu> want(input);
    ops::image_input(host_, want.view(), here.view());
    report(
        s.size() + 4 * input.size(), [&] { ops::image_input(*ctx_, out.view(), there.view()); },
        [&] { return error_of(out, want); });
  }
#endif

  Options o_;
  std::string type_, name_, size_, shape_;
  Context<Cpu> host_;
  std::unique_ptr<Context<Device>> ctx_;
  bool good_ = true;
};

}  // namespace

bool kernel_rows(const Options& o) {
  print_line({"kernel", "type", "size", "shape", "best_ms", "median_ms", "runs", "bytes", "gb_per_s", "error",
              "tolerance", "verified", "note"});
  bool good = true;
  const auto table = [&]<class T>(T, const char* type) {
    if (Options::chosen(o.types, type)) good = Kernels<T>(o, type).run() && good;
  };
  table(half{}, "half");
  table(bfloat16{}, "bfloat16");
  table(float{}, "float");
  return good;
}

}  // namespace gpu
