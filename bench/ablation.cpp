// What each part of the method contributes, measured on a labelled test set with one trained model.
//
//   ablation --model M --data DIR --category C --T-max 80,200 --eta2 0,4 --dynamic true,false --lambda 0,0.5,0.85
//
// Every combination is one line of CSV on stdout: the settings, then image AUROC, pixel AUROC and PRO under the paper's
// protocol, in percent. All lambdas share one detection. Two lines more are the baselines without diffusion.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <d3ad/d3ad.hpp>

using namespace d3ad;

namespace {

struct Options {
  std::string model, data, category;
  std::vector<int> T_max{80};
  std::vector<double> eta2{4}, omega{0}, lambda{0, 0.5, 0.85, 1}, sigma{4};
  std::vector<bool> dynamic{true};
  std::vector<std::string> layers{"2+3"};
  int batch = 8, threads = 0;
};

struct TestSet {
  std::vector<std::vector<float>> inputs;
  std::vector<std::vector<std::uint8_t>> masks;
  std::vector<std::uint8_t> labels;
};

struct Result {
  double i_auroc, p_auroc, pro;
};

Result judge(const TestSet& set, const std::vector<std::vector<float>>& maps, int size) {
  std::vector<float> scores;
  anomaly::PixelScores pixels;
  for (std::size_t i = 0; i < maps.size(); ++i) {
    scores.push_back(*std::max_element(maps[i].begin(), maps[i].end()));
    if (!set.labels[i] || !set.masks[i].empty()) pixels.add(maps[i], set.masks[i], size, size);
  }
  const auto p = pixels.metrics();
  return {anomaly::rank_metrics(scores, set.labels).auroc, p.rank.auroc, p.pro_200};
}

void print(const Options& o, const std::string& settings, Result r) {
  std::printf("%s,%s,%.1f,%.1f,%.1f\n", o.category.c_str(), settings.c_str(), 100 * r.i_auroc, 100 * r.p_auroc,
              100 * r.pro);
  std::fflush(stdout);
}

std::vector<float> host(const Value<float, Cpu>& map, std::int64_t image) {
  const View<const float, Cpu> view = map.view().images(image, 1);
  return {view.data, view.data + view.size()};
}

// Calls visit(x) for the inputs in batches, as a Value [n, size, size, 3].
template <class Visit>
void each_batch(Context<Cpu>& ctx, const std::vector<std::vector<float>>& inputs, int size, int batch, Visit&& visit) {
  const auto step = static_cast<std::size_t>(batch);
  for (std::size_t first = 0; first < inputs.size(); first += step) {
    const std::size_t count = std::min(step, inputs.size() - first);
    auto x = ctx.arena.make<float>({static_cast<std::int64_t>(count), size, size, 3});
    for (std::size_t i = 0; i < count; ++i)
      copy_from_host(x.view().images(static_cast<std::int64_t>(i), 1), inputs[first + i].data());
    visit(first, std::move(x));
  }
}

std::vector<int> numbers(const std::string& text) {
  std::vector<int> out;
  for (std::size_t at = 0; at < text.size(); at = std::min(text.find_first_of(",+", at), text.size() - 1) + 1)
    out.push_back(std::stoi(text.substr(at)));
  return out;
}

void run(const Options& o) {
  Context<Cpu> ctx({.threads = o.threads});
  const ModelFolder folder(o.model);
  const auto config = folder.read();
  D3AD_CHECK(!config.settings.tile, "this model looks at tiles; the ablations are of whole images");
  const auto vae = folder.load_vae<Cpu>(config);
  const auto unet = load_unet<Cpu>(folder / "unet.safetensors", config.unet);
  const auto extractor = load_extractor<Cpu>(folder / "extractor.safetensors");
  for (auto* store : {vae.store.get(), unet.store.get(), extractor.store.get()}) store->freeze();
  const Schedule schedule;
  const int size = config.settings.image_size;

  TestSet set;
  const Dataset dataset = open_dataset(o.data, o.category);
  for (const auto& sample : dataset.test) {
    set.inputs.push_back(read_input(sample.image, size));
    set.masks.push_back(sample.mask ? to_mask(sample_mask(sample), size) : std::vector<std::uint8_t>());
    set.labels.push_back(sample.anomalous());
  }

  std::printf("category,T_max,dynamic,eta2,omega,layers,sigma,lambda,i_auroc,p_auroc,pro\n");
  MeanImage mean(size);
  for (const auto& sample : dataset.train) mean.add(read_input(sample.image, size));
  {
    std::vector<std::vector<float>> by_mean, by_vae;
    const Method<Cpu> method{*vae, *unet, *extractor, schedule, config.settings};
    each_batch(ctx, set.inputs, size, o.batch, [&](std::size_t, Value<float, Cpu> x) {
      const auto m = mean_image_map(ctx, mean, x, static_cast<float>(config.settings.sigma));
      const auto v = vae_only_map(ctx, method, x);
      for (std::int64_t i = 0; i < x.shape().n; ++i) by_mean.push_back(host(m, i)), by_vae.push_back(host(v, i));
    });
    print(o, "baseline: mean good image,,,,,,", judge(set, by_mean, size));
    print(o, "baseline: VAE without diffusion,,,,,,", judge(set, by_vae, size));
  }

  for (const int T_max : o.T_max) {
    ImplicitConditioning::State state;
    {
      const auto kept = folder.read_conditioning(o.threads);
      state.features = Tensor<float, Cpu>(kept.state().features.shape());
      std::copy_n(kept.state().features.data(), state.features.size(), state.features.data());
      state.edges = kept.state().edges, state.distances = kept.state().distances;
      state.k = kept.state().k, state.T_max = T_max;
    }
    const ImplicitConditioning conditioning(std::move(state), o.threads);
    for (const bool dynamic : o.dynamic)
      for (const double eta2 : o.eta2)
        for (const double omega : o.omega)
          for (const auto& layers : o.layers) {
            Settings settings = config.settings;
            settings.T_max = T_max, settings.dynamic = dynamic, settings.eta2 = eta2, settings.omega = omega;
            settings.map_layers = numbers(layers);
            const Method<Cpu> method{*vae, *unet, *extractor, schedule, settings};
            std::vector<anomaly::MapPair> raw;
            each_batch(ctx, set.inputs, size, o.batch, [&](std::size_t first, Value<float, Cpu> x) {
              const auto a = method.analyse(ctx, std::move(x), conditioning, first);
              for (auto& pair : anomaly::to_host(ctx, a.latent_map, a.feature_map)) raw.push_back(std::move(pair));
            });
            const auto ranges = anomaly::ranges_of(raw);
            for (const double sigma : o.sigma)
              for (const double lambda : o.lambda) {
                std::vector<std::vector<float>> maps;
                for (const auto& pair : raw)
                  maps.push_back(host(
                      anomaly::combine(ctx, pair, ranges, static_cast<float>(lambda), static_cast<float>(sigma)), 0));
                print(o,
                      concat(T_max, ',', dynamic ? "true" : "false", ',', number(eta2), ',', number(omega), ',',
                             csv_field(layers), ',', number(sigma), ',', number(lambda)),
                      judge(set, maps, size));
              }
          }
  }
}

}  // namespace

int main(int argc, char** argv) try {
  Options o;
  CLI::App app("What each part of the method contributes, on a labelled test set with one trained model");
  app.add_option("--model", o.model, "folder of a trained model")->required();
  app.add_option("--data", o.data, "folder of categories in MVTec AD's layout")->required();
  app.add_option("--category", o.category, "category in --data")->required();
  app.add_option("--T-max", o.T_max, "largest perturbations")->delimiter(',')->capture_default_str();
  app.add_option("--eta2", o.eta2, "strengths of guidance")->delimiter(',')->capture_default_str();
  app.add_option("--omega", o.omega, "shares of noise at the start")->delimiter(',')->capture_default_str();
  app.add_option("--dynamic", o.dynamic, "by image, or T_max for all")->delimiter(',')->capture_default_str();
  app.add_option("--lambda", o.lambda, "weights of the latent map")->delimiter(',')->capture_default_str();
  app.add_option("--sigma", o.sigma, "blurs, pixels")->delimiter(',')->capture_default_str();
  app.add_option("--layers", o.layers, "feature layers, + between those of one map")->delimiter(',');
  app.add_option("--batch", o.batch, "images computed together")->capture_default_str();
  app.add_option("--threads", o.threads, "threads, 0: one for each core")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  run(o);
} catch (const std::exception& error) {
  std::fprintf(stderr, "ablation: %s\n", error.what());
  return 2;
}
