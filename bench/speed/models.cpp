// bench models: the networks, and a training step, verified against the plain path: oneDNN's convolutions, every
// operation by itself. "plain_x" is that path's time, measured just before, divided by this one's.

#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "speed.hpp"

namespace speed {

namespace {

// A network with random weights and an input: run(ctx) gives the values it is judged by.
struct Network {
  std::string name;
  double gmac;  // of the paper's size at 256 x 256; 0: counted from its convolutions
  std::function<std::function<V(Context<Cpu>&)>(const Options&)> make;
};

template <class Net>
struct Held {
  ParameterStore<Cpu> store;
  std::optional<Net> net;
  template <class... Config>
  explicit Held(Config&&... config) {
    HashSource numbers("bench.");
    net.emplace(Params<Cpu>(store, numbers), std::forward<Config>(config)...);
    store.freeze();
  }
};

std::vector<Network> networks() {
  const auto unet = [](int n) {
    return [n](const Options& o) -> std::function<V(Context<Cpu>&)> {
      auto held = std::make_shared<Held<UNet<Cpu>>>(unet_config(o));
      const int side = o.image_size / 8;
      return [held, n, side](Context<Cpu>& ctx) {
        const std::vector<std::int32_t> t(static_cast<std::size_t>(n), 50);
        return (*held->net)(ctx, normal(ctx, {n, side, side, 4}), View<const std::int32_t, Cpu>(t.data(), {.c = n}));
      };
    };
  };
  return {
      {"vae_encoder", 135.3,
       [](const Options& o) -> std::function<V(Context<Cpu>&)> {
         auto held = std::make_shared<Held<Vae<Cpu>>>(vae_config(o));
         return [held, o](Context<Cpu>& ctx) {
           return held->net->encode(ctx, normal(ctx, {1, o.image_size, o.image_size, 3}));
         };
       }},
      {"vae_decoder", 310.0,
       [](const Options& o) -> std::function<V(Context<Cpu>&)> {
         auto held = std::make_shared<Held<Vae<Cpu>>>(vae_config(o));
         return [held, o](Context<Cpu>& ctx) {
           return held->net->decode(ctx, normal(ctx, {1, o.image_size / 8, o.image_size / 8, 4}));
         };
       }},
      {"unet/1", 18.6, unet(1)},
      {"unet/8", 148.8, unet(8)},
      {"resnet34", 3.95,
       [](const Options& o) -> std::function<V(Context<Cpu>&)> {
         auto held = std::make_shared<Held<ResNet<Cpu>>>(ResNetConfig::named("resnet34"));
         return [held, o](Context<Cpu>& ctx) {
           return held->net->features(ctx, normal(ctx, {1, o.image_size, o.image_size, 3}))[2];
         };
       }},
      {"tiny_vae_encoder", 0,
       [](const Options& o) -> std::function<V(Context<Cpu>&)> {
         auto held = std::make_shared<Held<TinyVae<Cpu>>>(TinyVaeConfig{.latent_channels = 32});
         return [held, o](Context<Cpu>& ctx) {
           return held->net->encode(ctx, normal(ctx, {1, o.image_size, o.image_size, 3}, 1, 0.5f));
         };
       }},
  };
}

void plain(Context<Cpu>& ctx) { conv::plan_of(ctx).prefer(conv::Algorithm::onednn); }

void register_training(const Options& o) {
  benchmark::RegisterBenchmark(
      "unet_training_step/8",
      [=](benchmark::State& state) {
        UNetConfig config = unet_config(o);
        if (!o.small) config.base = 64;
        const int side = o.image_size / 8;
        const Shape shape{16, side, side, 4};
        std::vector<float> latents(static_cast<std::size_t>(shape.size()));
        std::copy_n(random(shape, 1).data(), shape.size(), latents.data());
        const Schedule schedule;
        struct Run {
          Context<Cpu> ctx;
          ParameterStore<Cpu> store;
          std::optional<UNet<Cpu>> unet;
          std::optional<UNetTrainer<Cpu>> trainer;
          explicit Run(const Options& options) : ctx({.threads = options.threads}) {}
        };
        const auto start = [&](Run& run) {
          HashSource numbers("bench.");
          run.unet.emplace(Params<Cpu>(run.store, numbers), config);
          run.trainer.emplace(run.ctx, *run.unet, run.store, schedule,
                              UNetTrainerOptions{.iterations = 1 << 20, .batch = 8});
          run.trainer->set_latents(latents, shape);
        };
        Run usual(o), by_parts(o);
        plain(by_parts.ctx);
        start(usual), start(by_parts);
        double error = 0;  // of the loss and of the gradient's norm
        for (int i = 0; i < 3; ++i) {
          const auto a = usual.trainer->step(), b = by_parts.trainer->step();
          error = std::max({error, std::abs(a.loss / b.loss - 1), std::abs(a.gradient_norm / b.gradient_norm - 1)});
        }
        if (!verify(state, error, 1e-3)) return;
        const double by_parts_seconds = best_of(3, [&] { by_parts.trainer->step(); });
        const double seconds = timed(state, [&] { usual.trainer->step(); });
        state.counters["plain_x"] = by_parts_seconds / seconds;
        state.counters["images/s"] = 8 / seconds;
      })
      ->UseManualTime()
      ->MinTime(0.5)
      ->Unit(benchmark::kMillisecond);
}

}  // namespace

void register_models(const Options& o, const Peaks& peaks) {
  for (const auto& network : networks())
    benchmark::RegisterBenchmark(network.name.c_str(),
                                 [=](benchmark::State& state) {
                                   const auto run = network.make(o);
                                   Context<Cpu> ctx({.threads = o.threads}), by_parts({.threads = o.threads});
                                   plain(by_parts);
                                   double flops = 0;
                                   conv::plan_of(ctx).observe([&](const conv::Layer& layer, conv::Algorithm, double) {
                                     flops += layer.flops();
                                   });
                                   double error = 0;
                                   {
                                     const V got = run(ctx), want = run(by_parts);
                                     error = relative_error(got.view().data, want.view().data, got.shape().size());
                                   }
                                   conv::plan_of(ctx).observe({});
                                   if (network.gmac > 0 && !o.small && o.image_size == 256) flops = 2e9 * network.gmac;
                                   if (!verify(state, error, 1e-4)) return;
                                   const double plain_seconds = best_of(3, [&] { run(by_parts); });
                                   const double seconds = timed(state, [&] { run(ctx); });
                                   report(state, seconds, {.flops = flops}, peaks);
                                   state.counters["plain_x"] = plain_seconds / seconds;
                                   state.counters["arena_MiB"] =
                                       static_cast<double>(ctx.arena.slab_bytes()) / (1 << 20);
                                 })
        ->UseManualTime()
        ->MinTime(0.5)
        ->Unit(benchmark::kMillisecond);
  register_training(o);
}

// Where the time of a network goes, before (the plain path) and after.
void print_layers(const Options& o) {
  struct Sum {
    double seconds = 0, flops = 0;
    int calls = 0;
    const char* algorithm = "";
  };
  for (const auto& network : networks()) {
    const auto run = network.make(o);
    for (const bool by_parts : {true, false}) {
      Context<Cpu> ctx({.threads = o.threads});
      if (by_parts) plain(ctx);
      run(ctx);
      std::map<std::string, Sum> sums;
      constexpr int kTimes = 3;
      conv::plan_of(ctx).observe([&](const conv::Layer& layer, conv::Algorithm a, double seconds) {
        auto& s = sums[conv::line(layer)];
        s.seconds += seconds / kTimes, s.flops += layer.flops() / kTimes, s.calls += 1, s.algorithm = conv::name(a);
      });
      const auto begin = Clock::now();
      for (int i = 0; i < kTimes; ++i) run(ctx);
      const double total = std::chrono::duration<double>(Clock::now() - begin).count() / kTimes;
      double convolutions = 0;
      std::vector<std::pair<std::string, Sum>> order(sums.begin(), sums.end());
      std::sort(order.begin(), order.end(), [](auto& a, auto& b) { return a.second.seconds > b.second.seconds; });
      for (const auto& [key, s] : order) convolutions += s.seconds;
      std::printf("\n%s, %s: %.1f ms, of it %.1f in convolutions with what surrounds them\n", network.name.c_str(),
                  by_parts ? "the plain path" : "as planned", total * 1e3, convolutions * 1e3);
      for (const auto& [key, s] : order) {
        if (s.seconds < 0.01 * total) continue;
        std::printf("  %-44s %-10s %3d x %8.3f ms %6.1f %%  %5.0f GFLOP/s\n", key.c_str(), s.algorithm,
                    s.calls / kTimes, s.seconds * 1e3 * kTimes / s.calls, 100 * s.seconds / total,
                    s.flops / s.seconds / 1e9);
      }
    }
  }
}

}  // namespace speed
