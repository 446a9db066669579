#pragma once
// Definitions of pipeline/train.hpp. Included by it unless they are compiled.

#include <nlohmann/json.hpp>

#include "d3ad/core/sha256.hpp"
#include "d3ad/model/settings_json.hpp"
#include "d3ad/pipeline/train.hpp"

namespace d3ad {

template <class Device>
Trainer<Device>::Trainer(Context<Device>& ctx, TrainRequest request, TrainEvents events, Group& group)
    : ctx_(ctx), group_(group), request_(std::move(request)), events_(std::move(events)), folder_(request_.model) {
  request_.settings.check();
  D3AD_CHECK(!request_.good.empty(), "training: there are no good images");
  group_.agree(nlohmann::json(request_.settings).dump(), "settings");
  std::string images;
  for (const auto& path : request_.good) images += path.string() + '\n';
  group_.agree(images, "good images");
  good_.emplace(request_.good,
                GoodImages::Options{d3ad::tiling(settings()), settings().data.held_back, settings().seed});
  if (!group_.first()) return;
  if (tiling().on()) events_.note(good_->tiles_text());
  create_folders(folder_ / "work");
  lock_ = FolderLock(folder_.path(), {"work"});
}

template <class Device>
void Trainer<Device>::run() {
  UNetTrainer<Device>::check(trainer_options(), group_);
  open_networks();
  const auto latents = encode();
  train_unet(latents);
  adapt_extractor();
  finish();
}

template <class Device>
void Trainer<Device>::adapt() {
  reopen();
  D3AD_CHECK(std::filesystem::exists(extractor_source_), "the extractor '", extractor_source_.string(),
             "' this model was trained with is not there any more; adaptation starts from it");
  extractor_ = load_extractor<Device>(extractor_source_);
  D3AD_CHECK(extractor_.sha256 == extractor_sha256_, "'", extractor_source_.string(),
             "' is not the extractor this model was trained with (another checksum)");
  adapt_extractor();
  finish();
}

template <class Device>
void Trainer<Device>::calibrate() {
  reopen();
  extractor_ = load_extractor<Device>(folder_ / "extractor.safetensors");
  finish();
}

template <class Device>
void Trainer<Device>::stop_here(const char* stage, bool now) const {
  if (now)
    throw Interrupted(concat("stopped during '", stage, "'; what was done is saved in '", folder_.path().string(),
                             "', run the same command again to go on"));
}

template <class Device>
void Trainer<Device>::open_networks() {
  vae_ = load_autoencoder<Device>(request_.vae);
  vae_.store->freeze();
  extractor_ = load_extractor<Device>(request_.extractor);
  const UNetConfig config{.channels = vae_->latent_channels(),
                          .base = settings().unet.base,
                          .multipliers = settings().unet.multipliers,
                          .res_blocks = settings().unet.res_blocks,
                          .attention = settings().unet.attention,
                          .heads = settings().unet.heads};
  InitSource source(settings().seed);
  unet_.store = std::make_unique<ParameterStore<Device>>();
  unet_.net = std::make_unique<UNet<Device>>(Params<Device>(*unet_.store, source), config);
  unet_->set_checkpointing(settings().training.checkpointing);
  D3AD_CHECK(settings().data.image_size % (vae_->reduction() * unet_->config().reduction()) == 0, "image_size is ",
             settings().data.image_size, ", expected a multiple of ", vae_->reduction() * unet_->config().reduction(),
             " for this VAE and UNet");
  extractor_source_ = request_.extractor;
  extractor_sha256_ = extractor_.sha256;
  group_.agree(concat(vae_.sha256, ' ', extractor_.sha256), "networks to start from");
}

template <class Device>
void Trainer<Device>::reopen() {
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
  group_.barrier();  // rank 0 writes into this folder
}

template <class Device>
std::string Trainer<Device>::latents_key() const {
  Sha256 hash;
  hash.update(concat(vae_.sha256, ' ', settings().data.image_size, ' ', settings().data.augment, ' ',
                     settings().denoising.sample_posterior ? settings().seed + 1 : 0));
  if (tiling().on()) hash.update(concat(" tiles ", settings().data.tile, ' ', number(settings().data.tile_overlap)));
  for (const auto& path : good_->learned()) {
    const MappedFile file(path);
    hash.update(concat(file.size(), ' '));
    hash.update(file.bytes());
  }
  return hash.hex();
}

template <class Device>
Latents Trainer<Device>::encode() {
  if (group_.first()) latents_key_ = latents_key();
  Latents out;
  const int turns = settings().data.augment == "none" ? 1 : settings().data.augment == "flip" ? 2 : 8;
  const auto count = static_cast<std::int64_t>(good_->learned().size());
  const std::int64_t side = settings().data.image_size / vae_->reduction();
  out.shape = {static_cast<std::int64_t>(good_->pieces().size()) * turns, side, side, vae_->latent_channels()};
  if (group_.any(group_.first() && read_latents(out))) {
    out.values.resize(static_cast<std::size_t>(out.shape.size()));
    share(out);
    return out;
  }
  // What cannot be read is said now and not hours later, when the held-back images' turn comes.
  for (auto i = static_cast<std::size_t>(group_.rank()); i < good_->held().size();
       i += static_cast<std::size_t>(group_.size()))
    tiling().frame(read_image(good_->held()[i]));
  out.values.resize(static_cast<std::size_t>(out.shape.size()));
  const std::int64_t each = turns * side * side * vae_->latent_channels(), size = group_.size();  // of a piece
  std::vector<std::filesystem::path> own;
  for (std::int64_t i = group_.rank(); i < count; i += size)
    own.push_back(good_->learned()[static_cast<std::size_t>(i)]);
  ImageLoader loader(own, tiling());
  const auto m = method();
  // Round by round each process encodes one image; the last round may be short.
  for (std::int64_t first = 0; first < count; first += size) {
    stop_here("encode");
    const std::int64_t i = first + group_.rank();
    if (i < count) {
      auto input = loader.next();
      D3AD_CHECK(input.error.empty(), input.error, "; take it out of the good images, or put it right");
      const Frame frame{input.frame_width, input.frame_height, std::move(input.pixels)};
      const TileGrid grid = tiling().grid(frame.width, frame.height);
      for (std::int64_t piece = good_->first_piece(i); piece < good_->first_piece(i + 1); ++piece) {
        const auto square = cut_tile(frame, grid, static_cast<int>(piece - good_->first_piece(i)));
        for (int turn = 0; turn < turns; ++turn) {
          const auto turned = turn_image(square, settings().data.image_size, turn);
          auto x = make_value<float>(ctx_, {1, settings().data.image_size, settings().data.image_size, 3});
          copy_from_host(x.view(), turned.data());
          const auto z = m.encode(ctx_, std::move(x), static_cast<std::uint64_t>(piece * turns + turn));
          copy_to_host(out.values.data() + piece * each + turn * (each / turns), View<const float, Device>(z.view()));
        }
      }
    }
    events_.progress("encode", std::min(first + size, count), count, "");
  }
  for (std::int64_t i = 0; group_.size() > 1 && i < count; ++i)
    group_.broadcast(
        out.values.data() + good_->first_piece(i) * each,
        static_cast<std::size_t>((good_->first_piece(i + 1) - good_->first_piece(i)) * each) * sizeof(float),
        static_cast<int>(i % size));
  if (!vae_->has_own_scale()) vae_->set_latent_scale(scale_latents(out.values));
  if (group_.first()) write_latents(latents_path(), latents_key_, out, vae_->latent_scale());
  share(out);
  return out;
}

template <class Device>
bool Trainer<Device>::read_latents(Latents& out) {
  try {
    const auto scale = d3ad::read_latents(latents_path(), latents_key_, out);
    if (!scale) return false;
    vae_->set_latent_scale(*scale);
    events_.note("latents: taken from an earlier run");
    return true;
  } catch (const std::exception&) {
    events_.note("latents: the file of an earlier run is damaged, encoding again");
    return false;
  }
}

template <class Device>
void Trainer<Device>::share(Latents& latents) {
  if (group_.size() == 1) return;
  group_.broadcast(latents.values.data(), latents.values.size() * sizeof(float));
  float scale = vae_->latent_scale();
  group_.broadcast(&scale, sizeof(scale));
  vae_->set_latent_scale(scale);
}

template <class Device>
UNetTrainerOptions Trainer<Device>::trainer_options() const {
  const TrainingSettings& s = settings().training;
  return {.iterations = s.iterations,
          .epochs = s.epochs,
          .batch = s.batch,
          .accumulate = s.accumulate,
          .adamw = {.lr = static_cast<float>(s.learning_rate), .weight_decay = static_cast<float>(s.weight_decay)},
          .ema = s.ema,
          .clip = s.clip,
          .warmup = s.warmup,
          .cosine_decay = s.cosine_decay,
          .seed = settings().seed};
}

template <class Device>
std::string Trainer<Device>::training_key(const Latents& latents) const {
  const TrainingSettings& s = settings().training;
  const nlohmann::json json = {{"unet", unet_->config()},
                               {"latents", latents_key_},
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
                               {"seed", settings().seed},
                               {"count", latents.shape.n}};
  return json.dump();
}

template <class Device>
void Trainer<Device>::train_unet(const Latents& latents) {
  const auto path = folder_ / "work" / "checkpoint.safetensors";
  UNetTrainer<Device> trainer(ctx_, *unet_, *unet_.store, schedule_, trainer_options(), group_);
  trainer.set_latents(latents.values, latents.shape);
  const auto key = training_key(latents);
  TrainingLog log(trainer.total(), settings().training.batch);
  if (group_.first() && std::filesystem::exists(path)) resume(trainer, path, key, log);
  trainer.share();

  using Clock = std::chrono::steady_clock;
  auto saved = Clock::now();
  const auto save = [&] {
    if (!group_.first()) return;
    trainer.save(path, {{"key", key}, {"log", log.json().dump()}});
    log.write_csv(folder_ / "loss.csv");
    log.write_events(folder_ / kUNetEvents, "unet/");
    saved = Clock::now();
  };
  while (!trainer.done()) {
    if (group_.any(events_.stop())) {
      save();
      group_.barrier();  // who ends earlier would end rank 0 while it writes
      stop_here("train", true);
    }
    const auto step = trainer.step();
    log.step({step.number, step.loss, step.gradient_norm, step.learning_rate});
    events_.progress("train", step.number, trainer.total(),
                     log.rows().empty() ? "" : concat("loss ", fixed(log.rows().back().loss, 4)));
    if (std::chrono::duration<double>(Clock::now() - saved).count() > request_.checkpoint_seconds) save();
  }
  save();
  trainer.finish();
  share_parameters(group_, *unet_.store);  // to the bit, also where processors differ
  if (group_.first()) {
    save_parameters(*unet_.store, folder_ / "unet.safetensors", {{"config", nlohmann::json(unet_->config()).dump()}});
    log.write_curve(folder_ / "loss.png");
  }
  unet_.store->freeze();
}

template <class Device>
void Trainer<Device>::resume(UNetTrainer<Device>& trainer, const std::filesystem::path& path, const std::string& key,
                             TrainingLog& log) {
  const SafetensorsFile file(path);
  const auto metadata = file.metadata();
  D3AD_CHECK(metadata.count("key") && metadata.at("key") == key, "'", path.string(),
             "' is a checkpoint of a training with other images or settings; repeat those, choose another --model, or "
             "delete the file to start afresh");
  trainer.load(file);
  if (metadata.count("log")) log.read(nlohmann::json::parse(metadata.at("log"), nullptr, false));
  events_.note(concat("training: going on from step ", trainer.steps(), " of ", trainer.total()));
}

template <class Device>
void Trainer<Device>::adapt_extractor() {
  if (settings().adaptation.gamma > 0) {
    const auto m = method();
    AdamW<Device> optimizer(extractor_.store->parameters(),
                            {.lr = static_cast<float>(settings().adaptation.learning_rate),
                             .weight_decay = static_cast<float>(settings().training.weight_decay)});
    const auto count = static_cast<std::int64_t>(good_->pieces().size());
    const std::int64_t batch = std::min<std::int64_t>(settings().training.batch, count), batches = count / batch;
    const std::int64_t steps = settings().adaptation.gamma * batches, size = group_.size();
    LossScale<Device> scale;
    TrainingLog log(steps, batch);
    auto written = std::chrono::steady_clock::now();
    const Rng draw(settings().seed, Rng::stream("adapt.strength"));
    // What a step is about: a batch, and how it is reconstructed. That does not depend on the extractor, so each
    // process reconstructs for one of the next `size` steps; rank 0 then makes them, one after the other.
    for (std::int64_t first = 0; first < steps; first += size) {
      stop_here("adapt");
      std::string own;
      const std::int64_t step = first + group_.rank();
      if (step < steps) {
        auto target = good_->load(ctx_, adapt_order(step / batches), step % batches * batch, batch);
        const int p = 1 + static_cast<int>(draw.below(static_cast<std::uint64_t>(step), 10));
        const int T_hat = diffusion::round10(p / 10.0 * settings().conditioning.T_max);
        const auto z0 = m.encode(ctx_, target);
        const auto z = m.reconstruct(ctx_, z0, std::vector<int>(static_cast<std::size_t>(batch), T_hat), 0,
                                     /*drop_direction=*/true);
        parallel::Packet packet;
        put(packet, m.decode(ctx_, z));
        put(packet, target);
        own = std::move(packet).bytes();
      }
      const auto all = group_.gather(std::move(own));
      for (std::int64_t r = 0; group_.first() && r < size && first + r < steps; ++r) {
        parallel::PacketReader reader(all[static_cast<std::size_t>(r)]);
        const Shape shape{batch, settings().data.image_size, settings().data.image_size, 3};
        auto repaired = get(reader, shape), target = get(reader, shape);
        const auto made = anomaly::adapt_step(ctx_, *extractor_, optimizer, scale,
                                              imagenet_input(ctx_, fn::to_real(ctx_, std::move(repaired))),
                                              imagenet_input(ctx_, fn::to_real(ctx_, std::move(target))));
        log.step({first + r + 1, made.loss, made.gradient_norm, settings().adaptation.learning_rate});
        events_.progress("adapt", first + r + 1, steps, concat("loss ", fixed(made.loss, 4)));
      }
      const auto now = std::chrono::steady_clock::now();
      if (group_.first() && std::chrono::duration<double>(now - written).count() > request_.checkpoint_seconds) {
        log.write_events(folder_ / kAdaptEvents, "adapt/");
        written = now;
      }
    }
    if (group_.first()) log.write_events(folder_ / kAdaptEvents, "adapt/");
    extractor_.store->drop_gradients();
    share_parameters(group_, *extractor_.store);
  } else if (group_.first()) {
    std::error_code none;
    std::filesystem::remove(folder_ / kAdaptEvents, none);  // another adaptation's
  }
  if (group_.first())
    save_parameters(*extractor_.store, folder_ / "extractor.safetensors",
                    {{"config", nlohmann::json(extractor_->config()).dump()}});
}

template <class Device>
void Trainer<Device>::put(parallel::Packet& packet, const V& x) {
  std::vector<float> host(static_cast<std::size_t>(x.shape().size()));
  copy_to_host(host.data(), View<const float, Device>(x.view()));
  packet.put(host);
}

template <class Device>
Value<float, Device> Trainer<Device>::get(parallel::PacketReader& reader, Shape shape) const {
  std::vector<float> host;
  reader.get(host);
  D3AD_CHECK(static_cast<std::int64_t>(host.size()) == shape.size(), "adaptation: a process sent ", host.size(),
             " numbers for ", shape);
  auto x = make_value<float>(ctx_, shape);
  copy_from_host(x.view(), host.data());
  return x;
}

template <class Device>
std::vector<GoodImages::Piece> Trainer<Device>::adapt_order(std::int64_t epoch) const {
  const auto& all = good_->pieces();
  std::vector<GoodImages::Piece> pieces;
  const Rng rng(settings().seed, Rng::stream("adapt.order"));
  for (const auto i : shuffled(rng, all.size(), static_cast<std::uint64_t>(epoch))) pieces.push_back(all[i]);
  return pieces;
}

template <class Device>
template <class Visit, class Read>
void Trainer<Device>::each_batch(const char* stage, std::size_t total, std::int64_t batch, bool everywhere,
                                 Visit&& visit, Read&& read) {
  const auto count = static_cast<std::int64_t>(total);
  const std::int64_t round = batch * group_.size();
  for (std::int64_t start = 0; start < count; start += round) {
    stop_here(stage);
    const std::int64_t first = start + batch * group_.rank(), n = std::min(batch, count - first);
    parallel::Packet packet;
    if (n > 0) visit(packet, first, n);
    auto own = std::move(packet).bytes();
    for (const auto& bytes : everywhere ? group_.all_gather(std::move(own)) : group_.gather(std::move(own)))
      for (parallel::PacketReader reader(bytes); !reader.done();) read(reader);
    events_.progress(stage, std::min(start + round, count), count, "");
  }
}

template <class Device>
void Trainer<Device>::finish() {
  extractor_.store->freeze();
  const auto m = method();
  std::vector<std::vector<float>> features;
  each_batch(
      "condition", good_->pieces().size(), kBatch, /*everywhere=*/true,
      [&](parallel::Packet& packet, std::int64_t first, std::int64_t n) {
        for (const auto& f : m.conditioning_features(ctx_, good_->load(ctx_, good_->pieces(), first, n))) packet.put(f);
      },
      [&](parallel::PacketReader& reader) { reader.get(features.emplace_back()); });
  const auto conditioning = ImplicitConditioning::fit(std::move(features), {.k = settings().conditioning.k,
                                                                            .bins = settings().conditioning.bins,
                                                                            .T_max = settings().conditioning.T_max,
                                                                            .threads = ctx_.threads()});

  const ConditioningOn<Device> known = conditioning;
  std::vector<anomaly::MapPair> maps;
  const bool none_held = good_->held().empty();
  const auto& paths = none_held ? good_->learned() : good_->held();
  // A good image must not find itself among the good ones, or its distance would be smaller than a new image's.
  const auto others = [&](std::int64_t piece) { return none_held ? known.leaving_out(piece) : known; };
  each_batch(
      "calibrate", paths.size(), tiling().on() ? 1 : kBatch, /*everywhere=*/false,
      [&](parallel::Packet& packet, std::int64_t first, std::int64_t n) {
        if (tiling().on()) {
          const Frame frame = tiling().frame(read_image(paths[static_cast<std::size_t>(first)]));
          const std::int64_t before = none_held ? good_->first_piece(first) : 0;
          const auto found = analyse_tiles(ctx_, m, frame, tiling().grid(frame.width, frame.height),
                                           {.batch = kBatch, .first = static_cast<std::uint64_t>(first * kMostTiles)},
                                           [&](int tile) { return others(before + tile); });
          anomaly::put(packet, found.raw);
          return;
        }
        const auto a =
            m.analyse(ctx_, good_->load(ctx_, paths, first, n), others(first), static_cast<std::uint64_t>(first));
        for (const auto& pair : anomaly::to_host(a.latent_map, a.feature_map)) anomaly::put(packet, pair);
      },
      [&](parallel::PacketReader& reader) { maps.push_back(anomaly::get_map_pair(reader)); });
  if (group_.first()) write_model(conditioning, maps);
  group_.barrier();  // when one process is done, so is the model
}

template <class Device>
void Trainer<Device>::write_model(const ImplicitConditioning& conditioning, const std::vector<anomaly::MapPair>& maps) {
  const auto calibration =
      anomaly::calibrate(ctx_, maps,
                         {.lambda = static_cast<float>(settings().map.lambda),
                          .sigma = static_cast<float>(settings().map.sigma),
                          .false_alarm_rate = static_cast<float>(settings().threshold.false_alarm_rate)});
  folder_.write_conditioning(conditioning);
  folder_.write_calibration(calibration);
  write_config();
}

template <class Device>
void Trainer<Device>::write_config() {
  ModelConfig config;
  config.category = request_.category;
  config.training_images = static_cast<int>(good_->learned().size());
  config.held_back_images = static_cast<int>(good_->held().size());
  config.settings = settings();
  config.unet = unet_->config();
  config.extractor = extractor_->config();
  config.extractor_source = std::filesystem::absolute(extractor_source_).string();
  config.extractor_source_sha256 = extractor_sha256_;
  config.vae = vae_->config().dump();
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

}  // namespace d3ad
