#pragma once
// A trained model at work: is this image faulty, and where?
//
//   Context<Cpu> ctx;
//   Detector<Cpu> detector(ctx, "models/cookie");
//   const Detection d = detector(read_image("photo.jpg"));
//   const auto found = detector(std::vector{read_image("a.jpg"), read_image("b.jpg")});    resized on the device
//   d.score, d.faulty, d.conditioning.T_hat, d.map (d.height x d.width)
//
// The map is image_size x image_size, of the whole image squeezed into that square; where the model was trained with
// tiles (Settings::tile) it has the image's form, at the resolution the tiles were seen in (pipeline/tile.hpp).
//
// The ranges and the threshold are the model's calibration, learned on good images; a single image is enough. An image
// gets the same score alone and in a batch (to the rounding of the libraries underneath).

#include <cstdint>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "d3ad/anomaly/calibration.hpp"
#include "d3ad/anomaly/score.hpp"
#include "d3ad/backend/ops.hpp"
#include "d3ad/pipeline/image.hpp"
#include "d3ad/pipeline/method.hpp"
#include "d3ad/pipeline/model_folder.hpp"
#include "d3ad/pipeline/tile_analysis.hpp"

namespace d3ad {

struct Detection {
  float score = 0;
  bool faulty = false;
  Conditioning conditioning;                 // distance to the good images, bin, T̂; with tiles: of the farthest one
  std::vector<float> map;                    // anomaly map [height x width], higher is more wrong
  anomaly::MapPair raw;                      // what the map is mixed from: for other ranges (evaluate)
  std::vector<float> input, reconstruction;  // [height x width x 3] in [-1, 1]; the reconstruction is clamped
  int width = 0, height = 0;                 // of the map; without tiles image_size both
  std::vector<TileFinding> tiles;            // where each tile lies in the map, and its T̂; empty without tiles
};

template <class Device>
class Detector {
 public:
  // `change` may alter settings of detection (eta2, lambda ...) that the model was made with.
  template <class Change>
  Detector(Context<Device>& ctx, const std::filesystem::path& folder, Change&& change) : ctx_(ctx), folder_(folder) {
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
  Detector(Context<Device>& ctx, const std::filesystem::path& folder) : Detector(ctx, folder, [](Settings&) {}) {}

  const std::filesystem::path& folder() const { return folder_.path(); }
  const ModelConfig& config() const { return config_; }
  const Settings& settings() const { return config_.settings; }
  const anomaly::Calibration& calibration() const { return calibration_; }
  const ImplicitConditioning& conditioning() const { return *conditioning_; }
  int image_size() const { return config_.settings.image_size; }
  // How images are cut for this model: tiling().on() where it is one of tiles.
  Tiling tiling() const { return Tiling(config_.settings); }
  // How many tiles are computed together, and who hears of them (before each batch; it may throw to stop).
  void set_tiles(int batch, std::function<void(int done, int total)> progress) {
    D3AD_CHECK(batch >= 1, "detector: a batch of ", batch, " tiles, expected 1 or more");
    tiles_.batch = batch, tiles_.progress = std::move(progress);
  }
  // What pictures of maps show brightest: twice the calibrated threshold, one scale for all images.
  float brightest() const { return brightest_; }
  // Another threshold than the calibration's; the scale of pictures stays.
  void set_threshold(float threshold) { calibration_.threshold = threshold; }

  // inputs: each [size x size x 3] in [-1, 1] (pipeline/resize.hpp's to_input). first: the first one's number.
  std::vector<Detection> operator()(const std::vector<std::vector<float>>& inputs, std::uint64_t first = 0) {
    auto found = detect(upload(inputs), inputs, first);
    ctx_.arena.settle();  // the first image was the plan: from the second on nothing is allocated
    return found;
  }
  // photos: as they were decoded, of any sizes, RGB. The same numbers as those of to_input(photo, size), or of tiles.
  std::vector<Detection> operator()(const std::vector<Image>& photos, std::uint64_t first = 0) {
    if (tiling().on()) {
      D3AD_CHECK(!photos.empty(), "detect: there are no images");
      std::vector<Detection> found;
      for (const auto& photo : photos) {
        check_photo(photo);
        found.push_back(detect_tiles(tiling().frame(photo), first + found.size()));
      }
      return found;
    }
    auto x = upload(photos);
    std::vector<std::vector<float>> inputs;
    for (std::size_t i = 0; i < photos.size(); ++i) inputs.push_back(host(x, i));
    auto found = detect(std::move(x), std::move(inputs), first);
    ctx_.arena.settle();
    return found;
  }
  Detection operator()(const Image& photo) { return std::move((*this)(std::vector{photo}).front()); }
  // As tiling().frame(photo) or a loader made them.
  std::vector<Detection> operator()(std::vector<Frame> frames, std::uint64_t first = 0) {
    std::vector<Detection> found;
    std::vector<std::vector<float>> inputs;
    for (auto& frame : frames)
      if (tiling().on())
        found.push_back(detect_tiles(std::move(frame), first + found.size()));
      else
        inputs.push_back(std::move(frame.pixels));
    return tiling().on() && !found.empty() ? std::move(found) : (*this)(inputs, first);
  }
  Detection operator()(std::vector<float> input) {
    std::vector<std::vector<float>> one;
    one.push_back(std::move(input));
    return std::move((*this)(one).front());
  }

  // The networks and settings at work, and the context they work on.
  Method<Device> method() const { return {*vae_, *unet_, *extractor_, schedule_, config_.settings, &loop_}; }
  Context<Device>& context() const { return ctx_; }

  // The inputs on the device, [n, size, size, 3].
  Value<float, Device> upload(const std::vector<std::vector<float>>& inputs) const {
    const std::int64_t size = image_size(), count = static_cast<std::int64_t>(inputs.size());
    D3AD_CHECK(count > 0, "detect: there are no images");
    check_whole();
    auto x = ctx_.arena.template make<float>({count, size, size, 3});
    for (std::int64_t i = 0; i < count; ++i) {
      const auto& input = inputs[static_cast<std::size_t>(i)];
      D3AD_CHECK(static_cast<std::int64_t>(input.size()) == size * size * 3, "detect: an input of ", input.size(),
                 " numbers, expected ", size, " x ", size, " x 3");
      copy_from_host(x.view().images(i, 1), input.data());
    }
    return x;
  }
  // The same of photographs, whose bytes go to the device and are resized there.
  Value<float, Device> upload(const std::vector<Image>& photos) const {
    const std::int64_t size = image_size(), count = static_cast<std::int64_t>(photos.size());
    D3AD_CHECK(count > 0, "detect: there are no images");
    check_whole();
    auto x = ctx_.arena.template make<float>({count, size, size, 3});
    for (std::int64_t i = 0; i < count; ++i) {
      const Image& photo = photos[static_cast<std::size_t>(i)];
      const Shape shape = check_photo(photo);
      const auto pixels = ctx_.arena.template make<std::uint8_t>(shape);
      copy_from_host(pixels.view(), photo.pixels.data());
      ops::image_input(ctx_, x.view().images(i, 1), pixels.view());
    }
    return x;
  }
  // One image of a map on the host, [size x size x channels].
  static std::vector<float> host(const Value<float, Device>& value, std::size_t image) {
    const View<const float, Device> view = value.view().images(static_cast<std::int64_t>(image), 1);
    std::vector<float> out(static_cast<std::size_t>(view.size()));
    copy_to_host(out.data(), view);
    return out;
  }

  // The anomaly map of a detection under other ranges (the paper's protocol), [height x width].
  std::vector<float> map_with(const anomaly::MapPair& raw, const anomaly::Ranges& ranges) {
    const auto map = anomaly::combine(ctx_, raw, ranges, static_cast<float>(settings().lambda),
                                      static_cast<float>(settings().sigma));
    return host(map, 0);
  }

 private:
  void check_whole() const {
    D3AD_CHECK(!tiling().on(), "detect: this model looks at tiles of ", settings().tile,
               " pixels, not at whole images resized to ", image_size(),
               "; give the detector photographs (read_image) or frames");
  }

  static Shape check_photo(const Image& photo) {
    const Shape shape{.h = photo.height, .w = photo.width, .c = photo.channels};
    D3AD_CHECK(
        photo.channels == 3 && shape.size() > 0 && static_cast<std::int64_t>(photo.pixels.size()) == shape.size(),
        "detect: an image of ", photo.width, " x ", photo.height, " x ", photo.channels, " with ", photo.pixels.size(),
        " bytes, expected 3 channels and a byte for each number");
    return shape;
  }

  // x on the device, inputs the same numbers on the host.
  std::vector<Detection> detect(Value<float, Device> x, std::vector<std::vector<float>> inputs, std::uint64_t first) {
    const auto seen = method().analyse(ctx_, std::move(x), *conditioning_, first);
    const auto map = method().anomaly_map(ctx_, seen, calibration_.ranges);
    const auto scores = anomaly::scores(ctx_, map);
    auto raw = anomaly::to_host(ctx_, seen.latent_map, seen.feature_map);

    std::vector<Detection> out(inputs.size());
    for (std::size_t i = 0; i < out.size(); ++i) {
      Detection& d = out[i];
      d.score = scores[i];
      D3AD_CHECK(std::isfinite(d.score), "detect: the score is not a finite number; are the model's weights damaged?");
      d.faulty = anomaly::faulty(d.score, calibration_.threshold);
      d.conditioning = seen.conditioning[i];
      d.raw = std::move(raw[i]);
      d.input = std::move(inputs[i]);
      d.map = host(map, i);
      d.reconstruction = host(seen.repaired, i);
      for (float& v : d.reconstruction) v = std::clamp(v, -1.0f, 1.0f);
      d.width = d.height = image_size();
    }
    return out;
  }

  // number: the image's.
  Detection detect_tiles(Frame frame, std::uint64_t number) {
    D3AD_CHECK(
        frame.width > 0 && frame.height > 0 &&
            frame.pixels.size() == static_cast<std::size_t>(frame.width) * static_cast<std::size_t>(frame.height) * 3,
        "detect: a frame of ", frame.width, " x ", frame.height, " with ", frame.pixels.size(),
        " numbers, expected 3 for each pixel");
    TileOptions options = tiles_;
    options.first = number * kMostTiles;
    const auto good = [this](int) -> const ImplicitConditioning& { return *conditioning_; };
    auto seen = analyse_tiles(ctx_, method(), frame, tiling().grid(frame.width, frame.height), options, good);
    Detection d;
    {
      const auto map = anomaly::combine(ctx_, seen.raw, calibration_.ranges, static_cast<float>(settings().lambda),
                                        static_cast<float>(settings().sigma));
      d.score = anomaly::scores(ctx_, map).front();
      d.map = host(map, 0);
    }
    D3AD_CHECK(std::isfinite(d.score), "detect: the score is not a finite number; are the model's weights damaged?");
    d.faulty = anomaly::faulty(d.score, calibration_.threshold);
    for (const auto& tile : seen.tiles)
      if (tile.conditioning.distance >= d.conditioning.distance) d.conditioning = tile.conditioning;
    d.raw = std::move(seen.raw);
    d.width = frame.width, d.height = frame.height;
    d.input = std::move(frame.pixels), d.reconstruction = std::move(seen.reconstruction);
    for (float& v : d.reconstruction) v = std::clamp(v, -1.0f, 1.0f);
    d.tiles = std::move(seen.tiles);
    ctx_.arena.settle();
    return d;
  }

  Context<Device>& ctx_;
  ModelFolder folder_;
  ModelConfig config_;
  Schedule schedule_;
  Loaded<Autoencoder<Device>, Device> vae_;
  Loaded<UNet<Device>, Device> unet_;
  Loaded<ResNet<Device>, Device> extractor_;
  std::optional<ImplicitConditioning> conditioning_;
  anomaly::Calibration calibration_;
  float brightest_ = 0;
  TileOptions tiles_;
  mutable DenoiseLoop<Device> loop_;  // as the arena: what is kept from call to call
};

}  // namespace d3ad
