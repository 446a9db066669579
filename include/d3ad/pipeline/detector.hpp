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
// tiles (DataSettings::tile) it has the image's form, at the resolution the tiles were seen in (data/tile.hpp).
//
// Batch after batch, where a device copies one to itself and another one's results back while it computes a third:
//
//   detector.begin(inputs);                            // launched; kBatchesAhead more may be begun before
//   for (const Detection& d : detector.finish()) ...   // the results of the oldest one are taken
//
// The ranges and the threshold are the model's calibration, learned on good images; a single image is enough. An image
// gets the same score alone and in a batch (to the rounding of the libraries underneath).

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "d3ad/anomaly/calibration.hpp"
#include "d3ad/anomaly/score.hpp"
#include "d3ad/backend/ops.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/data/image.hpp"
#include "d3ad/methods/d3ad/method.hpp"
#include "d3ad/methods/tile_analysis.hpp"
#include "d3ad/model/model_folder.hpp"

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
  Detector(
      Context<Device>& ctx, const std::filesystem::path& folder,
      const std::function<void(Settings&)>& change = [](Settings&) {});

  const std::filesystem::path& folder() const { return folder_.path(); }
  const ModelConfig& config() const { return config_; }
  const Settings& settings() const { return config_.settings; }
  const anomaly::Calibration& calibration() const { return calibration_; }
  const ImplicitConditioning& conditioning() const { return conditioning_->host(); }
  const ConditioningOn<Device>& conditioning_on_device() const { return *conditioning_; }
  int image_size() const { return config_.settings.data.image_size; }
  // How images are cut for this model: tiling().on() where it is one of tiles.
  Tiling tiling() const { return d3ad::tiling(config_.settings); }
  // How many tiles are computed together, and who hears of them (before each batch; it may throw to stop).
  void set_tiles(int batch, std::function<void(int done, int total)> progress);
  // What pictures of maps show brightest: twice the calibrated threshold, one scale for all images.
  float brightest() const { return brightest_; }
  // Another threshold than the calibration's; the scale of pictures stays.
  void set_threshold(float threshold) { calibration_.threshold = threshold; }

  // inputs: each [size x size x 3] in [-1, 1] (data/resize.hpp's to_input). first: the first one's number.
  std::vector<Detection> operator()(const std::vector<std::vector<float>>& inputs, std::uint64_t first = 0);
  // photos: as they were decoded, of any sizes, RGB. The same numbers as those of to_input(photo, size), or of tiles.
  std::vector<Detection> operator()(const std::vector<Image>& photos, std::uint64_t first = 0);
  Detection operator()(const Image& photo) { return std::move((*this)(std::vector{photo}).front()); }
  // As tiling().frame(photo) or a loader made them.
  std::vector<Detection> operator()(std::vector<Frame> frames, std::uint64_t first = 0);
  Detection operator()(std::vector<float> input);

  // Launches what computes a batch. inputs and first: as above.
  void begin(std::vector<std::vector<float>> inputs, std::uint64_t first = 0);
  // The same of frames. Those of a model of tiles are computed here and now, one after the other.
  void begin(std::vector<Frame> frames, std::uint64_t first = 0);
  // The results of the batch that was begun first of those under way. Waits for them.
  std::vector<Detection> finish();
  // Forgets the batches under way.
  void abandon() { under_way_.clear(); }

  // The networks and settings at work, and the context they work on.
  Method<Device> method() const { return {*vae_, *unet_, *extractor_, schedule_, config_.settings, &loop_}; }
  Context<Device>& context() const { return ctx_; }

  // The inputs on the device, [n, size, size, 3].
  Value<float, Device> upload(const std::vector<std::vector<float>>& inputs) const;
  // The same of photographs, whose bytes go to the device and are resized there.
  Value<float, Device> upload(const std::vector<Image>& photos) const;
  // One image of a map on the host, [size x size x channels].
  static std::vector<float> host(const Value<float, Device>& value, std::size_t image);

  // The anomaly map of a detection under other ranges (the paper's protocol), [height x width].
  std::vector<float> map_with(const anomaly::MapPair& raw, const anomaly::Ranges& ranges);

 private:
  // A batch whose results are not taken yet.
  struct Batch {
    StagingPlace<Device>* place = nullptr;
    std::vector<std::vector<float>> inputs;
    std::vector<Detection> found = {};  // of tiles, which are computed as the batch is begun
  };
  // Numbers of an image's results, which come one after the other: of all images the score and the distance, then the
  // map, the raw maps and the reconstruction.
  static constexpr std::int64_t kMaps = 3;
  std::int64_t pixels() const { return std::int64_t{image_size()} * image_size(); }
  std::int64_t input_numbers() const { return 3 * pixels(); }
  std::int64_t result_numbers() const { return 2 + (kMaps + 3) * pixels(); }

  void check_whole() const;
  static Shape check_photo(const Image& photo);
  void check_idle() const;
  void check_room() const;
  void check_inputs(const std::vector<std::vector<float>>& inputs) const;

  // All places grow with the first of a size: then nothing is allocated at the second.
  StagingPlace<Device>& next_place(std::int64_t inputs, std::int64_t count);

  // x on the device, inputs the same numbers on the host.
  void launch(StagingPlace<Device>& place, Value<float, Device> x, std::vector<std::vector<float>> inputs,
              std::uint64_t first);
  void compute(StagingPlace<Device>& place, Value<float, Device> x, std::uint64_t first);
  // found: what compute() wrote.
  std::vector<Detection> results_of(const float* found, std::vector<std::vector<float>> inputs) const;

  // number: the image's.
  Detection detect_tiles(Frame frame, std::uint64_t number);

  Context<Device>& ctx_;
  ModelFolder folder_;
  ModelConfig config_;
  Schedule schedule_;
  Loaded<Autoencoder<Device>, Device> vae_;
  Loaded<UNet<Device>, Device> unet_;
  Loaded<ResNet<Device>, Device> extractor_;
  std::optional<ConditioningOn<Device>> conditioning_;
  anomaly::Calibration calibration_;
  float brightest_ = 0;
  TileOptions tiles_;
  mutable DenoiseLoop<Device> loop_;  // as the arena: what is kept from call to call
  std::array<StagingPlace<Device>, 1 + kBatchesAhead<Device>> places_;
  std::deque<Batch> under_way_;
  std::size_t turn_ = 0;
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/pipeline/detector-inl.hpp"
#endif
