// Every network as a whole in training: its gradient along a random direction of all its parameters against a finite
// difference, in double; and a few steps of AdamW that lower its loss.

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "d3ad/autograd/adamw.hpp"
#include "d3ad/backend/reference/ops.hpp"
#include "d3ad/models/resnet.hpp"
#include "d3ad/models/tiny_vae.hpp"
#include "d3ad/models/unet.hpp"
#include "d3ad/models/vae.hpp"
#include "d3ad/networks-inl.hpp"
#include "d3ad/weights/source.hpp"
#include "support/compare.hpp"

namespace models_training_test {

using namespace d3ad;

namespace {

// In double, at a step of 1e-6, truncation and rounding are both below 1e-7 of the derivative; a missing or doubled
// term of one layer is above 1e-3 of it.
constexpr double kDirection = 1e-5, kStep = 1e-6;

template <class Device>
std::vector<Parameter<Device>*> trainable(ParameterStore<Device>& store) {
  std::vector<Parameter<Device>*> out;
  for (auto& p : store)
    if (p.trainable()) out.push_back(&p);
  return out;
}

template <class Device>
Value<Real<Device>, Device> input(Context<Device>& ctx, Shape shape, std::uint64_t stream) {
  auto x = make_value<Real<Device>>(ctx, shape);
  const Rng rng(17, stream);
  for (std::int64_t i = 0; i < shape.size(); ++i)
    x.view().data[i] = static_cast<Real<Device>>(0.5 * double{rng.normal(static_cast<std::uint64_t>(i))});
  return x;
}

template <class Device>
Value<std::int32_t, Device> integers(Context<Device>& ctx, const std::vector<std::int32_t>& numbers) {
  auto x = make_value<std::int32_t>(ctx, {.n = static_cast<std::int64_t>(numbers.size())});
  copy_from_host(x.view(), numbers.data());
  return x;
}

// The four trainings; `build(device, store, source)` gives the network, `loss(run, network)` its loss on fixed inputs.
struct OfUNet {
  static constexpr const char* prefix = "unet.";
  template <class Device>
  static UNet<Device> build(const Params<Device>& p) {
    return {p, {.channels = 3, .base = 32, .multipliers = {1, 2}, .res_blocks = 1, .attention = {2}, .heads = 2}};
  }
  template <class Run, class Net>
  static auto loss(Run& run, const Net& net) {
    auto& ctx = context_of(run);
    return fn::mse(run, net(run, input(ctx, {2, 8, 8, 3}, 1), integers(ctx, {3, 700}).view()),
                   input(ctx, {2, 8, 8, 3}, 2));
  }
};

struct OfVae {
  static constexpr const char* prefix = "vae.";
  template <class Device>
  static Vae<Device> build(const Params<Device>& p) {
    return {p, {.block_out_channels = {8, 16}, .layers_per_block = 1, .latent_channels = 2, .norm_groups = 4}};
  }
  // Reconstruction and Kullback-Leibler divergence, the latent drawn from the posterior.
  template <class Run, class Net>
  static auto loss(Run& run, const Net& net) {
    auto& ctx = context_of(run);
    const auto x = input(ctx, {2, 8, 8, 3}, 1);
    auto moments = net.encode(run, x);
    auto z = fn::posterior(run, moments, input(ctx, {2, 4, 4, 2}, 2));
    auto reconstruction = fn::l1(run, net.decode(run, std::move(z)), x);
    auto [mean, logvar] = fn::halves(run, std::move(moments));
    return fn::add(run, std::move(reconstruction), fn::scale(run, fn::kl(run, mean, logvar), 0.1f));
  }
};

struct OfTinyVae {
  static constexpr const char* prefix = "tae.";
  template <class Device>
  static TinyVae<Device> build(const Params<Device>& p) {
    return {p, {.latent_channels = 3, .midblock_group_norm = true, .width = 8}};
  }
  template <class Run, class Net>
  static auto loss(Run& run, const Net& net) {
    auto& ctx = context_of(run);
    const auto x = input(ctx, {2, 16, 16, 3}, 1);
    return fn::mse(run, net.decode(run, net.encode(run, x)), x);
  }
};

template <bool kBottleneck>
struct OfResNet {
  static constexpr const char* prefix = "resnet.";
  template <class Device>
  static ResNet<Device> build(const Params<Device>& p) {
    ResNetConfig config;
    config.bottleneck = kBottleneck;
    config.blocks = {1, 1, 2, 1};
    config.width = 4;
    config.classes = 3;
    return {p, config};
  }
  template <class Run, class Net>
  static auto loss(Run& run, const Net& net) {
    auto& ctx = context_of(run);
    auto logits = net.classify(run, input(ctx, {4, 32, 32, 3}, 1), /*training=*/true);
    return fn::cross_entropy(run, std::move(logits), integers(ctx, {0, 2, 1, 2}));
  }
};

template <class Training>
void check_direction() {
  Context<Reference> ctx;
  ParameterStore<Reference> store;
  HashSource source(Training::prefix);
  const auto net = Training::build(Params<Reference>(store, source));
  const auto parameters = trainable(store);
  REQUIRE(parameters.size() > 10);
  {
    Tape<Reference> tape(ctx);
    tape.backward(Training::loss(tape, net));
  }
  // The direction is of each tensor's own size, so that small tensors count as much as large ones.
  double along = 0;
  int without = 0;
  std::vector<std::vector<double>> direction;
  for (auto* p : parameters) {
    const Rng rng(23, direction.size());
    auto& v = direction.emplace_back(static_cast<std::size_t>(p->size()));
    double squares = 0, sum = 0;
    for (std::size_t i = 0; i < v.size(); ++i) v[i] = double{rng.normal(i)}, squares += v[i] * v[i];
    for (auto& x : v) x /= std::sqrt(squares);
    for (std::size_t i = 0; i < v.size(); ++i) sum += v[i] * p->gradient().data[i];
    along += sum;
    without += ops::sum_squares(ctx, p->gradient()) == 0;
  }
  CHECK(without == 0);  // every parameter is reached
  const auto shifted = [&](double step) {
    for (std::size_t k = 0; k < parameters.size(); ++k) {
      auto value = parameters[k]->edit();
      for (std::size_t i = 0; i < direction[k].size(); ++i) value.data[i] += step * direction[k][i];
    }
    return double{fn::item(Training::loss(ctx, net))};
  };
  const double up = shifted(kStep), down = shifted(-2 * kStep);
  const double want = (up - down) / (2 * kStep);
  REQUIRE(std::abs(want) > 1e-4);
  CHECK(along == doctest::Approx(want).epsilon(kDirection));
}

template <class Training>
void check_learning() {
  Context<Cpu> ctx({.threads = 2});
  ParameterStore<Cpu> store;
  InitSource source(5);
  const auto net = Training::build(Params<Cpu>(store, source));
  AdamW<Cpu> optimizer(trainable(store), {.lr = 3e-3f, .weight_decay = 0.01f});
  double first = 0, last = 0;
  for (int step = 0; step < 60; ++step) {
    optimizer.zero_gradients(ctx);
    Tape<Cpu> tape(ctx);
    const auto loss = Training::loss(tape, net);
    last = double{fn::item(loss)};
    if (step == 0) first = last;
    tape.backward(loss);
    optimizer.step(ctx, {.clip = 1});
  }
  CHECK(std::isfinite(last));
  CHECK(last < 0.7 * first);
}

}  // namespace

TEST_CASE("the gradient of a whole network is that of a finite difference") {
  SUBCASE("UNet") { check_direction<OfUNet>(); }
  SUBCASE("VAE, through its posterior") { check_direction<OfVae>(); }
  SUBCASE("tiny VAE") { check_direction<OfTinyVae>(); }
  SUBCASE("ResNet classifier of basic blocks, in training mode") { check_direction<OfResNet<false>>(); }
  SUBCASE("ResNet classifier of bottlenecks, in training mode") { check_direction<OfResNet<true>>(); }
}

TEST_CASE("every network learns") {
  SUBCASE("UNet") { check_learning<OfUNet>(); }
  SUBCASE("VAE") { check_learning<OfVae>(); }
  SUBCASE("tiny VAE") { check_learning<OfTinyVae>(); }
  SUBCASE("ResNet classifier of basic blocks") { check_learning<OfResNet<false>>(); }
  SUBCASE("ResNet classifier of bottlenecks") { check_learning<OfResNet<true>>(); }
}

TEST_CASE("two half batches accumulate to the gradient of the whole one") {
  Context<Cpu> ctx;
  ParameterStore<Cpu> whole_store, halves_store;
  HashSource source(OfUNet::prefix);
  const auto whole = OfUNet::build(Params<Cpu>(whole_store, source));
  const auto halves = OfUNet::build(Params<Cpu>(halves_store, source));
  const auto x = input(ctx, {2, 8, 8, 3}, 1), target = input(ctx, {2, 8, 8, 3}, 2);
  {
    Tape<Cpu> tape(ctx);
    tape.backward(fn::mse(tape, whole(tape, x, integers(ctx, {3, 700}).view()), target));
  }
  for (int half = 0; half < 2; ++half) {
    const auto part = [&](const Value<float, Cpu>& all) {
      auto out = make_value<float>(ctx, {1, 8, 8, 3});
      std::copy_n(all.view().data + half * out.shape().size(), out.shape().size(), out.view().data);
      return out;
    };
    Tape<Cpu> tape(ctx);
    const auto t = integers(ctx, {half == 0 ? 3 : 700});
    tape.backward(fn::mse(tape, halves(tape, part(x), t.view()), part(target)), 0.5f);
  }
  float largest = 0;
  double worst = 0;
  for (auto& p : whole_store) {
    const auto a = p.gradient(), b = halves_store.find(p.name())->gradient();
    for (std::int64_t i = 0; i < a.size(); ++i) {
      largest = std::max(largest, std::abs(a.data[i]));
      worst = std::max(worst, std::abs(double{a.data[i]} - double{b.data[i]}));
    }
  }
  CHECK(worst < 1e-5 * double{largest});
}

}  // namespace models_training_test
