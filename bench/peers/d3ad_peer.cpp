// d3ad as a competitor of the comparison with other frameworks (bench/peers/run): one process that reads requests on
// stdin and answers each with one line on stdout. peer.py describes the protocol, rows.py the rows; this file has both
// in C++.
//
//   d3ad_peer --threads 2 --image-size 256 --cache DIR [--small]
//
// A command of its own: "weights" writes unet, vae and resnet34.safetensors into the cache, which detection_1 (cold
// start and peak memory) reads; all other rows compute the same hash weights themselves.

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <d3ad/d3ad.hpp>
#include <d3ad/weights/hash_weights-inl.hpp>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../../examples/command_line.hpp"

using namespace d3ad;

namespace {

using V = Value<float, Cpu>;

struct Options {
  int threads = 1, image_size = 256;
  std::filesystem::path cache = ".";
  bool small = false;  // small networks, to check the program itself
};

constexpr int kLatentChannels = 4, kReduction = 8;

// ---- networks and their inputs ----

UNetConfig unet_config(const Options& o) {
  if (!o.small) return UNetConfig::paper(kLatentChannels);
  return {
      .channels = kLatentChannels, .base = 32, .multipliers = {1, 2}, .res_blocks = 1, .attention = {1, 2}, .heads = 4};
}
UNetConfig trained_unet_config(const Options& o) {
  UNetConfig c = unet_config(o);
  if (!o.small) c.base = 64;
  return c;
}
VaeConfig vae_config(const Options& o) {
  VaeConfig c;
  if (o.small) c.block_out_channels = {32, 32, 32, 32}, c.layers_per_block = 1;
  return c;
}

// The networks of inference, with hash weights or those of the cache's files.
struct Networks {
  Networks(const Options& options, bool files) : o(options), from_files(files) {}

  ParameterStore<Cpu>& make(const std::string& name) {
    std::unique_ptr<WeightSource> source;
    if (from_files)
      source = std::make_unique<FileSource>(o.cache / (name + ".safetensors"));
    else
      source = std::make_unique<HashSource>(name + ".");
    auto& store = stores.emplace_back();
    const Params<Cpu> params(store, *source);
    if (name == "vae") vae.emplace(params, nlohmann::json(vae_config(o)));
    if (name == "unet") unet.emplace(params, unet_config(o));
    if (name == "resnet34") resnet.emplace(params, ResNetConfig::named(name));
    return store;
  }

  Options o;
  bool from_files;
  std::deque<ParameterStore<Cpu>> stores;  // whose addresses stay
  std::optional<Autoencoder<Cpu>> vae;
  std::optional<UNet<Cpu>> unet;
  std::optional<ResNet<Cpu>> resnet;
};

// Hash numbers in [-1, 1) times `scale`, numbered in PyTorch's axis order, laid out channels last.
Tensor<float, Cpu> uniform(const std::string& name, Shape shape, float scale = 1) {
  std::vector<float> numbers(static_cast<std::size_t>(shape.size()));
  detail::hash_fill(numbers.data(), shape.size(), Rng::stream(name), [scale](float u) { return scale * u; });
  Tensor<float, Cpu> out(shape);
  to_channels_last(out.data(), numbers.data(), {shape.n, shape.c, shape.h, shape.w});
  return out;
}
Tensor<float, Cpu> image(const Options& o, int batch) {
  return uniform("input.image", {batch, o.image_size, o.image_size, 3});
}
Tensor<float, Cpu> latent(const Options& o, int batch, const std::string& name = "input.latent") {
  const int side = o.image_size / kReduction;
  return uniform(name, {batch, side, side, kLatentChannels}, std::sqrt(3.0f));
}
std::vector<std::int32_t> times(int batch) {
  std::vector<std::int32_t> t;
  for (int i = 0; i < batch; ++i) t.push_back((37 + 101 * i) % 1000);
  return t;
}

V borrow(const Tensor<float, Cpu>& tensor) { return V::borrow(tensor.view()); }

// ---- rows ----

// One row, loaded: a call that gives the values it is judged by.
using Call = std::function<std::vector<V>()>;

Call load_detection(Context<Cpu>& ctx, const Options& o, int batch, bool from_files) {
  auto nets = std::make_shared<Networks>(o, from_files);
  for (const char* name : {"vae", "unet", "resnet34"}) nets->make(name).freeze();
  auto x = std::make_shared<const Tensor<float, Cpu>>(image(o, batch));
  auto settings = std::make_shared<Settings>(Settings::paper());
  settings->data.image_size = o.image_size;
  auto schedule = std::make_shared<const Schedule>();
  // Every image at T_max, so that no conditioning (which the other frameworks do not have) takes part.
  return [=, &ctx] {
    const D3adAlgorithm<Cpu> method{*nets->vae, *nets->unet, *nets->resnet, *schedule, *settings};
    const std::vector<int> T_hat(static_cast<std::size_t>(batch), settings->conditioning.T_max);
    D3adAlgorithm<Cpu>::Analysis a;
    a.z0 = method.encode(ctx, borrow(*x));
    a.repaired_z = method.reconstruct(ctx, a.z0, T_hat);
    a.repaired = nets->vae->decode(ctx, a.repaired_z);
    a.latent_map = anomaly::latent_map(ctx, a.repaired_z, a.z0, method.size());
    a.feature_map = method.feature_difference(ctx, borrow(*x), a.repaired);
    const V map = method.anomaly_map(ctx, a, {{0, 4}, {0, 2}});
    V score = make_value<float>(ctx, {.n = batch});
    ops::max_per_image(ctx, score.view(), map.view());
    return std::vector<V>{score, map};
  };
}

Call load_train_step(Context<Cpu>& ctx, const Options& o, int batch) {
  struct State {
    ParameterStore<Cpu> store;
    std::optional<UNet<Cpu>> unet;
    std::optional<AdamW<Cpu>> optimizer;
    Tensor<float, Cpu> x, noise;
    std::vector<std::int32_t> t;
  };
  auto s = std::make_shared<State>();
  HashSource source("unet.");
  s->unet.emplace(Params<Cpu>(s->store, source), trained_unet_config(o));
  s->optimizer.emplace(s->store.parameters(), ops::AdamW{.lr = 1e-4f});
  s->x = latent(o, batch), s->noise = latent(o, batch, "input.noise"), s->t = times(batch);
  return [s, batch, &ctx] {
    s->optimizer->zero_gradients(ctx);
    Tape<Cpu> tape(ctx);
    const V eps = (*s->unet)(tape, borrow(s->x), View<const std::int32_t, Cpu>(s->t.data(), {.n = batch}));
    const V loss = fn::mse(tape, eps, borrow(s->noise));
    tape.backward(loss);
    s->optimizer->step(ctx, {});
    return std::vector<V>{eps.detached(), loss.detached()};
  };
}

Call load(Context<Cpu>& ctx, const Options& o, const std::string& row) {
  if (row == "detection_8") return load_detection(ctx, o, 8, /*from_files=*/false);
  if (row == "detection_1") return load_detection(ctx, o, 1, /*from_files=*/true);
  if (row == "train_step_8") return load_train_step(ctx, o, 8);

  auto nets = std::make_shared<Networks>(o, /*from_files=*/false);
  const auto input = [](Tensor<float, Cpu> tensor) {
    return std::make_shared<const Tensor<float, Cpu>>(std::move(tensor));
  };
  if (row == "vae_encoder_1") {
    nets->make("vae").freeze();
    return [=, &ctx, x = input(image(o, 1))] { return std::vector<V>{nets->vae->encode(ctx, borrow(*x))}; };
  }
  if (row == "vae_decoder_1") {
    nets->make("vae").freeze();
    return [=, &ctx, z = input(latent(o, 1))] { return std::vector<V>{nets->vae->decode(ctx, borrow(*z))}; };
  }
  if (row == "unet_1" || row == "unet_8") {
    const int batch = row == "unet_1" ? 1 : 8;
    nets->make("unet").freeze();
    return [=, &ctx, x = input(latent(o, batch)), t = times(batch)] {
      return std::vector<V>{(*nets->unet)(ctx, borrow(*x), View<const std::int32_t, Cpu>(t.data(), {.n = batch}))};
    };
  }
  if (row == "resnet34_1") {
    nets->make("resnet34").freeze();
    return [=, &ctx, x = input(image(o, 1))] {
      const auto f = nets->resnet->features(ctx, imagenet_input(ctx, borrow(*x)));
      return std::vector<V>{f[0], f[1], f[2]};
    };
  }
  fail("the row '", row, "' is not known");
}

void write_weights(const Options& o) {
  Networks nets(o, /*from_files=*/false);
  for (const std::string name : {"unet", "vae", "resnet34"}) {
    const auto path = o.cache / (name + ".safetensors");
    if (!std::filesystem::exists(path)) save_parameters(nets.make(name), path);
  }
}

// ---- the protocol ----

long peak_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::strtol(line.c_str() + 6, nullptr, 10);
  fail("/proc/self/status has no VmHWM");
}

class Competitor {
 public:
  explicit Competitor(Options o) : o_(std::move(o)), ctx_({.threads = o_.threads}) {}

  std::string answer(const std::string& command, const std::string& rest) {
    if (command == "load") return call_ = load(ctx_, o_, rest), "ok";
    if (command == "run") return run();
    if (command == "save") return save(rest);
    if (command == "memory") return concat("peak_kib ", peak_kib());
    if (command == "version") return concat("version d3ad, compiler ", __VERSION__);
    if (command == "weights") return write_weights(o_), "ok";
    fail("the command '", command, "' is not known");
  }

 private:
  std::string run() {
    D3AD_CHECK(call_, "no row is loaded");
    const auto start = std::chrono::steady_clock::now();
    const std::vector<V> values = call_();
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
    // Copied and released after the clock has stopped, so that every call finds the arena as the first left it. The
    // others' outputs stay in their memory, too.
    last_.clear();
    for (const V& v : values) {
      const Shape s = v.shape();
      std::vector<float> inside(static_cast<std::size_t>(s.size()));
      copy_to_host(inside.data(), View<const float, Cpu>(v.view()));
      last_.push_back(to_file_order(inside, {s.n, s.c, s.h, s.w}));
    }
    char text[64];
    std::snprintf(text, sizeof(text), "ms %.4f", time.count());
    return text;
  }

  std::string save(const std::string& path) {
    std::ofstream file(path, std::ios::binary);
    std::string sizes = "ok";
    for (const auto& part : last_) {
      file.write(reinterpret_cast<const char*>(part.data()), static_cast<std::streamsize>(4 * part.size()));
      sizes += concat(" ", part.size());
    }
    D3AD_CHECK(file.flush(), "'", path, "' cannot be written");
    return sizes;
  }

  Options o_;
  Context<Cpu> ctx_;
  Call call_;  // after the context, whose memory it uses
  std::vector<std::vector<float>> last_;
};

}  // namespace

int main(int argc, char** argv) try {
  CLI::App app("d3ad as one of the competitors that compare.py starts and talks to.");
  app.name("d3ad_peer");
  Options o;
  app.add_option("--threads", o.threads, "threads to compute with; 0: one for each core")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option("--image-size", o.image_size, "pixels a side")->check(CLI::Range(32, 4096))->capture_default_str();
  app.add_option("--cache", o.cache, "folder of weights and results");
  app.add_flag("--small", o.small, "small networks: whether it works");
  if (const auto code = command_line::parse(app, argc, argv)) return *code;
  Competitor competitor(o);
  for (std::string line; std::getline(std::cin, line) && line != "quit";) {
    const auto space = line.find(' ');
    std::string answer;
    try {
      answer = competitor.answer(line.substr(0, space), space == std::string::npos ? "" : line.substr(space + 1));
    } catch (const std::exception& error) {
      answer = concat("error ", error.what());
    }
    std::cout << answer << std::endl;
  }
} catch (const std::exception& error) {
  std::fprintf(stderr, "d3ad_peer: %s\n", error.what());
  return 2;
}
