#pragma once
// Definitions of pipeline/detector.hpp. Included by it unless they are compiled.

#include "d3ad/pipeline/detector.hpp"

namespace d3ad {

template <class Device>
Detector<Device>::Detector(Context<Device>& ctx, const std::filesystem::path& folder,
                           const std::function<void(Settings&)>& change)
    : ctx_(ctx), folder_(folder) {
  config_ = folder_.read();
  const MethodInfo& info = method_info(config_.settings.method);
  for (const auto& name : info.files) folder_.check_file(config_, name);
  if (info.needs_extractor) folder_.check_file(config_, "extractor.safetensors");
  folder_.check_file(config_, "calibration.json");
  change(config_.settings);
  config_.settings.check();
  auto networks = std::make_shared<PretrainedNetworks<Device>>();
  if (info.needs_vae) networks->vae = folder_.template load_vae<Device>(config_);
  if (info.needs_extractor) networks->extractor = load_extractor<Device>(folder_ / "extractor.safetensors");
  method_ = make_method<Device>(info.name, networks, config_.settings);
  method_->load(ctx, folder_, config_, Stage::detect);
  auto stores = method_->stores();
  if (info.needs_vae) stores.push_back(networks->vae.store.get());
  if (info.needs_extractor) stores.push_back(networks->extractor.store.get());
  for (auto* store : stores) {
    if (config_.settings.weights == "bfloat16")
      keep_narrow(ctx, *store);
    else
      store->freeze();
  }
  calibration_ = folder_.read_calibration();
  ranges_ = calibration_.ranges_of(info.maps);
  brightest_ = 2 * calibration_.threshold;
}

template <class Device>
void Detector<Device>::set_tiles(int batch, std::function<void(int done, int total)> progress) {
  D3AD_CHECK(batch >= 1, "detector: a batch of ", batch, " tiles, expected 1 or more");
  tiles_.batch = batch, tiles_.progress = std::move(progress);
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
void Detector<Device>::begin(std::vector<Frame> frames, std::uint64_t first) {
  D3AD_CHECK(!frames.empty(), "detect: there are no images");
  if (tiling().on()) {
    check_room();
    Batch batch;
    for (auto& frame : frames) batch.found.push_back(detect_tiles(std::move(frame), first + batch.found.size()));
    under_way_.push_back(std::move(batch));
    return;
  }
  check_squares(frames);
  check_room();
  const auto count = static_cast<std::int64_t>(frames.size());
  auto& place = next_place(count * 3 * pixels(), count);
  float* host = place.inputs();
  std::vector<std::vector<float>> inputs;
  for (auto& frame : frames) {
    host = std::copy(frame.pixels.begin(), frame.pixels.end(), host);
    inputs.push_back(std::move(frame.pixels));
  }
  const View<const float, Device> x(place.send(ctx_).data, {count, image_size(), image_size(), 3});
  launch(place, Value<float, Device>::borrow(x), std::move(inputs), first);
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
Value<float, Device> Detector<Device>::upload(const std::vector<Frame>& frames) const {
  const std::int64_t size = image_size(), count = static_cast<std::int64_t>(frames.size());
  D3AD_CHECK(count > 0, "detect: there are no images");
  check_whole();
  check_squares(frames);
  auto x = make_value<float>(ctx_, {count, size, size, 3});
  for (std::int64_t i = 0; i < count; ++i)
    copy_from_host(x.view().images(i, 1), frames[static_cast<std::size_t>(i)].pixels.data());
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
void Detector<Device>::check_squares(const std::vector<Frame>& frames) const {
  for (const auto& frame : frames)
    D3AD_CHECK(frame.width == image_size() && frame.height == image_size() &&
                   static_cast<std::int64_t>(frame.pixels.size()) == 3 * pixels(),
               "detect: a frame of ", frame.width, " x ", frame.height, " with ", frame.pixels.size(),
               " numbers, expected ", image_size(), " x ", image_size(), " x 3");
}

template <class Device>
StagingPlace<Device>& Detector<Device>::next_place(std::int64_t inputs, std::int64_t count) {
  if (under_way_.empty())
    for (auto& place : places_) place.reserve(ctx_, inputs, layout(count).numbers());
  auto& place = places_[turn_ % places_.size()];
  place.reserve(ctx_, inputs, layout(count).numbers());
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
  const auto found = method_->analyse(ctx_, std::move(x), {.first = first});
  const auto map = method_->anomaly_map(ctx_, found.maps, ranges_);
  const ResultLayout at = layout(map.shape().n);
  float* const results = place.results().data;
  const auto put = [&](std::int64_t where, const Value<float, Device>& value) {
    ops::copy(ctx_, View<float, Device>(results + where, value.shape()), value.view());
  };
  if (method_->info().scores)
    put(at.scores(), found.score);
  else
    ops::max_per_image(ctx_, View<float, Device>(results + at.scores(), {.n = at.images}), map.view());
  if (at.measured) put(at.measurements(), found.measured);
  put(at.map(), map);
  for (std::int64_t k = 0; k < at.maps; ++k) put(at.raw(k), found.maps[static_cast<std::size_t>(k)]);
  if (at.reconstructs) put(at.reconstructions(), found.reconstruction);
}

template <class Device>
std::vector<Detection> Detector<Device>::results_of(const float* results,
                                                    std::vector<std::vector<float>> inputs) const {
  const ResultLayout at = layout(static_cast<std::int64_t>(inputs.size()));
  // The numbers of image i that begin at `where`, `each` of every image.
  const auto part = [&](std::int64_t where, std::size_t i, std::int64_t each) {
    const float* const from = results + where + static_cast<std::int64_t>(i) * each;
    return std::vector<float>(from, from + each);
  };
  const float* const measured = results + at.measurements();
  auto attributes = method_->attributes({measured, measured + at.images * at.measured}, inputs.size());
  anomaly::check_scores({results + at.scores(), results + at.scores() + at.images});
  std::vector<Detection> out(inputs.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    Detection& d = out[i];
    d.score = results[at.scores() + static_cast<std::int64_t>(i)];
    d.faulty = anomaly::faulty(d.score, calibration_.threshold);
    d.attributes = {&method_->info().attributes, std::move(attributes[i])};
    d.map = part(at.map(), i, at.pixels);
    d.raw = {.h = image_size(), .w = image_size(), .maps = {}, .score = d.score};
    for (std::int64_t k = 0; k < at.maps; ++k) d.raw.maps.push_back(part(at.raw(k), i, at.pixels));
    d.input = std::move(inputs[i]);
    if (at.reconstructs) d.reconstruction = part(at.reconstructions(), i, 3 * at.pixels);
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
  options.place.first = number * kMostTiles;
  auto seen = analyse_tiles(ctx_, *method_, frame, tiling().grid(frame.width, frame.height), options);
  const MethodInfo& info = method_->info();
  Detection d;
  d.map = map_with(seen.raw, ranges_);
  d.score = score_of(info, seen.raw, d.map);
  anomaly::check_scores({d.score});
  d.faulty = anomaly::faulty(d.score, calibration_.threshold);
  d.attributes = {&info.attributes, deciding_attributes(info, seen.tiles)};
  d.raw = std::move(seen.raw);
  d.width = frame.width, d.height = frame.height;
  d.input = std::move(frame.pixels), d.reconstruction = std::move(seen.reconstruction);
  for (float& v : d.reconstruction) v = std::clamp(v, -1.0f, 1.0f);
  d.tiles = std::move(seen.tiles);
  ctx_.arena.settle();
  return d;
}

}  // namespace d3ad
