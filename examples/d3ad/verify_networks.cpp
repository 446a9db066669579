// The kinds of reference files that run a network: unet, vae, tae, resnet, reconstruct, train_unet, adapt_resnet.

#include <cmath>
#include <d3ad/backend/reference/ops.hpp>
#include <d3ad/networks-inl.hpp>

#include "device.hpp"
#include "verify.hpp"

namespace program {

using namespace d3ad;

namespace {

UNetConfig unet_config(const ReferenceFile& reference, std::int64_t channels) {
  auto json = reference.config();
  if (!json.contains("channels")) json["channels"] = channels;
  return json.get<UNetConfig>();
}

template <class U, class Device>
Value<U, Device> uploaded(Context<Device>& ctx, const std::vector<U>& numbers) {
  auto out = make_value<U>(ctx, {.n = static_cast<std::int64_t>(numbers.size())});
  copy_from_host(out.view(), numbers.data());
  return out;
}

// Every tensor of the file named PREFIX<parameter>, against what `pick` takes of that parameter. What is nothing but
// rounding beside the largest of them all (the gradient of a shift that a norm takes out again) is measured by that.
template <class Device, class Pick>
void compare_parameters(const ReferenceFile& reference, Comparisons& all, ParameterStore<Device>& store,
                        const std::string& prefix, double tolerance, Pick&& pick, double factor = 1) {
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
    reference.compare(all, name, pick(*p), rounding_only ? tolerance * largest / own : tolerance, factor);
  }
}
constexpr auto value_of = [](auto& p) { return std::as_const(p).value(); };
constexpr auto gradient_of = [](auto& p) { return p.gradient(); };

ops::AdamW adamw(const ReferenceFile& reference) {
  return {.lr = static_cast<float>(reference.number("lr", 1e-4)),
          .weight_decay = static_cast<float>(reference.number("weight_decay", 0.01))};
}

// A network of the file's weights, frozen: made(params) gives it, use(ctx, network) runs it on the device.
template <class Make, class Use>
void with_network(const ReferenceFile& reference, Make&& make, Use&& use) {
  on_device(reference.common, [&]<class Device>(Context<Device>& ctx) {
    ParameterStore<Device> store;
    const auto source = reference.weights();
    const auto network = make(Params<Device>(store, *source));
    store.freeze();
    use(ctx, network);
  });
}

}  // namespace

void verify_unet(const ReferenceFile& reference, Comparisons& all) {
  const auto config = unet_config(reference, reference.tensor("x").shape().c);
  with_network(
      reference, [&]<class Device>(const Params<Device>& p) { return UNet<Device>(p, config); },
      [&]<class Device>(Context<Device>& ctx, const UNet<Device>& unet) {
        const auto t = uploaded(ctx, reference.integers("t"));
        const auto eps = unet(ctx, reference.activations(ctx, "x"), View<const std::int32_t, Device>(t.view()));
        reference.compare(all, "eps", eps.view(), reference.allowed.network);
      });
}

void verify_vae(const ReferenceFile& reference, Comparisons& all) {
  const double allowed = reference.allowed.network;
  const auto config = reference.config().get<VaeConfig>();
  with_network(
      reference, [&]<class Device>(const Params<Device>& p) { return Vae<Device>(p, config); },
      [&]<class Device>(Context<Device>& ctx, const Vae<Device>& vae) {
        if (reference.file->has("x")) {
          const auto [mean, logvar] = fn::halves(ctx, vae.encode(ctx, reference.activations(ctx, "x")));
          reference.compare(all, "mean", mean.view(), allowed);
          if (reference.file->has("logvar")) reference.compare(all, "logvar", logvar.view(), allowed);
        }
        if (reference.file->has("z"))
          reference.compare(all, "image", vae.decode(ctx, reference.activations(ctx, "z")).view(), allowed);
      });
}

void verify_tae(const ReferenceFile& reference, Comparisons& all) {
  const double allowed = reference.allowed.network;
  const auto config = reference.config().get<TinyVaeConfig>();
  with_network(
      reference, [&]<class Device>(const Params<Device>& p) { return TinyVae<Device>(p, config); },
      [&]<class Device>(Context<Device>& ctx, const TinyVae<Device>& vae) {
        if (reference.file->has("x"))
          reference.compare(all, "latent", vae.encode(ctx, reference.activations(ctx, "x")).view(), allowed);
        if (reference.file->has("image"))
          reference.compare(all, "image", vae.decode(ctx, reference.activations(ctx, "latent")).view(), allowed);
      });
}

namespace {

// What is allowed on a device: in double as in float.
template <class Device>
Tolerances allowed_on(const ReferenceFile& reference) {
  return std::is_same_v<Device, Reference> ? Tolerances() : reference.allowed;
}

// Training mode: features, and the running statistics that the pass has moved.
template <class Device>
void resnet_in_training(Context<Device>& ctx, const ReferenceFile& reference, Comparisons& all) {
  const double allowed = allowed_on<Device>(reference).network;
  ParameterStore<Device> store;
  const auto source = reference.weights();
  const ResNet<Device> net(Params<Device>(store, *source), reference.config().get<ResNetConfig>());
  const auto train = net.features(ctx, reference.activations(ctx, "x"), /*training=*/true);
  for (std::size_t i = 0; i < 3; ++i) reference.compare(all, concat("train.layer", i + 1), train[i].view(), allowed);
  compare_parameters(reference, all, store, "after.", allowed, value_of);
}

}  // namespace

void verify_resnet(const ReferenceFile& reference, Comparisons& all) {
  const auto config = reference.config().get<ResNetConfig>();
  with_network(
      reference, [&]<class Device>(const Params<Device>& p) { return ResNet<Device>(p, config); },
      [&]<class Device>(Context<Device>& ctx, const ResNet<Device>& net) {
        const auto eval = net.features(ctx, reference.activations(ctx, "x"));
        for (std::size_t i = 0; i < 3; ++i)
          if (const auto name = concat("eval.layer", i + 1); reference.file->has(name))
            reference.compare(all, name, eval[i].view(), reference.allowed.network);
      });
  if (!reference.file->has("train.layer1")) return;
  // In a hundred layers a batch's own statistics make rounding in float grow beyond the tolerance, PyTorch's too.
  if (reference.text("training", "") == "double") {
    if (reference.common.device != "cpu") return;
    Context<Reference> ctx({.threads = reference.common.threads});
    resnet_in_training(ctx, reference, all);
  } else {
    on_device(reference.common, [&](auto& ctx) { resnet_in_training(ctx, reference, all); });
  }
}

void verify_reconstruct(const ReferenceFile& reference, Comparisons& all) {
  const auto config = unet_config(reference, reference.tensor("z0").shape().c);
  const float eps_scale = static_cast<float>(reference.number("eps_scale", 1));
  std::vector<int> T_hat;
  for (const auto t : reference.integers("T_hat")) T_hat.push_back(t);
  diffusion::DenoiseOptions options;
  options.eta2 = static_cast<float>(reference.number("eta2"));
  options.omega = static_cast<float>(reference.number("omega", 0));
  options.steps = static_cast<int>(reference.number("steps", 10));
  int last = 0;
  for (const int T : T_hat) last = std::max(last, static_cast<int>(diffusion::times(T, options.steps).size()));
  with_network(
      reference, [&]<class Device>(const Params<Device>& p) { return UNet<Device>(p, config); },
      [&]<class Device>(Context<Device>& ctx, const UNet<Device>& unet) {
        const auto model = [&](Context<Device>& c, Value<Weight<Device>, Device> x,
                               View<const std::int32_t, Device> t) {
          return fn::scale(c, unet(c, fn::to_real(c, std::move(x)), t), eps_scale);
        };
        Value<Weight<Device>, Device> noise;
        if (reference.file->has("noise")) noise = reference.weights_like(ctx, "noise");
        const auto on_step = [&](int done, View<const Weight<Device>, Device> x) {
          const auto compare = [&](const std::string& name) {
            if (reference.file->has(name)) reference.compare(all, name, x, reference.allowed.reconstruction);
          };
          compare(concat("x.", done));
          if (done == 0) compare("first");
          if (done == last) compare("last");
        };
        diffusion::reconstruct(
            ctx, model, reference.weights_like(ctx, "z0"), T_hat, Schedule(), options,
            noise ? View<const Weight<Device>, Device>(noise.view()) : View<const Weight<Device>, Device>(), on_step);
      });
}

namespace {

template <class Device>
void train_unet_on(Context<Device>& ctx, const ReferenceFile& reference, Comparisons& all) {
  const Tolerances& allowed = reference.allowed;
  ParameterStore<Device> store;
  const auto source = reference.weights();
  const auto z0 = reference.weights_like(ctx, "z0");
  const UNet<Device> unet(Params<Device>(store, *source), unet_config(reference, z0.shape().c));
  const Schedule schedule;
  AdamW<Device> optimizer(store.parameters(), adamw(reference));
  LossScale<Device> scale;
  int step = 0;
  for (; reference.file->has(concat("noise.", step)); ++step) {
    const auto steps = reference.integers(concat("t.", step));
    std::vector<Weight<Device>> signal, spread;
    for (const auto t : steps) {
      signal.push_back(std::sqrt(schedule.alpha_bar(t)));
      spread.push_back(std::sqrt(1 - schedule.alpha_bar(t)));
    }
    const auto t = uploaded(ctx, steps);
    const auto a = uploaded(ctx, signal), b = uploaded(ctx, spread);
    const auto noise = reference.weights_like(ctx, concat("noise.", step));
    auto x = make_value<Weight<Device>>(ctx, z0.shape());
    ops::add_noise(ctx, x.view(), z0.view(), noise.view(), a.view(), b.view());
    double norm = 0, loss_scale = 1;
    double loss = 0;
    do {
      loss_scale = double{scale.value()};
      optimizer.zero_gradients(ctx);
      Tape<Device> tape(ctx);
      const auto eps = unet(tape, fn::to_real(ctx, x), View<const std::int32_t, Device>(t.view()));
      const auto error = fn::mse(tape, eps, fn::to_real(ctx, noise));
      tape.backward(error, scale.value());
      loss = fn::item(error);
      norm = optimizer.step(ctx, {.gradient_scale = 1 / loss_scale, .may_overflow = LossScale<Device>::kScales});
    } while (!scale.keeps(norm));
    const auto name = concat("loss.", step);
    all.add(name, std::vector<double>{loss}, reference.doubles(name), allowed.network);
    // The gradients of the step stay in the parameters until the next one.
    if (step == 0) compare_parameters(reference, all, store, "grad.", allowed.steps, gradient_of, 1 / loss_scale);
    if (const auto of_all = concat("grad_norm.", step); reference.file->has(of_all))
      all.add(of_all, std::vector<double>{norm}, reference.doubles(of_all), allowed.steps);
  }
  compare_parameters(reference, all, store, concat("after", step, '.'), allowed.steps, value_of);
}

// The step of adaptation on a device; compares the loss, and, if asked, all that it moves.
template <class Device>
void adapt_on(Context<Device>& ctx, const ReferenceFile& reference, Comparisons& all, bool gradients) {
  const Tolerances allowed = allowed_on<Device>(reference);
  ParameterStore<Device> store;
  const auto source = reference.weights();
  auto json = reference.config();
  if (!json.contains("architecture")) json["architecture"] = "resnet34";
  const ResNet<Device> net(Params<Device>(store, *source), json.get<ResNetConfig>());
  AdamW<Device> optimizer(store.parameters(), adamw(reference));
  const auto input = [&](const std::string& name) { return imagenet_input(ctx, reference.activations(ctx, name)); };
  LossScale<Device> scale;
  const double loss = anomaly::adapt_step(ctx, net, optimizer, scale, input("rec"), input("target")).loss;
  all.add(gradients ? "loss" : concat("loss (in ", reference.common.precision, ')'), std::vector<double>{loss},
          reference.doubles("loss"), allowed.network);
  if (!gradients) return;
  compare_parameters(reference, all, store, "grad.", allowed.steps, gradient_of);
  compare_parameters(reference, all, store, "after1.", allowed.steps, value_of);
}

}  // namespace

void verify_train_unet(const ReferenceFile& reference, Comparisons& all) {
  on_device(reference.common, [&](auto& ctx) { train_unet_on(ctx, reference, all); });
}

// The loss as training computes it; gradients in double, because in float the rounding of a deep network decides on
// which side of a ReLU's zero the nearest activations fall, in either implementation. Those are the CPU's.
void verify_adapt_resnet(const ReferenceFile& reference, Comparisons& all) {
  on_device(reference.common, [&](auto& ctx) { adapt_on(ctx, reference, all, false); });
  if (reference.common.device != "cpu") return;
  Context<Reference> ctx({.threads = reference.common.threads});
  adapt_on(ctx, reference, all, true);
}

}  // namespace program
