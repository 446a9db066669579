#pragma once
// Definitions of methods/d3ad/learner.hpp. Included by it unless they are compiled.

#include <nlohmann/json.hpp>

#include "d3ad/core/sha256.hpp"
#include "d3ad/methods/d3ad/learner.hpp"
#include "d3ad/model/settings_json.hpp"

namespace d3ad {

template <class Device>
void D3adLearner<Device>::learn(Stage from) {
  if (from <= Stage::train) {
    UNetTrainer<Device>::check(trainer_options(), l_.group);
    make_unet();
    train_unet(encode());
  }
  unet_.store->freeze();
  if (from <= Stage::adapt) adapt_extractor();
}

template <class Device>
void D3adLearner<Device>::make_unet() {
  const UNetConfig config{.channels = networks_.vae->latent_channels(),
                          .base = settings().unet.base,
                          .multipliers = settings().unet.multipliers,
                          .res_blocks = settings().unet.res_blocks,
                          .attention = settings().unet.attention,
                          .heads = settings().unet.heads};
  InitSource source(settings().seed);
  unet_.store = std::make_unique<ParameterStore<Device>>();
  unet_.net = std::make_unique<UNet<Device>>(Params<Device>(*unet_.store, source), config);
  unet_->set_checkpointing(settings().training.checkpointing);
  const int multiple = networks_.vae->reduction() * unet_->config().reduction();
  D3AD_CHECK(settings().data.image_size % multiple == 0, "image_size is ", settings().data.image_size,
             ", expected a multiple of ", multiple, " for this VAE and UNet");
}

template <class Device>
std::string D3adLearner<Device>::latents_key() const {
  Sha256 hash;
  hash.update(concat(networks_.vae.sha256, ' ', settings().data.image_size, ' ', settings().data.augment, ' ',
                     settings().denoising.sample_posterior ? settings().seed + 1 : 0));
  if (l_.good.tiling().on())
    hash.update(concat(" tiles ", settings().data.tile, ' ', number(settings().data.tile_overlap)));
  for (const auto& path : l_.good.learned()) {
    const MappedFile file(path);
    hash.update(concat(file.size(), ' '));
    hash.update(file.bytes());
  }
  return hash.hex();
}

template <class Device>
Latents D3adLearner<Device>::encode() {
  if (l_.group.first()) latents_key_ = latents_key();
  Latents out;
  const int turns = settings().data.augment == "none" ? 1 : settings().data.augment == "flip" ? 2 : 8;
  const auto count = static_cast<std::int64_t>(l_.good.learned().size());
  const std::int64_t side = settings().data.image_size / networks_.vae->reduction();
  out.shape = {static_cast<std::int64_t>(l_.good.pieces().size()) * turns, side, side,
               networks_.vae->latent_channels()};
  if (l_.group.any(l_.group.first() && read_latents(out))) {
    out.values.resize(static_cast<std::size_t>(out.shape.size()));
    share(out);
    return out;
  }
  // What cannot be read is said now and not hours later, when the held-back images' turn comes.
  for (auto i = static_cast<std::size_t>(l_.group.rank()); i < l_.good.held().size();
       i += static_cast<std::size_t>(l_.group.size()))
    l_.good.tiling().frame(read_image(l_.good.held()[i]));
  out.values.resize(static_cast<std::size_t>(out.shape.size()));
  const std::int64_t each = turns * side * side * networks_.vae->latent_channels(),
                     size = l_.group.size();  // of a piece
  std::vector<std::filesystem::path> own;
  for (std::int64_t i = l_.group.rank(); i < count; i += size)
    own.push_back(l_.good.learned()[static_cast<std::size_t>(i)]);
  ImageLoader loader(own, l_.good.tiling());
  const auto m = algorithm();
  // Round by round each process encodes one image; the last round may be short.
  for (std::int64_t first = 0; first < count; first += size) {
    l_.stop_here("encode");
    const std::int64_t i = first + l_.group.rank();
    if (i < count) {
      auto input = loader.next();
      D3AD_CHECK(input.error.empty(), input.error, "; take it out of the good images, or put it right");
      const Frame frame{input.frame_width, input.frame_height, std::move(input.pixels)};
      const TileGrid grid = l_.good.tiling().grid(frame.width, frame.height);
      for (std::int64_t piece = l_.good.first_piece(i); piece < l_.good.first_piece(i + 1); ++piece) {
        const auto square = cut_tile(frame, grid, static_cast<int>(piece - l_.good.first_piece(i)));
        for (int turn = 0; turn < turns; ++turn) {
          const auto turned = turn_image(square, settings().data.image_size, turn);
          auto x = make_value<float>(l_.ctx, {1, settings().data.image_size, settings().data.image_size, 3});
          copy_from_host(x.view(), turned.data());
          const auto z = m.encode(l_.ctx, std::move(x), static_cast<std::uint64_t>(piece * turns + turn));
          copy_to_host(out.values.data() + piece * each + turn * (each / turns), View<const float, Device>(z.view()));
        }
      }
    }
    l_.events.progress("encode", std::min(first + size, count), count, "");
  }
  for (std::int64_t i = 0; l_.group.size() > 1 && i < count; ++i)
    l_.group.broadcast(
        out.values.data() + l_.good.first_piece(i) * each,
        static_cast<std::size_t>((l_.good.first_piece(i + 1) - l_.good.first_piece(i)) * each) * sizeof(float),
        static_cast<int>(i % size));
  if (!networks_.vae->has_own_scale()) networks_.vae->set_latent_scale(scale_latents(out.values));
  if (l_.group.first()) write_latents(latents_path(), latents_key_, out, networks_.vae->latent_scale());
  share(out);
  return out;
}

template <class Device>
bool D3adLearner<Device>::read_latents(Latents& out) {
  try {
    const auto scale = d3ad::read_latents(latents_path(), latents_key_, out);
    if (!scale) return false;
    networks_.vae->set_latent_scale(*scale);
    l_.events.note("latents: taken from an earlier run");
    return true;
  } catch (const std::exception&) {
    l_.events.note("latents: the file of an earlier run is damaged, encoding again");
    return false;
  }
}

template <class Device>
void D3adLearner<Device>::share(Latents& latents) {
  if (l_.group.size() == 1) return;
  l_.group.broadcast(latents.values.data(), latents.values.size() * sizeof(float));
  float scale = networks_.vae->latent_scale();
  l_.group.broadcast(&scale, sizeof(scale));
  networks_.vae->set_latent_scale(scale);
}

template <class Device>
UNetTrainerOptions D3adLearner<Device>::trainer_options() const {
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
std::string D3adLearner<Device>::training_key(const Latents& latents) const {
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
void D3adLearner<Device>::train_unet(const Latents& latents) {
  const auto path = l_.folder / "work" / "checkpoint.safetensors";
  UNetTrainer<Device> trainer(l_.ctx, *unet_, *unet_.store, schedule_, trainer_options(), l_.group);
  trainer.set_latents(latents.values, latents.shape);
  const auto key = training_key(latents);
  TrainingLog log(trainer.total(), settings().training.batch);
  if (l_.group.first() && std::filesystem::exists(path)) resume(trainer, path, key, log);
  trainer.share();

  using Clock = std::chrono::steady_clock;
  auto saved = Clock::now();
  const auto save = [&] {
    if (!l_.group.first()) return;
    trainer.save(path, {{"key", key}, {"log", log.json().dump()}});
    log.write_csv(l_.folder / "loss.csv");
    log.write_events(l_.folder / kUNetEvents, "unet/");
    saved = Clock::now();
  };
  while (!trainer.done()) {
    if (l_.group.any(l_.events.stop())) {
      save();
      l_.group.barrier();  // who ends earlier would end rank 0 while it writes
      l_.stop_here("train", true);
    }
    const auto step = trainer.step();
    log.step({step.number, step.loss, step.gradient_norm, step.learning_rate});
    l_.events.progress("train", step.number, trainer.total(),
                       log.rows().empty() ? "" : concat("loss ", fixed(log.rows().back().loss, 4)));
    if (std::chrono::duration<double>(Clock::now() - saved).count() > l_.request.checkpoint_seconds) save();
  }
  save();
  trainer.finish();
  share_parameters(l_.group, *unet_.store);  // to the bit, also if processors differ
  if (l_.group.first()) {
    save_parameters(*unet_.store, l_.folder / "unet.safetensors", {{"config", nlohmann::json(unet_->config()).dump()}});
    log.write_curve(l_.folder / "loss.png");
  }
  unet_.store->freeze();
}

template <class Device>
void D3adLearner<Device>::resume(UNetTrainer<Device>& trainer, const std::filesystem::path& path,
                                 const std::string& key, TrainingLog& log) {
  const SafetensorsFile file(path);
  const auto metadata = file.metadata();
  D3AD_CHECK(metadata.count("key") && metadata.at("key") == key, "'", path.string(),
             "' is a checkpoint of a training with other images or settings; repeat those, choose another folder, or "
             "delete the file to start afresh");
  trainer.load(file);
  if (metadata.count("log")) log.read(nlohmann::json::parse(metadata.at("log"), nullptr, false));
  l_.events.note(concat("training: going on from step ", trainer.steps(), " of ", trainer.total()));
}

template <class Device>
void D3adLearner<Device>::adapt_extractor() {
  if (settings().adaptation.gamma > 0) {
    const auto m = algorithm();
    AdamW<Device> optimizer(networks_.extractor.store->parameters(),
                            {.lr = static_cast<float>(settings().adaptation.learning_rate),
                             .weight_decay = static_cast<float>(settings().training.weight_decay)});
    const auto count = static_cast<std::int64_t>(l_.good.pieces().size());
    const std::int64_t batch = std::min<std::int64_t>(settings().training.batch, count), batches = count / batch;
    const std::int64_t steps = settings().adaptation.gamma * batches, size = l_.group.size();
    LossScale<Device> scale;
    TrainingLog log(steps, batch);
    auto written = std::chrono::steady_clock::now();
    const Rng draw(settings().seed, Rng::stream("adapt.strength"));
    // What a step is about: a batch, and how it is reconstructed. That does not depend on the extractor, so each
    // process reconstructs for one of the next `size` steps; rank 0 then makes them, one after the other.
    for (std::int64_t first = 0; first < steps; first += size) {
      l_.stop_here("adapt");
      std::string own;
      const std::int64_t step = first + l_.group.rank();
      if (step < steps) {
        auto target = l_.good.load(l_.ctx, adapt_order(step / batches), step % batches * batch, batch);
        const int p = 1 + static_cast<int>(draw.below(static_cast<std::uint64_t>(step), 10));
        const int T_hat = diffusion::round10(p / 10.0 * settings().conditioning.T_max);
        const auto z0 = m.encode(l_.ctx, target);
        const auto z = m.reconstruct(l_.ctx, z0, std::vector<int>(static_cast<std::size_t>(batch), T_hat), 0,
                                     /*drop_direction=*/true);
        parallel::Packet packet;
        put(packet, m.decode(l_.ctx, z));
        put(packet, target);
        own = std::move(packet).bytes();
      }
      const auto all = l_.group.gather(std::move(own));
      for (std::int64_t r = 0; l_.group.first() && r < size && first + r < steps; ++r) {
        parallel::PacketReader reader(all[static_cast<std::size_t>(r)]);
        const Shape shape{batch, settings().data.image_size, settings().data.image_size, 3};
        auto repaired = get(reader, shape), target = get(reader, shape);
        const auto made = anomaly::adapt_step(l_.ctx, *networks_.extractor, optimizer, scale,
                                              imagenet_input(l_.ctx, fn::to_real(l_.ctx, std::move(repaired))),
                                              imagenet_input(l_.ctx, fn::to_real(l_.ctx, std::move(target))));
        log.step({first + r + 1, made.loss, made.gradient_norm, settings().adaptation.learning_rate});
        l_.events.progress("adapt", first + r + 1, steps, concat("loss ", fixed(made.loss, 4)));
      }
      const auto now = std::chrono::steady_clock::now();
      if (l_.group.first() && std::chrono::duration<double>(now - written).count() > l_.request.checkpoint_seconds) {
        log.write_events(l_.folder / kAdaptEvents, "adapt/");
        written = now;
      }
    }
    if (l_.group.first()) log.write_events(l_.folder / kAdaptEvents, "adapt/");
    networks_.extractor.store->drop_gradients();
    share_parameters(l_.group, *networks_.extractor.store);
  } else if (l_.group.first()) {
    std::error_code none;
    std::filesystem::remove(l_.folder / kAdaptEvents, none);  // another adaptation's
  }
  if (l_.group.first())
    save_parameters(*networks_.extractor.store, l_.folder / "extractor.safetensors",
                    {{"config", nlohmann::json(networks_.extractor->config()).dump()}});
}

template <class Device>
void D3adLearner<Device>::put(parallel::Packet& packet, const V& x) {
  std::vector<float> host(static_cast<std::size_t>(x.shape().size()));
  copy_to_host(host.data(), View<const float, Device>(x.view()));
  packet.put(host);
}

template <class Device>
Value<float, Device> D3adLearner<Device>::get(parallel::PacketReader& reader, Shape shape) const {
  std::vector<float> host;
  reader.get(host);
  D3AD_CHECK(static_cast<std::int64_t>(host.size()) == shape.size(), "adaptation: a process sent ", host.size(),
             " numbers for ", shape);
  auto x = make_value<float>(l_.ctx, shape);
  copy_from_host(x.view(), host.data());
  return x;
}

template <class Device>
std::vector<GoodImages::Piece> D3adLearner<Device>::adapt_order(std::int64_t epoch) const {
  const auto& all = l_.good.pieces();
  std::vector<GoodImages::Piece> pieces;
  const Rng rng(settings().seed, Rng::stream("adapt.order"));
  for (const auto i : shuffled(rng, all.size(), static_cast<std::uint64_t>(epoch))) pieces.push_back(all[i]);
  return pieces;
}

template <class Device>
ImplicitConditioning D3adLearner<Device>::condition() {
  networks_.extractor.store->freeze();
  std::vector<std::vector<float>> features;
  l_.each_batch(
      "condition", l_.good.pieces().size(), kLearningBatch, Learning<Device>::Readers::all,
      [&](parallel::Packet& packet, std::int64_t first, std::int64_t n) {
        for (const auto& f :
             algorithm().conditioning_features(l_.ctx, l_.good.load(l_.ctx, l_.good.pieces(), first, n)))
          packet.put(f);
      },
      [&](parallel::PacketReader& reader) { reader.get(features.emplace_back()); });
  return ImplicitConditioning::fit(std::move(features), {.k = settings().conditioning.k,
                                                         .bins = settings().conditioning.bins,
                                                         .T_max = settings().conditioning.T_max,
                                                         .threads = l_.ctx.threads()});
}

template <class Device>
void D3adMethod<Device>::learn(Learning<Device>& learning, Stage from) {
  learned_->at_work = false;
  D3adLearner<Device> learner(learning, this->settings(), this->networks(), learned_->unet, learned_->schedule);
  learner.learn(from);
  learned_->good.emplace(learner.condition());
}

}  // namespace d3ad
