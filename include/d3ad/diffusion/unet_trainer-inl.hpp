#pragma once
// Definitions of diffusion/unet_trainer.hpp. Included by it unless they are compiled.

#include "d3ad/diffusion/unet_trainer.hpp"

namespace d3ad {

template <class Device>
UNetTrainer<Device>::UNetTrainer(Context<Device>& ctx, const UNet<Device>& unet, ParameterStore<Device>& store,
                                 const Schedule& schedule, UNetTrainerOptions options, Group& group)
    : ctx_(ctx),
      group_(group),
      unet_(unet),
      store_(store),
      schedule_(schedule),
      options_(options),
      optimizer_(store.parameters(), options.adamw),
      sum_(group, ctx, store.parameters()) {
  check(options, group);
}

template <class Device>
void UNetTrainer<Device>::check(const UNetTrainerOptions& options, const Group& group) {
  D3AD_CHECK(options.batch > 0 && options.accumulate > 0 && options.batch % options.accumulate == 0,
             "training: a batch of ", options.batch, " does not split into ", options.accumulate, " parts");
  const int micro = options.batch / options.accumulate;
  D3AD_CHECK(micro % group.size() == 0, "training: ", micro, " images computed together do not split over ",
             group.size(), " processes; choose a batch", options.accumulate > 1 ? " / accumulate" : "",
             " that is a multiple of ", group.size(), ", or start another number of processes");
}

template <class Device>
void UNetTrainer<Device>::set_latents(const std::vector<float>& latents, Shape shape) {
  D3AD_CHECK(shape.n > 0, "training: there are no latents");
  D3AD_CHECK(static_cast<std::int64_t>(latents.size()) == shape.size(), "training: ", latents.size(),
             " numbers are not latents of ", shape);
  latents_ = &latents;
  shape_ = shape;
}

template <class Device>
std::int64_t UNetTrainer<Device>::total() const {
  return options_.iterations > 0 ? options_.iterations : options_.epochs * batches_a_round();
}

template <class Device>
typename UNetTrainer<Device>::Step UNetTrainer<Device>::step() {
  D3AD_CHECK(latents_, "training: set_latents has to be called first");
  const std::int64_t number = steps();
  const std::int64_t micro = options_.batch / options_.accumulate, own = micro / group_.size();
  const double factor = learning_rate_factor(number, total(), options_.warmup, options_.cosine_decay);
  double loss = 0, norm = 0;
  do {
    optimizer_.zero_gradients(ctx_);
    loss = 0;
    for (std::int64_t part = 0; part < options_.accumulate; ++part) {
      if (part == options_.accumulate - 1) sum_.begin();
      loss += forward_backward(number, part * micro + group_.rank() * own, own) / options_.accumulate;
    }
    sum_.finish();
    loss = group_.sum(loss / group_.size());
    D3AD_CHECK(std::isfinite(loss), "training: the loss is not finite at step ", number + 1,
               "; lower the learning rate or clip the gradient");
    norm = optimizer_.step(ctx_, {.lr_factor = factor,
                                  .clip = options_.clip,
                                  .ema = options_.ema,
                                  .gradient_scale = 1.0 / double{scale_.value()},
                                  .may_overflow = LossScale<Device>::kScales});
  } while (!scale_.keeps(norm));
  return {number + 1, loss, norm, options_.adamw.lr * factor};
}

template <class Device>
void UNetTrainer<Device>::finish() {
  if (options_.ema > 0) optimizer_.take_averages(ctx_);
  store_.drop_gradients();
}

template <class Device>
void UNetTrainer<Device>::save(const std::filesystem::path& path, std::map<std::string, std::string> metadata) {
  if (LossScale<Device>::kScales) metadata["loss_scale"] = scale_.text();
  save_training_state(store_, optimizer_, path, std::move(metadata));
}

template <class Device>
void UNetTrainer<Device>::share() {
  share_training_state(group_, store_, optimizer_);
  float scale[2]{scale_.value(), static_cast<float>(scale_.good())};
  group_.broadcast(scale, sizeof(scale));
  if (LossScale<Device>::kScales) scale_.set(scale[0], static_cast<int>(scale[1]));
}

template <class Device>
void UNetTrainer<Device>::load(const SafetensorsFile& file) {
  load_training_state(store_, optimizer_, file, options_.ema > 0);
  const auto metadata = file.metadata();
  const auto scale = metadata.find("loss_scale");
  if (!LossScale<Device>::kScales || scale == metadata.end()) return;
  float value = 0;
  int good = 0;
  D3AD_CHECK(std::sscanf(scale->second.c_str(), "%f %d", &value, &good) == 2, "'", file.path(), "': a loss scale of '",
             scale->second, "' is no two numbers; delete the checkpoint to start afresh");
  scale_.set(value, good);
}

template <class Device>
std::int64_t UNetTrainer<Device>::image_at(std::int64_t p) {
  const std::int64_t usable = shape_.n >= options_.batch ? batches_a_round() * options_.batch : shape_.n;
  const std::int64_t round = p / usable;
  if (round != round_) {
    order_ = shuffled(Rng(options_.seed, Rng::stream("train.order")), static_cast<std::size_t>(shape_.n),
                      static_cast<std::uint64_t>(round));
    round_ = round;
  }
  return static_cast<std::int64_t>(order_[static_cast<std::size_t>(p % usable)]);
}

template <class Device>
double UNetTrainer<Device>::forward_backward(std::int64_t number, std::int64_t first, std::int64_t count) {
  const std::int64_t elements = shape_.h * shape_.w * shape_.c;
  const Shape s{count, shape_.h, shape_.w, shape_.c};
  auto z = make_value<float>(ctx_, s);
  auto noise = make_value<float>(ctx_, s);
  auto x = make_value<float>(ctx_, s);
  auto t = make_value<std::int32_t>(ctx_, {.n = count});
  auto a = make_value<float>(ctx_, {.n = count});
  auto b = make_value<float>(ctx_, {.n = count});

  const Rng time(options_.seed, Rng::stream("train.time"));
  std::vector<std::int32_t> ts;
  std::vector<float> as, bs;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t place = number * options_.batch + first + i;
    copy_from_host(z.view().images(i, 1), latents_->data() + image_at(place) * elements);
    const auto step = static_cast<std::int32_t>(
        time.below(static_cast<std::uint64_t>(place), static_cast<std::uint64_t>(schedule_.steps())));
    ts.push_back(step);
    as.push_back(std::sqrt(schedule_.alpha_bar(step)));
    bs.push_back(std::sqrt(1.0f - schedule_.alpha_bar(step)));
  }
  copy_from_host(t.view(), ts.data());
  copy_from_host(a.view(), as.data());
  copy_from_host(b.view(), bs.data());
  ops::normal(ctx_, noise.view(), Rng(options_.seed, Rng::stream("train.noise")),
              static_cast<std::uint64_t>((number * options_.batch + first) * elements));
  ops::add_noise(ctx_, x.view(), z.view(), noise.view(), a.view(), b.view());

  Tape<Device> tape(ctx_);
  auto eps = unet_(tape, fn::to_real(ctx_, std::move(x)), View<const std::int32_t, Device>(t.view()));
  auto loss = fn::mse(tape, std::move(eps), fn::to_real(ctx_, std::move(noise)));
  tape.listen([this](Parameter<Device>& p) { sum_.contributed(p); });
  tape.backward(loss, scale_.value() / static_cast<float>(options_.accumulate * group_.size()));
  return fn::item(loss);
}

}  // namespace d3ad
