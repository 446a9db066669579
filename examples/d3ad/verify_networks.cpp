// The kinds of reference files that run a network: unet, vae, tae, resnet, reconstruct, train_unet, adapt_resnet.

#include <cmath>

#include "verify.hpp"

namespace program {

using namespace d3ad;

namespace {

UNetConfig unet_config(const ReferenceFile& reference, std::int64_t channels) {
  auto json = reference.config();
  if (!json.contains("channels")) json["channels"] = channels;
  return json.get<UNetConfig>();
}

View<const std::int32_t, Cpu> steps(const std::vector<std::int32_t>& t) {
  return {t.data(), {.n = static_cast<std::int64_t>(t.size())}};
}

// Every tensor of the file named PREFIX<parameter>, against what `pick` takes of that parameter. What is nothing but
// rounding beside the largest of them all (the gradient of a shift that a norm takes out again) is measured by that.
template <class Device, class Pick>
void compare_parameters(const ReferenceFile& reference, Comparisons& all, ParameterStore<Device>& store,
                        const std::string& prefix, double tolerance, Pick&& pick) {
  double largest = 0;
  for (const auto& name : reference.file->names())
    if (name.starts_with(prefix))
      for (const double v : reference.doubles(name)) largest = std::max(largest, std::abs(v));
  for (const auto& name : reference.file->names()) {
    if (!name.starts_with(prefix)) continue;
    auto* p = store.find(name.substr(prefix.size()));
    D3AD_CHECK(p, "'", reference.file->path(), "': '", name, "' is not a parameter of the network");
    double own = 0;
    for (const double v : reference.doubles(name)) own = std::max(own, std::abs(v));
    const bool rounding_only = own > 0 && own < 1e-6 * largest;
    reference.compare(all, name, pick(*p), rounding_only ? tolerance * largest / own : tolerance);
  }
}
constexpr auto value_of = [](auto& p) { return std::as_const(p).value(); };
constexpr auto gradient_of = [](auto& p) { return p.gradient(); };

ops::AdamW adamw(const ReferenceFile& reference) {
  return {.lr = static_cast<float>(reference.number("lr", 1e-4)),
          .weight_decay = static_cast<float>(reference.number("weight_decay", 0.01))};
}

}  // namespace

void verify_unet(const ReferenceFile& reference, Comparisons& all) {
  Context<Cpu> ctx({.threads = reference.threads});
  ParameterStore<Cpu> store;
  const auto source = reference.weights();
  const auto x = reference.tensor("x");
  const UNet<Cpu> unet(Params<Cpu>(store, *source), unet_config(reference, x.shape().c));
  store.freeze();
  const auto t = reference.integers("t");
  reference.compare(all, "eps", unet(ctx, borrow(x), steps(t)).view(), kNetwork);
}

void verify_vae(const ReferenceFile& reference, Comparisons& all) {
  Context<Cpu> ctx({.threads = reference.threads});
  ParameterStore<Cpu> store;
  const auto source = reference.weights();
  const Vae<Cpu> vae(Params<Cpu>(store, *source), reference.config().get<VaeConfig>());
  store.freeze();
  if (reference.file->has("x")) {
    const auto x = reference.tensor("x");
    const auto [mean, logvar] = fn::halves(ctx, vae.encode(ctx, borrow(x)));
    reference.compare(all, "mean", mean.view(), kNetwork);
    if (reference.file->has("logvar")) reference.compare(all, "logvar", logvar.view(), kNetwork);
  }
  if (reference.file->has("z")) {
    const auto z = reference.tensor("z");
    reference.compare(all, "image", vae.decode(ctx, borrow(z)).view(), kNetwork);
  }
}

void verify_tae(const ReferenceFile& reference, Comparisons& all) {
  Context<Cpu> ctx({.threads = reference.threads});
  ParameterStore<Cpu> store;
  const auto source = reference.weights();
  const TinyVae<Cpu> vae(Params<Cpu>(store, *source), reference.config().get<TinyVaeConfig>());
  store.freeze();
  if (reference.file->has("x")) {
    const auto x = reference.tensor("x");
    reference.compare(all, "latent", vae.encode(ctx, borrow(x)).view(), kNetwork);
  }
  if (reference.file->has("image")) {
    const auto z = reference.tensor("latent");
    reference.compare(all, "image", vae.decode(ctx, borrow(z)).view(), kNetwork);
  }
}

namespace {

// Training mode: features, and the running statistics that the pass has moved.
template <class Device>
void resnet_in_training(const ReferenceFile& reference, Comparisons& all) {
  Context<Device> ctx({.threads = reference.threads});
  ParameterStore<Device> store;
  const auto source = reference.weights();
  const ResNet<Device> net(Params<Device>(store, *source), reference.config().get<ResNetConfig>());
  const auto x = reference.tensor("x");
  auto input = ctx.arena.template make<Real<Device>>(x.shape());
  std::copy_n(x.data(), x.size(), input.view().data);
  const auto train = net.features(ctx, std::move(input), /*training=*/true);
  for (std::size_t i = 0; i < 3; ++i) reference.compare(all, concat("train.layer", i + 1), train[i].view(), kNetwork);
  compare_parameters(reference, all, store, "after.", kNetwork, value_of);
}

}  // namespace

void verify_resnet(const ReferenceFile& reference, Comparisons& all) {
  {
    Context<Cpu> ctx({.threads = reference.threads});
    ParameterStore<Cpu> store;
    const auto source = reference.weights();
    const ResNet<Cpu> net(Params<Cpu>(store, *source), reference.config().get<ResNetConfig>());
    const auto x = reference.tensor("x");
    const auto eval = net.features(ctx, borrow(x));
    for (std::size_t i = 0; i < 3; ++i)
      if (const auto name = concat("eval.layer", i + 1); reference.file->has(name))
        reference.compare(all, name, eval[i].view(), kNetwork);
  }
  if (!reference.file->has("train.layer1")) return;
  // In a hundred layers a batch's own statistics make rounding in float grow beyond the tolerance, PyTorch's too.
  if (reference.text("training", "") == "double")
    resnet_in_training<Reference>(reference, all);
  else
    resnet_in_training<Cpu>(reference, all);
}

void verify_reconstruct(const ReferenceFile& reference, Comparisons& all) {
  Context<Cpu> ctx({.threads = reference.threads});
  ParameterStore<Cpu> store;
  const auto source = reference.weights();
  const auto z0 = reference.tensor("z0");
  const UNet<Cpu> unet(Params<Cpu>(store, *source), unet_config(reference, z0.shape().c));
  store.freeze();
  const float eps_scale = static_cast<float>(reference.number("eps_scale", 1));
  const auto model = [&](Context<Cpu>& c, Value<float, Cpu> x, View<const std::int32_t, Cpu> t) {
    return fn::scale(c, unet(c, std::move(x), t), eps_scale);
  };
  std::vector<int> T_hat;
  for (const auto t : reference.integers("T_hat")) T_hat.push_back(t);
  diffusion::DenoiseOptions options;
  options.eta2 = static_cast<float>(reference.number("eta2"));
  options.omega = static_cast<float>(reference.number("omega", 0));
  options.steps = static_cast<int>(reference.number("steps", 10));
  Tensor<float, Cpu> noise;
  View<const float, Cpu> start_noise;
  if (reference.file->has("noise")) {
    noise = reference.tensor("noise");
    start_noise = noise.view();
  }
  int last = 0;
  for (const int T : T_hat) last = std::max(last, static_cast<int>(diffusion::times(T, options.steps).size()));
  const auto on_step = [&](int done, View<const float, Cpu> x) {
    if (const auto name = concat("x.", done); reference.file->has(name)) reference.compare(all, name, x, kNetwork);
    if (done == 0 && reference.file->has("first")) reference.compare(all, "first", x, kNetwork);
    if (done == last && reference.file->has("last")) reference.compare(all, "last", x, kNetwork);
  };
  diffusion::reconstruct(ctx, model, borrow(z0), T_hat, Schedule(), options, start_noise, on_step);
}

void verify_train_unet(const ReferenceFile& reference, Comparisons& all) {
  Context<Cpu> ctx({.threads = reference.threads});
  ParameterStore<Cpu> store;
  const auto source = reference.weights();
  const auto z0 = reference.tensor("z0");
  const UNet<Cpu> unet(Params<Cpu>(store, *source), unet_config(reference, z0.shape().c));
  const Schedule schedule;
  AdamW<Cpu> optimizer(store.parameters(), adamw(reference));
  int step = 0;
  for (; reference.file->has(concat("noise.", step)); ++step) {
    const auto noise = reference.tensor(concat("noise.", step));
    const auto t = reference.integers(concat("t.", step));
    std::vector<float> a, b;
    for (const auto i : t) {
      a.push_back(std::sqrt(schedule.alpha_bar(i)));
      b.push_back(std::sqrt(1 - schedule.alpha_bar(i)));
    }
    const Shape n{.n = static_cast<std::int64_t>(t.size())};
    auto x = ctx.arena.make<float>(z0.shape());
    ops::add_noise(ctx, x.view(), z0.view(), noise.view(), View<const float, Cpu>(a.data(), n),
                   View<const float, Cpu>(b.data(), n));
    optimizer.zero_gradients(ctx);
    Tape<Cpu> tape(ctx);
    const auto loss = fn::mse(tape, unet(tape, x, steps(t)), borrow(noise));
    reference.compare(all, concat("loss.", step), loss.view(), kNetwork);
    tape.backward(loss);
    if (step == 0) compare_parameters(reference, all, store, "grad.", kGradient, gradient_of);
    const double norm = optimizer.step(ctx, {});
    if (const auto name = concat("grad_norm.", step); reference.file->has(name))
      all.add(name, std::vector<double>{norm}, reference.doubles(name), kGradient);
  }
  compare_parameters(reference, all, store, concat("after", step, '.'), kGradient, value_of);
}

namespace {

// The step on a device; compares the loss, and where asked all that it moves.
template <class Device>
void adapt_on(const ReferenceFile& reference, Comparisons& all, bool gradients) {
  Context<Device> ctx({.threads = reference.threads});
  ParameterStore<Device> store;
  const auto source = reference.weights();
  auto json = reference.config();
  if (!json.contains("architecture")) json["architecture"] = "resnet34";
  const ResNet<Device> net(Params<Device>(store, *source), json.get<ResNetConfig>());
  AdamW<Device> optimizer(store.parameters(), adamw(reference));
  const auto input = [&](const std::string& name) {
    const auto x = reference.tensor(name);
    auto out = ctx.arena.template make<Real<Device>>(x.shape());
    std::copy_n(x.data(), x.size(), out.view().data);
    return fn::imagenet_input(ctx, std::move(out));
  };
  LossScale<Device> scale;
  const double loss = anomaly::adapt_step(ctx, net, optimizer, scale, input("rec"), input("target")).loss;
  all.add(gradients ? "loss" : "loss (in float)", std::vector<double>{loss}, reference.doubles("loss"), kNetwork);
  if (!gradients) return;
  // The gradients of the step stay in the parameters until the next one.
  compare_parameters(reference, all, store, "grad.", kGradient, gradient_of);
  compare_parameters(reference, all, store, "after1.", kGradient, value_of);
}

}  // namespace

// The loss as training computes it; gradients in double, because in float the rounding of a deep network decides on
// which side of a ReLU's zero the nearest activations fall, in either implementation.
void verify_adapt_resnet(const ReferenceFile& reference, Comparisons& all) {
  adapt_on<Cpu>(reference, all, false);
  adapt_on<Reference>(reference, all, true);
}

}  // namespace program
