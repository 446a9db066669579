#pragma once
// The feature extractor: a narrow ResNet-34 that learns to tell the zoo's classes apart.
//
//   train_extractor(ctx, {.out = "resnet34.safetensors", .steps = 7000});
//   const Accuracy a = prototype_accuracy(ctx, *net, Zoo(/*held_out=*/true), seed);
//
// layer4 and the classifier are needed for training only and are not kept.

#include "scene.hpp"
#include "training.hpp"

namespace pretrain {

struct ExtractorOptions {
  fs::path out;
  std::int64_t steps = 7000;
  int batch = 32, size = 128, width = 32;
  std::uint64_t seed = 1;
};

inline void train_extractor(d3ad::Context<Cpu>& ctx, const ExtractorOptions& o) {
  const Zoo zoo(false);
  d3ad::ParameterStore<Cpu> store;
  d3ad::InitSource source(o.seed);
  auto config = d3ad::ResNetConfig::named("resnet34");
  config.width = o.width;
  config.classes = zoo.classes();
  const d3ad::ResNet<Cpu> net(d3ad::Params<Cpu>(store, source), config);
  std::printf("extractor: %lld numbers, %d classes\n", static_cast<long long>(store.values()), zoo.classes());

  Loop loop(ctx, store,
            {.label = "extractor",
             .steps = o.steps,
             .batch = o.batch,
             .lr = 1e-3f,
             .checkpoint = o.out.string() + ".checkpoint",
             .key = d3ad::concat("extractor ", o.steps, ' ', o.batch, ' ', o.size, ' ', o.width, ' ', o.seed)});
  loop.run([&](d3ad::Tape<Cpu>& tape, std::int64_t step) {
    auto labels = make_value<std::int32_t>(ctx, {.n = o.batch});
    auto x = make_batch(ctx, o.batch, o.size, [&](int i) {
      Dice dice(o.seed, "pretrain.extractor", static_cast<std::uint64_t>(step * o.batch + i));
      const int c = dice.below(zoo.classes());
      labels.view().data[i] = c;
      return zoo.example(c, dice, o.size);
    });
    auto logits = net.classify(tape, d3ad::imagenet_input(tape, std::move(x)), true);
    return d3ad::fn::cross_entropy(tape, std::move(logits), std::move(labels));
  });

  // How often the classifier is right on new images of the classes it knows.
  int right = 0, seen = 0;
  for (int b = 0; b < 20; ++b) {
    std::vector<int> truth(static_cast<std::size_t>(o.batch));
    auto x = make_batch(ctx, o.batch, o.size, [&](int i) {
      Dice dice(o.seed, "pretrain.extractor.check", static_cast<std::uint64_t>(b * o.batch + i));
      return zoo.example(truth[static_cast<std::size_t>(i)] = dice.below(zoo.classes()), dice, o.size);
    });
    const auto logits = net.classify(ctx, d3ad::imagenet_input(ctx, std::move(x)));
    for (int i = 0; i < o.batch; ++i, ++seen) {
      const float* const row = logits.view().data + std::ptrdiff_t{i} * zoo.classes();
      right += std::max_element(row, row + zoo.classes()) - row == truth[static_cast<std::size_t>(i)];
    }
  }
  std::printf("extractor: %.1f %% of new images of its %d classes are told right\n", 100.0 * right / seen,
              zoo.classes());

  d3ad::ParameterStore<Cpu> kept;
  for (const auto& p : store) {
    if (p.name().starts_with("layer4.") || p.name().starts_with("fc.")) continue;
    d3ad::ops::copy(ctx, kept.add(p.name(), p.dims(), p.trainable()).edit(), p.value());
  }
  config.classes = 0;
  d3ad::save_parameters(kept, o.out,
                        {{"config", nlohmann::json(config).dump()}, {"made_by", "d3ad pretrain extractor"}},
                        d3ad::DType::f16);
  loop.forget();
}

struct Accuracy {
  double textures, shapes;  // share told right, 0 to 1
  int texture_classes, shape_classes;
};

// How well the features tell classes apart: a class is the mean of its features (layer3, averaged over the image) over
// `shots` images, and `tests` others belong to the nearest by cosine; textures among textures, shapes among shapes.
template <class Net>
Accuracy prototype_accuracy(d3ad::Context<Cpu>& ctx, const Net& net, const Zoo& zoo, std::uint64_t seed, int size,
                            int shots = 20, int tests = 20) {
  const int each = shots + tests;
  std::vector<std::vector<float>> features;  // [class * each + image], of length 1
  for (int c = 0; c < zoo.classes(); ++c) {
    auto x = make_batch(ctx, each, size, [&](int i) {
      Dice dice(seed, "pretrain.prototypes", static_cast<std::uint64_t>(c * each + i));
      return zoo.example(c, dice, size);
    });
    const auto pooled = d3ad::fn::global_avg_pool(ctx, net.features(ctx, d3ad::imagenet_input(ctx, std::move(x)))[2]);
    const auto channels = static_cast<std::ptrdiff_t>(pooled.shape().c);
    for (int i = 0; i < each; ++i) {
      const float* const row = pooled.view().data + i * channels;
      features.emplace_back(row, row + channels);
    }
  }
  // Channels are centred over all images, then each image's vector gets length 1.
  std::vector<float> mean(features.front().size());
  for (const auto& f : features)
    for (std::size_t j = 0; j < f.size(); ++j) mean[j] += f[j] / static_cast<float>(features.size());
  const auto to_unit_length = [](std::vector<float>& v) {
    float squares = 1e-12f;
    for (const float x : v) squares += x * x;
    for (float& x : v) x /= std::sqrt(squares);
  };
  for (auto& f : features) {
    for (std::size_t j = 0; j < f.size(); ++j) f[j] -= mean[j];
    to_unit_length(f);
  }
  const auto share = [&](int first, int last) {
    std::vector<std::vector<float>> prototypes;
    for (int c = first; c < last; ++c) {
      std::vector<float> p(mean.size());
      for (int i = 0; i < shots; ++i)
        for (std::size_t j = 0; j < p.size(); ++j) p[j] += features[static_cast<std::size_t>(c * each + i)][j];
      to_unit_length(p);
      prototypes.push_back(std::move(p));
    }
    int right = 0;
    for (int c = first; c < last; ++c)
      for (int i = shots; i < each; ++i) {
        int best = 0;
        float most = -2;
        for (int p = 0; p < last - first; ++p) {
          float product = 0;
          for (std::size_t j = 0; j < mean.size(); ++j)
            product += prototypes[static_cast<std::size_t>(p)][j] * features[static_cast<std::size_t>(c * each + i)][j];
          if (product > most) most = product, best = p;
        }
        right += best == c - first;
      }
    return static_cast<double>(right) / ((last - first) * tests);
  };
  return {share(0, zoo.textures()), share(zoo.textures(), zoo.classes()), zoo.textures(),
          zoo.classes() - zoo.textures()};
}

}  // namespace pretrain
