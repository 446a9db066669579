#pragma once
// Definitions of pipeline/detector.hpp. Included by it unless they are compiled.

#include "d3ad/pipeline/detector.hpp"

namespace d3ad {

template <class Device>
Detector<Device>::Detector(Context<Device>& ctx, const std::filesystem::path& folder,
                           const std::function<void(Settings&)>& change)
    : ctx_(ctx), folder_(folder) {
  config_ = folder_.read();
  for (const char* name : {"unet.safetensors", "extractor.safetensors", "dic.safetensors", "calibration.json"})
    folder_.check_file(config_, name);
  vae_ = folder_.template load_vae<Device>(config_);
  unet_ = load_unet<Device>(folder_ / "unet.safetensors", config_.unet);
  extractor_ = load_extractor<Device>(folder_ / "extractor.safetensors");
  D3AD_CHECK(unet_->config().channels == vae_->latent_channels(), "model '", folder.string(), "': its UNet denoises ",
             unet_->config().channels, " channels, its VAE makes ", vae_->latent_channels());
  change(config_.settings);
  config_.settings.check();
  for (auto* store : {vae_.store.get(), unet_.store.get(), extractor_.store.get()}) {
    if (config_.settings.weights == "bfloat16")
      keep_narrow(ctx, *store);
    else
      store->freeze();
  }
  conditioning_.emplace(folder_.read_conditioning(ctx.threads()));
  calibration_ = folder_.read_calibration();
  brightest_ = 2 * calibration_.threshold;
}

template <class Device>
void Detector<Device>::set_tiles(int batch, std::function<void(int done, int total)> progress) {
  D3AD_CHECK(batch >= 1, "detector: a batch of ", batch, " tiles, expected 1 or more");
  tiles_.batch = batch, tiles_.progress = std::move(progress);
}

template <class Device>
std::vector<Detection> Detector<Device>::operator()(const std::vector<std::vector<float>>& inputs,
                                                    std::uint64_t first) {
  check_idle();
  begin(inputs, first);
  return finish();
}

template <class Device>
std::vector<Detection> Detector<Device>::operator()(const std::vector<Image>& photos, std::uint64_t first) {
  if (tiling().on()) {
    D3AD_CHECK(!photos.empty(), "detect: there are no images");
    std::vector<Frame> frames;
    for (const auto& photo : photos) {
      check_photo(photo);
      frames.push_back(tiling().frame(photo));
    }
    return (*this)(std::move(frames), first);
  }
  check_idle();
  auto x = upload(photos);
  std::vector<std::vector<float>> inputs;
  for (std::size_t i = 0; i < photos.size(); ++i) inputs.push_back(host(x, i));
  auto& place = next_place(0, static_cast<std::int64_t>(photos.size()));
  launch(place, std::move(x), std::move(inputs), first);
  return finish();
}

template <class Device>
std::vector<Detection> Detector<Device>::operator()(std::vector<Frame> frames, std::uint64_t first) {
  check_idle();
  begin(std::move(frames), first);
  return finish();
}

template <class Device>
Detection Detector<Device>::operator()(std::vector<float> input) {
  std::vector<std::vector<float>> one;
  one.push_back(std::move(input));
  return std::move((*this)(one).front());
}

template <class Device>
void Detector<Device>::begin(std::vector<std::vector<float>> inputs, std::uint64_t first) {
  const std::int64_t count = static_cast<std::int64_t>(inputs.size()), numbers = input_numbers();
  check_inputs(inputs);
  check_room();
  auto& place = next_place(count * numbers, count);
  float* host = place.inputs();
  for (const auto& input : inputs) host = std::copy(input.begin(), input.end(), host);
  const View<const float, Device> x(place.send(ctx_).data, {count, image_size(), image_size(), 3});
  launch(place, Value<float, Device>::borrow(x), std::move(inputs), first);
}

template <class Device>
void Detector<Device>::begin(std::vector<Frame> frames, std::uint64_t first) {
  Batch batch;
  if (tiling().on()) {
    D3AD_CHECK(!frames.empty(), "detect: there are no images");
    check_room();
    for (auto& frame : frames) batch.found.push_back(detect_tiles(std::move(frame), first + batch.found.size()));
    under_way_.push_back(std::move(batch));
  } else {
    for (auto& frame : frames) batch.inputs.push_back(std::move(frame.pixels));
    begin(std::move(batch.inputs), first);
  }
}

template <class Device>
std::vector<Detection> Detector<Device>::finish() {
  D3AD_CHECK(!under_way_.empty(), "detect: no batch was begun");
  Batch batch = std::move(under_way_.front());
  under_way_.pop_front();
  if (!batch.place) return std::move(batch.found);
  return results_of(batch.place->wait(), std::move(batch.inputs));
}

template <class Device>
Value<float, Device> Detector<Device>::upload(const std::vector<std::vector<float>>& inputs) const {
  const std::int64_t size = image_size(), count = static_cast<std::int64_t>(inputs.size());
  check_inputs(inputs);
  auto x = make_value<float>(ctx_, {count, size, size, 3});
  for (std::int64_t i = 0; i < count; ++i)
    copy_from_host(x.view().images(i, 1), inputs[static_cast<std::size_t>(i)].data());
  return x;
}

template <class Device>
Value<float, Device> Detector<Device>::upload(const std::vector<Image>& photos) const {
  const std::int64_t size = image_size(), count = static_cast<std::int64_t>(photos.size());
  D3AD_CHECK(count > 0, "detect: there are no images");
  check_whole();
  auto x = make_value<float>(ctx_, {count, size, size, 3});
  for (std::int64_t i = 0; i < count; ++i) {
    const Image& photo = photos[static_cast<std::size_t>(i)];
    const Shape shape = check_photo(photo);
    const auto pixels = make_value<std::uint8_t>(ctx_, shape);
    copy_from_host(pixels.view(), photo.pixels.data());
    ops::image_input(ctx_, x.view().images(i, 1), pixels.view());
  }
  return x;
}

template <class Device>
std::vector<float> Detector<Device>::host(const Value<float, Device>& value, std::size_t image) {
  const View<const float, Device> view = value.view().images(static_cast<std::int64_t>(image), 1);
  std::vector<float> out(static_cast<std::size_t>(view.size()));
  copy_to_host(out.data(), view);
  return out;
}

template <class Device>
std::vector<float> Detector<Device>::map_with(const anomaly::MapPair& raw, const anomaly::Ranges& ranges) {
  const auto map = anomaly::combine(ctx_, raw, ranges, static_cast<float>(settings().map.lambda),
                                    static_cast<float>(settings().map.sigma));
  return host(map, 0);
}

template <class Device>
void Detector<Device>::check_whole() const {
  D3AD_CHECK(!tiling().on(), "detect: this model looks at tiles of ", settings().data.tile,
             " pixels, not at whole images resized to ", image_size(),
             "; give the detector photographs (read_image) or frames");
}

template <class Device>
Shape Detector<Device>::check_photo(const Image& photo) {
  const Shape shape{.h = photo.height, .w = photo.width, .c = photo.channels};
  D3AD_CHECK(photo.channels == 3 && shape.size() > 0 && static_cast<std::int64_t>(photo.pixels.size()) == shape.size(),
             "detect: an image of ", photo.width, " x ", photo.height, " x ", photo.channels, " with ",
             photo.pixels.size(), " bytes, expected 3 channels and a byte for each number");
  return shape;
}

template <class Device>
void Detector<Device>::check_idle() const {
  D3AD_CHECK(under_way_.empty(), "detect: ", under_way_.size(), " batches are under way; take their results before");
}

template <class Device>
void Detector<Device>::check_room() const {
  D3AD_CHECK(under_way_.size() <= kBatchesAhead<Device>, "detect: ", under_way_.size(),
             " batches are under way, which is as many as there may be; take the results of the first (finish)");
}

template <class Device>
void Detector<Device>::check_inputs(const std::vector<std::vector<float>>& inputs) const {
  D3AD_CHECK(!inputs.empty(), "detect: there are no images");
  check_whole();
  for (const auto& input : inputs)
    D3AD_CHECK(static_cast<std::int64_t>(input.size()) == input_numbers(), "detect: an input of ", input.size(),
               " numbers, expected ", image_size(), " x ", image_size(), " x 3");
}

template <class Device>
StagingPlace<Device>& Detector<Device>::next_place(std::int64_t inputs, std::int64_t count) {
  if (under_way_.empty())
    for (auto& place : places_) place.reserve(ctx_, inputs, count * result_numbers());
  auto& place = places_[turn_ % places_.size()];
  place.reserve(ctx_, inputs, count * result_numbers());
  return place;
}

template <class Device>
void Detector<Device>::launch(StagingPlace<Device>& place, Value<float, Device> x,
                              std::vector<std::vector<float>> inputs, std::uint64_t first) {
  compute(place, std::move(x), first);
  place.fetch(ctx_);
  under_way_.push_back({.place = &place, .inputs = std::move(inputs)});
  ++turn_;
  ctx_.arena.settle();  // the first batch was the plan: from the second on nothing is allocated
}

template <class Device>
void Detector<Device>::compute(StagingPlace<Device>& place, Value<float, Device> x, std::uint64_t first) {
  const auto seen = method().analyse(ctx_, std::move(x), *conditioning_, first);
  const auto map = method().anomaly_map(ctx_, seen, calibration_.ranges);
  const std::int64_t count = map.shape().n;
  float* to = place.results().data;
  ops::max_per_image(ctx_, View<float, Device>(to, {.n = count}), map.view());
  to += count;
  for (const auto* part : {&seen.conditioning.distance, &map, &seen.latent_map, &seen.feature_map, &seen.repaired}) {
    ops::copy(ctx_, View<float, Device>(to, part->shape()), part->view());
    to += part->shape().size();
  }
}

template <class Device>
std::vector<Detection> Detector<Device>::results_of(const float* found, std::vector<std::vector<float>> inputs) const {
  const auto next = [&found](std::int64_t count) {
    std::vector<float> part(found, found + count);
    found += count;
    return part;
  };
  const auto count = static_cast<std::int64_t>(inputs.size());
  const std::vector<float> scores = next(count);
  const auto conditioning = method().chosen(conditioning_->host(), next(count));
  anomaly::check_scores(scores);
  std::vector<Detection> out(inputs.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i].score = scores[i];
    out[i].faulty = anomaly::faulty(scores[i], calibration_.threshold);
    out[i].conditioning = conditioning[i];
    out[i].raw.h = out[i].raw.w = image_size();
    out[i].input = std::move(inputs[i]);
  }
  for (Detection& d : out) d.map = next(pixels());
  for (Detection& d : out) d.raw.latent = next(pixels());
  for (Detection& d : out) d.raw.feature = next(pixels());
  for (Detection& d : out) {
    d.reconstruction = next(input_numbers());
    for (float& v : d.reconstruction) v = std::clamp(v, -1.0f, 1.0f);
    d.width = d.height = image_size();
  }
  return out;
}

template <class Device>
Detection Detector<Device>::detect_tiles(Frame frame, std::uint64_t number) {
  D3AD_CHECK(
      frame.width > 0 && frame.height > 0 &&
          frame.pixels.size() == static_cast<std::size_t>(frame.width) * static_cast<std::size_t>(frame.height) * 3,
      "detect: a frame of ", frame.width, " x ", frame.height, " with ", frame.pixels.size(),
      " numbers, expected 3 for each pixel");
  TileOptions options = tiles_;
  options.first = number * kMostTiles;
  const auto good = [this](int) -> const ConditioningOn<Device>& { return *conditioning_; };
  auto seen = analyse_tiles(ctx_, method(), frame, tiling().grid(frame.width, frame.height), options, good);
  Detection d;
  {
    const auto map = anomaly::combine(ctx_, seen.raw, calibration_.ranges, static_cast<float>(settings().map.lambda),
                                      static_cast<float>(settings().map.sigma));
    d.score = anomaly::scores(ctx_, map).front();
    d.map = host(map, 0);
  }
  d.faulty = anomaly::faulty(d.score, calibration_.threshold);
  d.conditioning = farthest(seen.tiles);
  d.raw = std::move(seen.raw);
  d.width = frame.width, d.height = frame.height;
  d.input = std::move(frame.pixels), d.reconstruction = std::move(seen.reconstruction);
  for (float& v : d.reconstruction) v = std::clamp(v, -1.0f, 1.0f);
  d.tiles = std::move(seen.tiles);
  ctx_.arena.settle();
  return d;
}

}  // namespace d3ad
