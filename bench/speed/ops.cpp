// bench ops: every operation at every shape the networks use.
//
// The convolutions are those that the networks really ask for: they run once, and the plan tells of each. Each is timed
// by every algorithm that can do it; "planned" marks the plan's choice, "onednn_x" is oneDNN's time for the same layer,
// measured just before, divided by this one's.

#include <cstdio>
#include <d3ad/backend/reference/ops.hpp>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "speed.hpp"

namespace speed {

namespace {

// ---- convolutions ----

struct Seen {
  conv::Layer layer;
  conv::Algorithm planned;
};

std::vector<Seen> layers_of_the_networks(const Options& o) {
  Context<Cpu> ctx({.threads = o.threads});
  std::vector<Seen> all;
  std::map<std::string, bool> known;
  conv::plan_of(ctx).observe([&](const conv::Layer& layer, conv::Algorithm a, double) {
    if (std::exchange(known[conv::line(layer)], true)) return;
    all.push_back({layer, a});
  });
  const int side = o.image_size / 8;
  {
    ParameterStore<Cpu> store;
    InitSource numbers(1);
    const Vae<Cpu> vae(Params<Cpu>(store, numbers), vae_config(o));
    vae.encode(ctx, normal(ctx, {1, o.image_size, o.image_size, 3}));
    vae.decode(ctx, normal(ctx, {1, side, side, 4}));
  }
  {
    ParameterStore<Cpu> store;
    InitSource numbers(1);
    const UNet<Cpu> unet(Params<Cpu>(store, numbers), unet_config(o));
    for (const int n : {1, 8}) {
      const std::vector<std::int32_t> t(static_cast<std::size_t>(n), 50);
      unet(ctx, normal(ctx, {n, side, side, 4}), View<const std::int32_t, Cpu>(t.data(), {.c = n}));
    }
  }
  {
    ParameterStore<Cpu> store;
    InitSource numbers(1);
    const ResNet<Cpu> resnet(Params<Cpu>(store, numbers), ResNetConfig::named("resnet34"));
    resnet.features(ctx, normal(ctx, {1, o.image_size, o.image_size, 3}));
  }
  return all;
}

// One layer with its numbers, made when the first of its benchmarks runs.
class Convolution {
 public:
  Convolution(const conv::Layer& layer, int threads)
      : layer_(layer),
        config_{
            .kernel = static_cast<int>(layer.w.h), .stride = layer.stride, .pad = layer.pad, .pad_end = layer.pad_end},
        ctx_({.threads = threads}),
        x_(random(layer.x, 1)),
        bias_(random({.c = layer.w.n}, 3)),
        w_("weight", {layer.w.n, layer.w.c, layer.w.h, layer.w.w}, layer.w),
        y_(ops::conv2d_shape(layer.x, layer.w, config_)),
        want_(y_.shape()) {
    const auto numbers = random(layer.w, 2, 1 / std::sqrt(static_cast<float>(layer.w.c * layer.w.h * layer.w.w)));
    std::copy_n(numbers.data(), numbers.size(), w_.edit().data);
    use(conv::Algorithm::onednn);
    onednn_seconds_ = best_of(5, [&] { run(); });
    std::copy_n(y_.data(), y_.size(), want_.data());
    if (layer.flops() < 5e7) exact();
  }

  void use(conv::Algorithm a) { conv::plan_of(ctx_).set(layer_, a); }
  void run() {
    const View<const float, Cpu> bias = bias_.view();
    ops::conv_block(ctx_, {.y = y_.view(), .bias = bias}, {.x = x_.view()}, w_, config_);
  }
  double error() const {
    return exact_.empty() ? relative_error(y_.data(), want_.data(), y_.size())
                          : relative_error(y_.data(), exact_.data(), y_.size());
  }
  double onednn_seconds() const { return onednn_seconds_; }

 private:
  void exact() {
    Context<Reference> reference({.threads = ctx_.threads()});
    const auto copy = [](View<const float, Cpu> from) {
      Tensor<double, Reference> to(from.shape);
      std::copy_n(from.data, from.size(), to.data());
      return to;
    };
    const auto x = copy(x_.view()), bias = copy(bias_.view());
    Parameter<Reference> w("weight", w_.dims(), w_.shape());
    std::copy_n(w_.value().data, w_.size(), w.edit().data);
    exact_ = Tensor<double, Reference>(y_.shape());
    const View<const double, Reference> b = bias.view();
    ops::conv_block(reference, {.y = exact_.view(), .bias = b}, {.x = x.view()}, w, config_);
  }

  conv::Layer layer_;
  ops::Conv2d config_;
  Context<Cpu> ctx_;
  Tensor<float, Cpu> x_, bias_;
  Parameter<Cpu> w_;
  Tensor<float, Cpu> y_, want_;
  Tensor<double, Reference> exact_;
  double onednn_seconds_ = 0;
};

void register_convolutions(const Options& o, const Peaks& peaks) {
  // Benchmarks run in the order they are registered; one layer's numbers are held at a time.
  static std::unique_ptr<Convolution> current;
  static std::string current_key;
  for (const auto& [layer, planned] : layers_of_the_networks(o))
    for (const conv::Algorithm a : {conv::Algorithm::direct, conv::Algorithm::winograd2, conv::Algorithm::winograd4,
                                    conv::Algorithm::onednn, conv::Algorithm::bfloat16}) {
      const bool rounds = a == conv::Algorithm::bfloat16;
      if (!layer.allows(a) || (rounds && !onednn::has_bfloat16())) continue;
      const std::string name = conv::line(layer) + "/" + conv::name(a) + (a == planned ? "/planned" : "");
      benchmark::RegisterBenchmark(name.c_str(),
                                   [=, l = layer](benchmark::State& state) {
                                     if (current_key != conv::line(l))
                                       current = std::make_unique<Convolution>(l, o.threads),
                                       current_key = conv::line(l);
                                     current->use(a);
                                     current->run();
                                     if (!verify(state, current->error(), rounds ? 1e-2 : 1e-4)) return;
                                     const double seconds = timed(state, [] { current->run(); });
                                     report(state, seconds, {.flops = l.flops()}, peaks);
                                     state.counters["onednn_x"] = current->onednn_seconds() / seconds;
                                   })
          ->UseManualTime()
          ->MinTime(0.05)
          ->Unit(benchmark::kMillisecond);
    }
}

// ---- the others ----

template <class Device>
using Inputs = std::vector<Tensor<Real<Device>, Device>>;

// op(ctx, out, inputs): on both devices. What it adds to is 0 at first.
template <class Op>
void add(const Options& o, const Peaks& peaks, const std::string& name, std::vector<Shape> shapes, Shape out_shape,
         Work work, double tolerance, Op op) {
  benchmark::RegisterBenchmark(name.c_str(),
                               [=](benchmark::State& state) {
                                 Context<Cpu> ctx({.threads = o.threads});
                                 Inputs<Cpu> inputs;
                                 Inputs<Reference> exact;
                                 for (std::size_t i = 0; i < shapes.size(); ++i) {
                                   inputs.push_back(random(shapes[i], i + 1));
                                   exact.emplace_back(shapes[i]);
                                   std::copy_n(inputs.back().data(), inputs.back().size(), exact.back().data());
                                 }
                                 Tensor<float, Cpu> out(out_shape);
                                 Tensor<double, Reference> want(out_shape);
                                 std::fill_n(out.data(), out.size(), 0.0f);
                                 std::fill_n(want.data(), want.size(), 0.0);
                                 {
                                   Context<Reference> reference({.threads = o.threads});
                                   op(reference, want.view(), exact);
                                 }
                                 op(ctx, out.view(), inputs);
                                 if (!verify(state, relative_error(out.data(), want.data(), out.size()), tolerance))
                                   return;
                                 report(state, timed(state, [&] { op(ctx, out.view(), inputs); }), work, peaks);
                               })
      ->UseManualTime()
      ->MinTime(0.05)
      ->Unit(benchmark::kMillisecond);
}

std::string text(Shape s) { return concat("n", s.n, " h", s.h, " w", s.w, " c", s.c); }
double bytes(std::int64_t floats) { return 4.0 * static_cast<double>(floats); }

template <class Device>
Parameter<Device> parameter(const Tensor<Real<Device>, Device>& values) {
  const Shape s = values.shape();
  Parameter<Device> p("weight", {s.n, s.c, s.h, s.w}, s);
  std::copy_n(values.data(), values.size(), p.edit().data);
  return p;
}

void register_attention(const Options& o, const Peaks& peaks) {
  struct Case {
    Shape x;
    int heads;
  };
  const std::int64_t side = o.image_size / 8, base = o.small ? 32 : 192;
  for (const std::int64_t n : {1, 8})
    for (const auto& [x, heads] : {Case{{n, side, side, base}, 8}, Case{{n, side / 2, side / 2, 2 * base}, 8},
                                   Case{{n, side, side, o.small ? 64 : 512}, 1}}) {
      const Shape qkv{x.n, x.h, x.w, 3 * x.c};
      const double flops = 4.0 * static_cast<double>(x.n * x.pixels() * x.pixels() * x.c);
      add(o, peaks, concat("attention ", text(x), " heads", heads), {qkv}, x, {.flops = flops}, 1e-5,
          [heads_ = heads](auto& ctx, auto out, auto& in) {
            ops::attention(ctx, out, in[0].view(), {.heads = heads_});
          });
    }
}

void register_memory_bound(const Options& o, const Peaks& peaks) {
  const std::int64_t side = o.image_size / 8, size = o.image_size, base = o.small ? 32 : 192;
  const Shape h{8, side, side, base}, z{8, side, side, 4}, map{8, size, size, 1}, small_map{8, side, side, 1};
  const Shape f1{8, size / 4, size / 4, 64};
  const auto all = [](Shape s, double passes) { return Work{.bytes = passes * bytes(s.size())}; };
  add(o, peaks, "group_norm " + text(h), {h, {.c = base}, {.c = base}}, h, all(h, 3), 1e-5,
      [](auto& ctx, auto out, auto& in) {
        ops::group_norm(ctx, out, {}, in[0].view(), in[1].view(), in[2].view(),
                        {.groups = 32, .eps = 1e-5f, .silu = true});
      });
  add(o, peaks, "add " + text(h), {h, h}, h, all(h, 3), 1e-6,
      [](auto& ctx, auto out, auto& in) { ops::add(ctx, out, in[0].view(), in[1].view()); });
  add(o, peaks, "guided_step " + text(z), {z, z, z}, z, all(z, 4), 1e-5, [](auto& ctx, auto out, auto& in) {
    using Device = typename std::remove_reference_t<decltype(ctx)>::device;
    const std::vector<ops::StepCoefficients> k(8, {0.9f, 0.95f, 0.0f, 0.2f});
    ops::guided_step(ctx, out, in[0].view(), in[1].view(), in[2].view(), {},
                     View<const ops::StepCoefficients, Device>(k.data(), {.n = 8}), 4.0f);
  });
  add(o, peaks, "channel_l1 " + text(z), {z, z}, small_map, all(z, 2), 1e-5,
      [](auto& ctx, auto out, auto& in) { ops::channel_l1(ctx, out, in[0].view(), in[1].view()); });
  add(o, peaks, "channel_cosine " + text(f1), {f1, f1}, {8, size / 4, size / 4, 1}, all(f1, 2), 1e-5,
      [](auto& ctx, auto out, auto& in) { ops::channel_cosine(ctx, out, in[0].view(), in[1].view()); });
  add(o, peaks, "bilinear_align_corners " + text(map), {small_map}, map, all(map, 1), 1e-5,
      [](auto& ctx, auto out, auto& in) { ops::bilinear_align_corners(ctx, out, in[0].view()); });
  add(o, peaks, "gaussian_blur " + text(map), {map}, map, all(map, 2), 1e-5,
      [](auto& ctx, auto out, auto& in) { ops::gaussian_blur(ctx, out, in[0].view(), 4.0f, 16); });
  add(o, peaks, "max_per_image " + text(map), {map}, {.n = 8}, all(map, 1), 1e-6,
      [](auto& ctx, auto out, auto& in) { ops::max_per_image(ctx, out, in[0].view()); });
  add(o, peaks, "adaptive_avg_pool " + text(f1), {f1}, {8, 16, 16, 64}, all(f1, 1), 1e-5,
      [](auto& ctx, auto out, auto& in) { ops::adaptive_avg_pool(ctx, out, in[0].view()); });
  const Shape rows{.n = 8, .c = 16 * 16 * 256}, training{.n = o.small ? 32 : 200, .c = 16 * 16 * 256};
  add(o, peaks, concat("pairwise_l1 ", rows.n, " x ", training.n, " x ", rows.c), {rows, training},
      {.n = rows.n, .c = training.n}, all(training, 1), 1e-5,
      [](auto& ctx, auto out, auto& in) { ops::pairwise_l1(ctx, out, in[0].view(), in[1].view()); });
}

// The gradients of a training step of a UNet of base 64, 8 latents.
void register_gradients(const Options& o, const Peaks& peaks) {
  const std::int64_t side = o.small ? 8 : 32;
  struct Case {
    std::int64_t side, in, out;
  };
  for (const auto& c : {Case{side, 64, 64}, Case{side / 2, 128, 128}, Case{side / 4, 256, 128}}) {
    const Shape x{8, c.side, c.side, c.in}, y{8, c.side, c.side, c.out}, w{c.out, 3, 3, c.in};
    const double flops = 2.0 * static_cast<double>(y.size() * 9 * c.in);
    const ops::Conv2d config{.kernel = 3, .pad = 1};
    add(o, peaks, concat("conv2d_backward_data ", text(x), " o", c.out), {w, y}, x, {.flops = flops}, 1e-4,
        [config](auto& ctx, auto out, auto& in) {
          using Device = typename std::remove_reference_t<decltype(ctx)>::device;
          ops::conv2d_backward_data(ctx, out, in[1].view(), parameter<Device>(in[0]), config);
        });
    add(o, peaks, concat("conv2d_backward_weights ", text(x), " o", c.out), {x, y}, w, {.flops = flops}, 1e-4,
        [config](auto& ctx, auto out, auto& in) {
          ops::fill(ctx, out, 0.0f);
          ops::conv2d_backward_weights(ctx, out, {}, in[0].view(), in[1].view(), config);
        });
  }
  const Shape weights{.c = o.small ? 1 << 16 : 1 << 22};
  add(o, peaks, concat("adamw ", weights.c), {weights, weights, weights}, weights,
      {.bytes = 9 * bytes(weights.size())},  // two fills among them
      1e-4, [](auto& ctx, auto out, auto& in) {
        ops::fill(ctx, in[1].view(), 0.0f);
        ops::fill(ctx, in[2].view(), 0.0f);
        ops::adamw(ctx, out, in[1].view(), in[2].view(), in[0].view(), {}, 1, 1.0f);
      });
}

}  // namespace

void register_ops(const Options& o, const Peaks& peaks) {
  register_convolutions(o, peaks);
  register_attention(o, peaks);
  register_memory_bound(o, peaks);
  register_gradients(o, peaks);
}

}  // namespace speed
