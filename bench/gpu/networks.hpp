#pragma once
// The networks that are measured and what goes into them, on any device: those of bench/peers, whose rows.py and
// networks.py say the same in Python.
//
//   Networks<CudaHalf> nets(options);              the paper's, with hash weights, each made at its first use
//   auto row = make_row(ctx, nets, "unet", {0, 8});      for images 0 ... 7
//   Outputs<CudaHalf> y = row(ctx);
//
// An image's numbers depend only on its own number, so that the result of one image on the CPU is the expected one in
// any batch. Conditioning, which the other frameworks do not have, is not measured: every image has T_max.

#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gpu_bench.hpp"

namespace gpu {

inline constexpr int kLatentChannels = 4, kReduction = 8;

// Small: the norms have to see more than a number or two in a group, or rounding decides what they give.
inline int image_size(const Options& o) { return o.small ? 64 : 256; }

// One network at a time may be large: what is made stays until the Networks go.
template <class Device>
class Networks {
 public:
  explicit Networks(const Options& o) : o_(o), settings_(Settings::paper()) {
    settings_.data.image_size = image_size(o);
  }

  UNetConfig unet_config() const {
    if (!o_.small) return UNetConfig::paper(kLatentChannels);
    return {.channels = kLatentChannels,
            .base = 32,
            .multipliers = {1, 2},
            .res_blocks = 1,
            .attention = {1, 2},
            .heads = 4};
  }
  const Autoencoder<Device>& vae() {
    VaeConfig c;
    if (o_.small) c.block_out_channels = {32, 32, 32, 32}, c.layers_per_block = 1;
    return made(vae_, "vae.", nlohmann::json(c));
  }
  const UNet<Device>& unet() { return made(unet_, "unet.", unet_config()); }
  const ResNet<Device>& resnet() { return made(resnet_, "resnet34.", ResNetConfig::named("resnet34")); }
  D3adAlgorithm<Device> method(DenoiseLoop<Device>& loop) {
    return {vae(), unet(), resnet(), schedule_, settings_, &loop};
  }
  const Options& options() const { return o_; }
  const Settings& settings() const { return settings_; }

 private:
  template <class Net>
  struct Made {
    ParameterStore<Device> store;
    std::optional<Net> net;
  };
  template <class Net, class Config>
  static const Net& made(std::unique_ptr<Made<Net>>& slot, const char* prefix, const Config& config) {
    if (!slot) {
      auto fresh = std::make_unique<Made<Net>>();
      HashSource source(prefix);
      fresh->net.emplace(Params<Device>(fresh->store, source), config);
      fresh->store.freeze();
      slot = std::move(fresh);
    }
    return *slot->net;
  }

  Options o_;
  Settings settings_;
  Schedule schedule_;
  std::unique_ptr<Made<Autoencoder<Device>>> vae_;
  std::unique_ptr<Made<UNet<Device>>> unet_;
  std::unique_ptr<Made<ResNet<Device>>> resnet_;
};

// ---- inputs ----

struct Images {
  int first = 0, count = 1;
};

// Images `first` to `first + count - 1` of numbers that are the same in batches of any size.
template <class Device>
std::shared_ptr<Tensor<float, Device>> uploaded(const std::string& name, Images images, Shape one, float scale = 1) {
  one.n = images.first + images.count;
  const auto all = uniform(name, one, scale);
  const auto mine = all.view().images(images.first, images.count);
  auto out = std::make_shared<Tensor<float, Device>>(mine.shape);
  copy_from_host(out->view(), mine.data);
  return out;
}
template <class Device>
auto image(const Options& o, Images images) {
  return uploaded<Device>("input.image", images, {.h = image_size(o), .w = image_size(o), .c = 3});
}
template <class Device>
auto latent(const Options& o, Images images, const std::string& name = "input.latent") {
  const int side = image_size(o) / kReduction;
  return uploaded<Device>(name, images, {.h = side, .w = side, .c = kLatentChannels}, std::sqrt(3.0f));
}
template <class Device>
std::shared_ptr<Tensor<std::int32_t, Device>> times(Images images) {
  std::vector<std::int32_t> t;
  for (int i = images.first; i < images.first + images.count; ++i) t.push_back((37 + 101 * i) % 1000);
  auto out = std::make_shared<Tensor<std::int32_t, Device>>(Shape{.n = images.count});
  copy_from_host(out->view(), t.data());
  return out;
}

// ---- rows ----

template <class Device>
struct Outputs {
  std::vector<Value<Real<Device>, Device>> real;      // what a network gives
  std::vector<Value<Weight<Device>, Device>> weight;  // latents, maps, scores
};
template <class Device>
using Row = std::function<Outputs<Device>(Context<Device>&)>;

template <class Device>
Value<float, Device> borrowed(const Tensor<float, Device>& x) {
  return Value<float, Device>::borrow(x.view());
}

template <class Device>
Row<Device> detection_row(Networks<Device>& nets, Images images) {
  auto loop = std::make_shared<DenoiseLoop<Device>>();
  auto x = image<Device>(nets.options(), images);
  return [=, &nets](Context<Device>& ctx) {
    const D3adAlgorithm<Device> method = nets.method(*loop);
    const std::vector<int> T_hat(static_cast<std::size_t>(images.count), nets.settings().conditioning.T_max);
    typename D3adAlgorithm<Device>::Analysis a;
    a.z0 = method.encode(ctx, borrowed(*x));
    a.repaired_z = method.reconstruct(ctx, a.z0, T_hat);
    a.repaired = method.decode(ctx, a.repaired_z);
    a.latent_map = anomaly::latent_map(ctx, a.repaired_z, a.z0, method.size());
    a.feature_map = method.feature_difference(ctx, borrowed(*x), a.repaired);
    auto map = method.anomaly_map(ctx, a, {{0, 4}, {0, 2}});
    auto score = make_value<float>(ctx, {.n = images.count});
    ops::max_per_image(ctx, score.view(), map.view());
    return Outputs<Device>{.real = {}, .weight = {std::move(score), std::move(map)}};
  };
}

template <class Device>
Row<Device> loop_row(Networks<Device>& nets, Images images) {
  auto loop = std::make_shared<DenoiseLoop<Device>>();
  auto z = latent<Device>(nets.options(), images);
  return [=, &nets](Context<Device>& ctx) {
    const std::vector<int> T_hat(static_cast<std::size_t>(images.count), nets.settings().conditioning.T_max);
    return Outputs<Device>{.real = {}, .weight = {nets.method(*loop).reconstruct(ctx, borrowed(*z), T_hat)}};
  };
}

// calls: how often, the last one's output counts
template <class Device>
Row<Device> unet_row(Networks<Device>& nets, Images images, int calls) {
  auto x = latent<Device>(nets.options(), images);
  auto t = times<Device>(images);
  const UNet<Device>& unet = nets.unet();
  return [=, &unet](Context<Device>& ctx) {
    Outputs<Device> out;
    const auto input = fn::to_real(ctx, borrowed(*x));
    for (int i = 0; i < calls; ++i) {
      out.real.clear();
      out.real.push_back(unet(ctx, input, View<const std::int32_t, Device>(t->view())));
    }
    return out;
  };
}

// Forward, mean squared error, backward, AdamW, as diffusion/unet_trainer.hpp: weights and their gradients are float in
// any type. It begins anew with each row that is made.
template <class Device>
Row<Device> train_row(Networks<Device>& nets, Images images) {
  struct State {
    ParameterStore<Device> store;
    std::optional<UNet<Device>> unet;
    std::optional<AdamW<Device>> optimizer;
    LossScale<Device> scale;
  };
  const Options& o = nets.options();
  auto s = std::make_shared<State>();
  HashSource source("unet.");
  s->unet.emplace(Params<Device>(s->store, source), nets.unet_config());
  s->optimizer.emplace(s->store.parameters(), ops::AdamW{.lr = 1e-4f});
  auto x = latent<Device>(o, images), noise = latent<Device>(o, images, "input.noise");
  auto t = times<Device>(images);
  return [=](Context<Device>& ctx) {
    for (;;) {
      s->optimizer->zero_gradients(ctx);
      Tape<Device> tape(ctx);
      const auto eps = (*s->unet)(tape, fn::to_real(ctx, borrowed(*x)), View<const std::int32_t, Device>(t->view()));
      const auto loss = fn::mse(tape, eps, fn::to_real(ctx, borrowed(*noise)));
      tape.backward(loss, s->scale.value());
      const double norm = s->optimizer->step(
          ctx, {.gradient_scale = 1.0 / double{s->scale.value()}, .may_overflow = LossScale<Device>::kScales});
      if (s->scale.keeps(norm)) return Outputs<Device>{.real = {eps.detached(), loss.detached()}, .weight = {}};
    }
  };
}

// Billions of operations of a whole call at the paper's size, two for each multiplication and addition; products alone.
inline double gflop(const std::string& row, int batch) {
  constexpr double kUNet = 2 * 18.6, kEncoder = 2 * 135.3, kDecoder = 2 * 310.0, kResNet = 2 * 3.95;  // an image
  const double one = row == "resnet34"                    ? kResNet
                     : row == "vae_encoder"               ? kEncoder
                     : row == "vae_decoder"               ? kDecoder
                     : row == "unet"                      ? kUNet
                     : row == "unet_x10" || row == "loop" ? 10 * kUNet
                     : row == "detection"                 ? kEncoder + 10 * kUNet + kDecoder + 2 * kResNet
                     : row == "train_step"                ? 3 * kUNet  // forward, and both gradients
                                                          : 0;
  return one * batch;
}

template <class Device>
Row<Device> make_row(Networks<Device>& nets, const std::string& row, Images images) {
  const Options& o = nets.options();
  if (row == "detection") return detection_row(nets, images);
  if (row == "loop") return loop_row(nets, images);
  if (row == "unet") return unet_row(nets, images, 1);
  if (row == "unet_x10") return unet_row(nets, images, 10);
  if (row == "vae_encoder") {
    auto x = image<Device>(o, images);
    return [&vae = nets.vae(), x](Context<Device>& ctx) {
      return Outputs<Device>{.real = {vae.encode(ctx, fn::to_real(ctx, borrowed(*x)))}, .weight = {}};
    };
  }
  if (row == "vae_decoder") {
    auto z = latent<Device>(o, images);
    return [&vae = nets.vae(), z](Context<Device>& ctx) {
      return Outputs<Device>{.real = {vae.decode(ctx, fn::to_real(ctx, borrowed(*z)))}, .weight = {}};
    };
  }
  if (row == "resnet34") {
    auto x = image<Device>(o, images);
    return [&resnet = nets.resnet(), x](Context<Device>& ctx) {
      const auto f = resnet.features(ctx, imagenet_input(ctx, fn::to_real(ctx, borrowed(*x))));
      return Outputs<Device>{.real = {f[0], f[1], f[2]}, .weight = {}};
    };
  }
  if (row == "train_step") return train_row(nets, images);
  fail("the row '", row, "' is not known");
}

// ---- outputs on the host ----

// One part of what a row gave, of some images, in PyTorch's axis order.
using Part = std::vector<float>;

template <class U, class Device>
Part part_of(const Value<U, Device>& value, int first, int count) {
  const Shape s = value.shape();
  // A loss belongs to all images together.
  const View<const U, Device> view = s.n >= first + count ? value.view().images(first, count) : value.view();
  std::vector<U> narrow(static_cast<std::size_t>(view.size()));
  copy_to_host<U, Device>(narrow.data(), view);
  std::vector<float> wide(narrow.size());
  for (std::size_t i = 0; i < narrow.size(); ++i) wide[i] = static_cast<float>(narrow[i]);
  return to_file_order(wide, {view.shape.n, view.shape.c, view.shape.h, view.shape.w});
}

template <class Device>
std::vector<Part> parts_of(const Outputs<Device>& out, int first, int count) {
  std::vector<Part> parts;
  for (const auto& v : out.real) parts.push_back(part_of<Real<Device>, Device>(v, first, count));
  for (const auto& v : out.weight) parts.push_back(part_of<Weight<Device>, Device>(v, first, count));
  return parts;
}

}  // namespace gpu
