// bench pipeline: whole detections, from pixels to scores: images a second and memory against batch, threads, steps,
// image size and the UNet's width. Verified: an image's score is the same alone, in a batch, and with any number of
// threads.

#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "speed.hpp"

namespace speed {

namespace {

struct Setup {
  int image_size, base = 0, steps = 10, threads = 0, batch = 1;
};

// Everything a detection needs, with hash weights.
class Detection {
 public:
  Detection(const Options& o, const Setup& setup) : ctx_({.threads = setup.threads}), settings_(Settings::paper()) {
    const bool paper = o.paper && !o.small;
    settings_.conditioning.k = 1, settings_.data.image_size = setup.image_size, settings_.denoising.steps = setup.steps;
    nlohmann::json vae_json = TinyVaeConfig{.latent_channels = 4};
    if (paper) vae_json = VaeConfig{};
    UNetConfig config = UNetConfig::paper(4);
    if (!paper) config = UNetConfig::small(4);
    if (setup.base) config.base = setup.base;
    HashSource vae_numbers("vae."), unet_numbers("unet."), extractor_numbers("resnet34.");
    vae_.emplace(Params<Cpu>(stores_[0], vae_numbers), vae_json);
    unet_.emplace(Params<Cpu>(stores_[1], unet_numbers), config);
    extractor_.emplace(Params<Cpu>(stores_[2], extractor_numbers), ResNetConfig::named("resnet34"));
    for (auto& store : stores_) store.freeze();
    method_.emplace(D3adAlgorithm<Cpu>{*vae_, *unet_, *extractor_, schedule_, settings_});
    conditioning_.emplace(
        ImplicitConditioning::fit(method_->conditioning_features(ctx_, images(1000, 1)), {.k = 1, .T_max = 80}));
  }

  std::vector<float> scores(int first, int count) {
    const auto a = method_->analyse(ctx_, images(first, count), *conditioning_, static_cast<std::uint64_t>(first));
    const auto map = method_->anomaly_map(ctx_, a, {{0, 1}, {0, 1}});
    return anomaly::scores(ctx_, map);
  }
  double arena_mebibytes() {
    ctx_.arena.settle();
    return static_cast<double>(ctx_.arena.slab_bytes()) / (1 << 20);
  }

 private:
  V images(int first, int count) {
    const int size = settings_.data.image_size;
    auto x = make_value<float>(ctx_, {count, size, size, 3});
    for (int i = 0; i < count; ++i) {
      const auto one = x.view().images(i, 1);
      ops::normal(ctx_, one, Rng(7, static_cast<std::uint64_t>(first + i)), 0);
      ops::scale(ctx_, one, one, 0.3f, 0.0f);
    }
    return x;
  }

  Context<Cpu> ctx_;
  Settings settings_;
  Schedule schedule_;
  ParameterStore<Cpu> stores_[3];
  std::optional<Autoencoder<Cpu>> vae_;
  std::optional<UNet<Cpu>> unet_;
  std::optional<ResNet<Cpu>> extractor_;
  std::optional<D3adAlgorithm<Cpu>> method_;
  std::optional<ImplicitConditioning> conditioning_;
};

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double worst = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    worst = std::max(worst, std::abs(double{a[i]} - double{b[i]}));
  return worst;
}

void add(const Options& o, const std::string& name, const Setup& setup, int repetitions) {
  benchmark::RegisterBenchmark(
      name.c_str(),
      [=](benchmark::State& state) {
        Detection detection(o, setup);
        const auto together = detection.scores(0, setup.batch);
        // Alone, and with one thread.
        if (!verify(state, largest_difference(detection.scores(0, 1), together), 1e-6)) return;
        if (setup.image_size <= 256) {
          Setup one = setup;
          one.threads = 1, one.batch = 1;
          if (!verify(state, largest_difference(Detection(o, one).scores(0, 1), detection.scores(0, 1)), 0)) return;
        }
        const double seconds = timed(state, [&] { detection.scores(0, setup.batch); });
        state.counters["ms/image"] = 1e3 * seconds / setup.batch;
        state.counters["images/s"] = setup.batch / seconds;
        state.counters["arena_MiB"] = detection.arena_mebibytes();
        state.counters["process_MiB"] = peak_memory();
      })
      ->UseManualTime()
      ->Iterations(repetitions)
      ->Unit(benchmark::kMillisecond);
}

}  // namespace

void register_pipeline(const Options& o, const Peaks&) {
  const int size = o.image_size, cores = Context<Cpu>({.threads = o.threads}).threads();
  const std::vector<int> batches = o.small ? std::vector{1, 4} : std::vector{1, 2, 4, 8, 16, 30};
  for (const int batch : batches)
    add(o, concat("batch/", batch), {.image_size = size, .threads = o.threads, .batch = batch}, 3);
  for (int threads = 1; threads <= cores; threads *= 2)
    add(o, concat("threads/", threads), {.image_size = size, .threads = threads, .batch = 2}, 3);
  for (const int steps : {5, 10, 20})
    add(o, concat("steps/", steps), {.image_size = size, .steps = steps, .threads = o.threads}, 3);
  for (const int factor : {1, 2, 4})
    add(o, concat("image_size/", size * factor), {.image_size = size * factor, .threads = o.threads}, 1);
  const std::vector<int> widths = o.small ? std::vector{32, 64} : std::vector{32, 64, 128, 192};
  for (const int base : widths)
    add(o, concat("unet_base/", base), {.image_size = size, .base = base, .threads = o.threads}, 3);
}

}  // namespace speed
