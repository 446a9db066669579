#pragma once
// Training: from a folder of good images to a finished model folder, in stages that can be stopped and resumed.
//
//   Trainer<Cpu> trainer(ctx, request, events);
//   trainer.run();                 // all stages; throws Interrupted after saving when events.stop() says so
//
//   1 encode     latents of the good images, once, kept in work/latents.safetensors
//   2 train      the UNet (diffusion/unet_trainer.hpp), checkpoint in work/
//   3 adapt      the feature extractor, gamma epochs (anomaly/adapt.hpp)
//   4 condition  features of the good images and the bins of their distances
//   5 calibrate  ranges of the maps and the threshold, on good images that were held back from all of the above
//
// Settings::held_back is the share of them; which ones depends on the seed and the number of images. With 0 all images
// take part in everything, and the threshold comes from images that were learned from: too low where they are few.
//
// adapt() and calibrate() run the later stages alone on a model whose earlier ones are done. Every file is replaced
// atomically; config.json comes last.

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/anomaly/adapt.hpp"
#include "d3ad/anomaly/calibration.hpp"
#include "d3ad/diffusion/unet_trainer.hpp"
#include "d3ad/pipeline/dataset.hpp"
#include "d3ad/pipeline/image_loader.hpp"
#include "d3ad/pipeline/method.hpp"
#include "d3ad/pipeline/model_folder.hpp"
#include "d3ad/pipeline/plot.hpp"
#include "d3ad/pipeline/table.hpp"

namespace d3ad {

// What a caller hears while it waits, and how it stops the work.
struct TrainEvents {
  // stage: "encode", "train", ...; done of total; text: the loss, say. Called often.
  std::function<void(const char* stage, std::int64_t done, std::int64_t total, const std::string& text)> progress =
      [](const char*, std::int64_t, std::int64_t, const std::string&) {};
  std::function<void(const std::string&)> note = [](const std::string&) {};  // a sentence for the user
  std::function<bool()> stop = [] { return false; };
};

struct TrainRequest {
  std::string category;
  std::vector<std::filesystem::path> good;  // images
  std::filesystem::path vae, extractor, model;
  Settings settings;
  bool copy_vae = false;
  double checkpoint_seconds = 60;
};

template <class Device>
class Trainer {
 public:
  Trainer(Context<Device>& ctx, TrainRequest request, TrainEvents events)
      : ctx_(ctx), request_(std::move(request)), events_(std::move(events)), folder_(request_.model) {
    request_.settings.check();
    D3AD_CHECK(!request_.good.empty(), "training: there are no good images");
    split();
    create_folders(folder_ / "work");
    lock_.emplace(folder_.path());
  }

  // All stages.
  void run() {
    open_networks();
    const auto latents = encode();
    train_unet(latents);
    adapt_extractor();
    finish();
  }

  // Stage 3 to 5 on a finished model, starting again from the extractor it was trained with.
  void adapt() {
    reopen();
    D3AD_CHECK(std::filesystem::exists(extractor_source_), "the extractor '", extractor_source_.string(),
               "' this model was trained with is not there any more; adaptation starts from it");
    extractor_ = load_extractor<Device>(extractor_source_);
    D3AD_CHECK(extractor_.sha256 == extractor_sha256_, "'", extractor_source_.string(),
               "' is not the extractor this model was trained with (another checksum)");
    adapt_extractor();
    finish();
  }

  // Stages 4 and 5 on a finished model.
  void calibrate() {
    reopen();
    extractor_ = load_extractor<Device>(folder_ / "extractor.safetensors");
    finish();
  }

 private:
  using V = Value<float, Device>;
  const Settings& settings() const { return request_.settings; }
  Method<Device> method() const { return {*vae_, *unet_, *extractor_, schedule_, request_.settings}; }

  void stop_here(const char* stage) const {
    if (events_.stop())
      throw Interrupted(concat("stopped during '", stage, "'; what was done is saved in '", folder_.path().string(),
                               "', run the same command again to go on"));
  }

  void open_networks() {
    vae_ = load_autoencoder<Device>(request_.vae);
    vae_.store->freeze();
    extractor_ = load_extractor<Device>(request_.extractor);
    const UNetConfig config{.channels = vae_->latent_channels(),
                            .base = settings().base,
                            .multipliers = settings().multipliers,
                            .res_blocks = settings().res_blocks,
                            .attention = settings().attention,
                            .heads = settings().heads};
    InitSource source(settings().seed);
    unet_.store = std::make_unique<ParameterStore<Device>>();
    unet_.net = std::make_unique<UNet<Device>>(Params<Device>(*unet_.store, source), config);
    unet_->set_checkpointing(settings().checkpointing);
    D3AD_CHECK(settings().image_size % (vae_->reduction() * unet_->config().reduction()) == 0, "image_size is ",
               settings().image_size, ", expected a multiple of ", vae_->reduction() * unet_->config().reduction(),
               " for this VAE and UNet");
    extractor_source_ = request_.extractor;
    extractor_sha256_ = extractor_.sha256;
  }

  // The networks of a finished model; its settings hold except where the request's are for later stages.
  void reopen() {
    const auto config = folder_.read();
    folder_.check_file(config, "unet.safetensors");
    const auto before = config.training_images + config.held_back_images;
    const auto now = static_cast<int>(request_.good.size());
    if (now != before)
      events_.note(concat("there are ", now, " good images, the model was trained from ", before,
                          "; which are held back is drawn anew, and may be ones it learned from"));
    vae_ = folder_.template load_vae<Device>(config);
    vae_.store->freeze();
    unet_ = load_unet<Device>(folder_ / "unet.safetensors", config.unet);
    unet_.store->freeze();
    extractor_source_ = config.extractor_source;
    extractor_sha256_ = config.extractor_source_sha256;
    request_.vae = config.vae_path.is_absolute() ? config.vae_path : folder_.path() / config.vae_path;
    request_.copy_vae = !config.vae_path.is_absolute();
  }

  // Which images are learned from and which are held back, each in the order they came in.
  void split() {
    const std::size_t count = request_.good.size();
    auto held = static_cast<std::size_t>(std::lround(settings().held_back * static_cast<double>(count)));
    if (settings().held_back > 0) held = std::min(std::max<std::size_t>(held, 1), count - 1);
    std::vector<bool> is_held(count, false);
    const auto order = shuffled(Rng(settings().seed, Rng::stream("train.held_back")), count);
    for (std::size_t i = 0; i < held; ++i) is_held[order[i]] = true;
    for (std::size_t i = 0; i < count; ++i) (is_held[i] ? held_ : learned_).push_back(request_.good[i]);
  }
  // ---- 1: latents ----

  struct Latents {
    std::vector<float> values;  // [n, h, w, c], scaled; n = images x ways to turn them
    Shape shape;
  };

  // What the latents depend on: the VAE, the images' bytes and how they are read.
  std::string latents_key() const {
    Sha256 hash;
    hash.update(concat(vae_.sha256, ' ', settings().image_size, ' ', settings().augment, ' ',
                       settings().sample_posterior ? settings().seed + 1 : 0));
    for (const auto& path : learned_) {
      const MappedFile file(path);
      hash.update(concat(file.size(), ' '));
      hash.update(file.bytes());
    }
    return hash.hex();
  }

  Latents encode() {
    const auto path = folder_ / "work" / "latents.safetensors";
    const auto key = latents_key();
    Latents out;
    const int turns = settings().augment == "none" ? 1 : settings().augment == "flip" ? 2 : 8;
    const auto count = static_cast<std::int64_t>(learned_.size());
    const std::int64_t side = settings().image_size / vae_->reduction();
    out.shape = {count * turns, side, side, vae_->latent_channels()};
    if (std::filesystem::exists(path)) {
      try {
        const SafetensorsFile file(path);
        const auto metadata = file.metadata();
        if (metadata.count("key") && metadata.at("key") == key && file.has("latents") &&
            file.count("latents") == out.shape.size()) {
          out.values = file.floats("latents");
          vae_->set_latent_scale(number_of(metadata.at("latent_scale")));
          events_.note("latents: taken from an earlier run");
          return out;
        }
      } catch (const std::exception&) {
        events_.note("latents: the file of an earlier run is damaged, encoding again");
      }
    }
    // What cannot be read is said now and not hours later, when the held-back images' turn comes.
    for (const auto& image : held_) read_input(image, settings().image_size);
    out.values.resize(static_cast<std::size_t>(out.shape.size()));
    const std::int64_t each = side * side * vae_->latent_channels();
    ImageLoader loader(learned_, settings().image_size);
    const auto m = method();
    for (std::int64_t i = 0; i < count; ++i) {
      stop_here("encode");
      const auto input = loader.next();
      D3AD_CHECK(input.error.empty(), input.error, "; take it out of the good images, or put it right");
      for (int turn = 0; turn < turns; ++turn) {
        const auto turned = turn_image(input.pixels, settings().image_size, turn);
        auto x = ctx_.arena.template make<float>({1, settings().image_size, settings().image_size, 3});
        copy_from_host(x.view(), turned.data());
        const auto z = m.encode(ctx_, std::move(x), static_cast<std::uint64_t>(i * turns + turn));
        copy_to_host(out.values.data() + (i * turns + turn) * each, View<const float, Device>(z.view()));
      }
      events_.progress("encode", i + 1, count, "");
    }
    if (!vae_->has_own_scale()) scale_latents(out.values);
    SafetensorsWriter writer;
    writer.metadata = {{"key", key}, {"latent_scale", number(vae_->latent_scale())}};
    writer.add_floats("latents", {out.shape.n, out.shape.h, out.shape.w, out.shape.c}, out.values.data());
    writer.write(path);
    return out;
  }

  // The tiny VAE's latents are multiplied by 1 / their standard deviation over all training images.
  void scale_latents(std::vector<float>& values) {
    double sum = 0, squares = 0;
    for (const float v : values) sum += v;
    const double mean = sum / static_cast<double>(values.size());
    for (const float v : values) squares += (v - mean) * (v - mean);
    const double deviation = std::sqrt(squares / static_cast<double>(values.size()));
    const float scale = deviation > 1e-12 ? static_cast<float>(1.0 / deviation) : 1.0f;
    for (float& v : values) v *= scale;
    vae_->set_latent_scale(scale);
  }

  static float number_of(const std::string& text) {
    float value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    D3AD_CHECK(error == std::errc() && end == text.data() + text.size(), "'", text, "' is not a number");
    return value;
  }

  // ---- 2: the UNet ----

  UNetTrainerOptions trainer_options() const {
    const Settings& s = settings();
    return {.iterations = s.iterations,
            .epochs = s.epochs,
            .batch = s.batch,
            .accumulate = s.accumulate,
            .adamw = {.lr = static_cast<float>(s.learning_rate), .weight_decay = static_cast<float>(s.weight_decay)},
            .ema = s.ema,
            .clip = s.clip,
            .warmup = s.warmup,
            .cosine_decay = s.cosine_decay,
            .seed = s.seed};
  }

  // What a checkpoint belongs to: all that the training of the UNet depends on.
  std::string training_key(const Latents& latents) const {
    const Settings& s = settings();
    const nlohmann::json json = {{"unet", unet_->config()},
                                 {"latents", latents_key()},
                                 {"iterations", s.iterations},
                                 {"epochs", s.epochs},
                                 {"batch", s.batch},
                                 {"accumulate", s.accumulate},
                                 {"learning_rate", s.learning_rate},
                                 {"weight_decay", s.weight_decay},
                                 {"ema", s.ema},
                                 {"clip", s.clip},
                                 {"warmup", s.warmup},
                                 {"cosine_decay", s.cosine_decay},
                                 {"seed", s.seed},
                                 {"count", latents.shape.n}};
    return json.dump();
  }

  struct LogRow {
    std::int64_t step;
    double loss, gradient_norm, learning_rate, images_per_second;
  };

  void train_unet(const Latents& latents) {
    const auto path = folder_ / "work" / "checkpoint.safetensors";
    UNetTrainer<Device> trainer(ctx_, *unet_, *unet_.store, schedule_, trainer_options());
    trainer.set_latents(latents.values, latents.shape);
    const auto key = training_key(latents);
    std::vector<LogRow> log;
    if (std::filesystem::exists(path)) resume(trainer, path, key, log);

    using Clock = std::chrono::steady_clock;
    auto saved = Clock::now(), window = saved;
    double loss_sum = 0, norm_sum = 0;
    std::int64_t in_window = 0;
    const auto save = [&] {
      nlohmann::json rows = nlohmann::json::array();
      for (const auto& r : log) rows.push_back({r.step, r.loss, r.gradient_norm, r.learning_rate, r.images_per_second});
      trainer.save(path, {{"key", key}, {"log", rows.dump()}});
      write_log(log);
      saved = Clock::now();
    };
    const std::int64_t every = std::max<std::int64_t>(1, std::min<std::int64_t>(50, trainer.total() / 20));
    while (!trainer.done()) {
      if (events_.stop()) {
        save();
        stop_here("train");
      }
      const auto step = trainer.step();
      loss_sum += step.loss, norm_sum += step.gradient_norm, ++in_window;
      if (step.number % every == 0 || trainer.done()) {
        const double seconds = std::chrono::duration<double>(Clock::now() - window).count();
        const auto n = static_cast<double>(in_window);
        log.push_back({step.number, loss_sum / n, norm_sum / n, step.learning_rate,
                       n * settings().batch / std::max(seconds, 1e-9)});
        loss_sum = norm_sum = 0, in_window = 0, window = Clock::now();
      }
      events_.progress("train", step.number, trainer.total(),
                       log.empty() ? "" : concat("loss ", fixed(log.back().loss, 4)));
      if (std::chrono::duration<double>(Clock::now() - saved).count() > request_.checkpoint_seconds && in_window == 0)
        save();
    }
    save();
    trainer.finish();
    save_parameters(*unet_.store, folder_ / "unet.safetensors", {{"config", nlohmann::json(unet_->config()).dump()}});
    unet_.store->freeze();
    write_curve(log);
  }

  void resume(UNetTrainer<Device>& trainer, const std::filesystem::path& path, const std::string& key,
              std::vector<LogRow>& log) {
    const SafetensorsFile file(path);
    const auto metadata = file.metadata();
    D3AD_CHECK(
        metadata.count("key") && metadata.at("key") == key, "'", path.string(),
        "' is a checkpoint of a training with other images or settings; repeat those, choose another --model, or "
        "delete the file to start afresh");
    trainer.load(file);
    const auto rows =
        metadata.count("log") ? nlohmann::json::parse(metadata.at("log"), nullptr, false) : nlohmann::json();
    if (rows.is_array())
      for (const auto& r : rows)
        if (r.is_array() && r.size() == 5) log.push_back({r[0], r[1], r[2], r[3], r[4]});
    events_.note(concat("training: going on from step ", trainer.steps(), " of ", trainer.total()));
  }

  void write_log(const std::vector<LogRow>& log) const {
    std::string csv = "step,loss,gradient_norm,learning_rate,images_per_second\n";
    for (const auto& r : log)
      csv += concat(r.step, ',', number(r.loss), ',', number(r.gradient_norm), ',', number(r.learning_rate), ',',
                    number(r.images_per_second), '\n');
    write_atomically(folder_ / "loss.csv", csv);
  }
  void write_curve(const std::vector<LogRow>& log) const {
    plot::Series series{.label = "training loss", .x = {}, .y = {}};
    for (const auto& r : log) series.x.push_back(static_cast<double>(r.step)), series.y.push_back(r.loss);
    write_png(folder_ / "loss.png", plot::line_plot({series}, {.title = "UNet: mean squared error of the noise",
                                                               .x_label = "step",
                                                               .y_label = "loss",
                                                               .log_y = true}));
  }

  // ---- 3: domain adaptation ----

  void adapt_extractor() {
    if (settings().gamma > 0) {
      const auto m = method();
      AdamW<Device> optimizer(extractor_.store->parameters(),
                              {.lr = static_cast<float>(settings().adapt_learning_rate),
                               .weight_decay = static_cast<float>(settings().weight_decay)});
      const auto count = static_cast<std::int64_t>(learned_.size());
      const std::int64_t batch = std::min<std::int64_t>(settings().batch, count), batches = count / batch;
      const Rng draw(settings().seed, Rng::stream("adapt.strength"));
      for (std::int64_t step = 0; step < settings().gamma * batches; ++step) {
        stop_here("adapt");
        auto target = load_batch(adapt_order(step / batches), step % batches * batch, batch);
        const int p = 1 + static_cast<int>(draw.below(static_cast<std::uint64_t>(step), 10));
        const int T_hat = round10(p / 10.0 * settings().T_max);
        const auto z0 = m.encode(ctx_, target);
        const auto z = m.reconstruct(ctx_, z0, std::vector<int>(static_cast<std::size_t>(batch), T_hat), 0,
                                     /*drop_direction=*/true);
        const double loss =
            anomaly::adapt_step(ctx_, *extractor_, optimizer, fn::imagenet_input(ctx_, vae_->decode(ctx_, z)),
                                fn::imagenet_input(ctx_, target));
        events_.progress("adapt", step + 1, settings().gamma * batches, concat("loss ", fixed(loss, 4)));
      }
      extractor_.store->drop_gradients();
    }
    save_parameters(*extractor_.store, folder_ / "extractor.safetensors",
                    {{"config", nlohmann::json(extractor_->config()).dump()}});
  }

  // The learned images in the order of an epoch of adaptation.
  std::vector<std::filesystem::path> adapt_order(std::int64_t epoch) const {
    std::vector<std::filesystem::path> paths;
    const Rng rng(settings().seed, Rng::stream("adapt.order"));
    for (const auto i : shuffled(rng, learned_.size(), static_cast<std::uint64_t>(epoch))) paths.push_back(learned_[i]);
    return paths;
  }
  V load_batch(const std::vector<std::filesystem::path>& paths, std::int64_t first, std::int64_t count) {
    auto x = ctx_.arena.template make<float>({count, settings().image_size, settings().image_size, 3});
    for (std::int64_t i = 0; i < count; ++i) {
      const auto input = read_input(paths[static_cast<std::size_t>(first + i)], settings().image_size);
      copy_from_host(x.view().images(i, 1), input.data());
    }
    return x;
  }

  // ---- 4 and 5: conditioning, calibration, and the model is finished ----

  // Calls visit(first, x) for images in batches.
  template <class Visit>
  void each_batch(const char* stage, const std::vector<std::filesystem::path>& paths, Visit&& visit) {
    const auto count = static_cast<std::int64_t>(paths.size());
    constexpr std::int64_t kBatch = 8;
    for (std::int64_t first = 0; first < count; first += kBatch) {
      stop_here(stage);
      const std::int64_t n = std::min(kBatch, count - first);
      visit(first, load_batch(paths, first, n));
      events_.progress(stage, first + n, count, "");
    }
  }

  void finish() {
    extractor_.store->freeze();
    const auto m = method();
    std::vector<std::vector<float>> features;
    each_batch("condition", learned_, [&](std::int64_t, V x) {
      for (auto& f : m.conditioning_features(ctx_, std::move(x))) features.push_back(std::move(f));
    });
    const auto conditioning = ImplicitConditioning::fit(
        std::move(features),
        {.k = settings().k, .bins = settings().bins, .T_max = settings().T_max, .threads = ctx_.threads()});

    std::vector<anomaly::MapPair> maps;
    each_batch("calibrate", held_.empty() ? learned_ : held_, [&](std::int64_t first, V x) {
      // A good image must not find itself among the good ones, or its distance would be smaller than a new image's.
      const auto good = held_.empty() ? conditioning.leaving_out(first) : conditioning;
      const auto a = m.analyse(ctx_, std::move(x), good, static_cast<std::uint64_t>(first));
      for (auto& pair : anomaly::to_host(ctx_, a.latent_map, a.feature_map)) maps.push_back(std::move(pair));
    });
    const auto calibration = anomaly::calibrate(ctx_, maps,
                                                {.lambda = static_cast<float>(settings().lambda),
                                                 .sigma = static_cast<float>(settings().sigma),
                                                 .false_alarm_rate = static_cast<float>(settings().false_alarm_rate)});
    folder_.write_conditioning(conditioning);
    folder_.write_calibration(calibration);
    write_config();
  }

  void write_config() {
    ModelConfig config;
    config.category = request_.category;
    config.training_images = static_cast<int>(learned_.size());
    config.held_back_images = static_cast<int>(held_.size());
    config.settings = settings();
    config.unet = unet_->config();
    config.extractor = extractor_->config();
    config.extractor_source = std::filesystem::absolute(extractor_source_).string();
    config.extractor_source_sha256 = extractor_sha256_;
    config.vae = vae_->config();
    config.vae_sha256 = vae_.sha256;
    config.latent_scale = vae_->latent_scale();
    if (request_.copy_vae) {
      const auto weights = autoencoder_weights(request_.vae);
      if (!vae_.whole_file) {  // out of shards, a folder or among other networks: a file of another checksum
        const auto plain = load_autoencoder<Device>(request_.vae);  // the one in use is packed by now
        save_parameters(*plain.store, folder_ / "vae.safetensors", {{"config", plain->config().dump()}});
        config.vae_sha256 = file_sha256(folder_ / "vae.safetensors");
      } else if (!std::filesystem::equivalent(weights.parent_path().empty() ? "." : weights.parent_path(),
                                              folder_.path())) {
        const MappedFile file(weights);
        write_atomically(folder_ / "vae.safetensors", file.bytes());
      }
      config.vae_path = "vae.safetensors";
    } else {
      config.vae_path = std::filesystem::absolute(request_.vae);
    }
    for (const char* name : {"unet.safetensors", "extractor.safetensors", "dic.safetensors", "calibration.json"})
      config.sha256[name] = file_sha256(folder_ / name);
    folder_.write(config);
  }

  Context<Device>& ctx_;
  TrainRequest request_;
  std::vector<std::filesystem::path> learned_, held_;  // of request_.good
  TrainEvents events_;
  ModelFolder folder_;
  std::optional<FolderLock> lock_;
  Schedule schedule_;
  Loaded<Autoencoder<Device>, Device> vae_;
  Loaded<ResNet<Device>, Device> extractor_;
  Loaded<UNet<Device>, Device> unet_;
  std::filesystem::path extractor_source_;
  std::string extractor_sha256_;
};

}  // namespace d3ad
