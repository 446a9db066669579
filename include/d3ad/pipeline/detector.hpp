#pragma once
// A trained model at work: is this image faulty, and where?
//
//   Context<Cpu> ctx;
//   Detector<Cpu> detector(ctx, "models/cookie");
//   const Detection d = detector(read_image("photo.jpg"));
//   const auto found = detector(std::vector{read_image("a.jpg"), read_image("b.jpg")});    resized on the device
//   d.score, d.faulty, d.map (d.height x d.width), d.attributes.at("T_hat")                pipeline/detection.hpp
//
// The map is image_size x image_size, of the whole image squeezed into that square; if the model was trained with tiles
// (DataSettings::tile), it has the image's form, at the resolution the tiles were seen in (data/tile.hpp).
//
// Batch after batch, where a device copies one to itself and another one's results back while it computes a third
// (pipeline/for_each_detection.hpp does this over files):
//
//   detector.begin(frames);                            // launched; kBatchesAhead more may be begun before
//   for (const Detection& d : detector.finish()) ...   // the results of the oldest one are taken
//
// Ranges and threshold are the model's calibration, learned on good images; a single image is enough. An image gets the
// same score alone and in a batch (to the rounding of the libraries underneath). Which method is at work (method()) is
// the model's.

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "d3ad/anomaly/calibration.hpp"
#include "d3ad/backend/ops.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/data/image.hpp"
#include "d3ad/methods/registry.hpp"
#include "d3ad/methods/tiles.hpp"
#include "d3ad/model/model_folder.hpp"
#include "d3ad/pipeline/detection.hpp"

namespace d3ad {

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
  const anomaly::Ranges& ranges() const { return ranges_; }  // the calibration's, in the order of the method's maps
  Method<Device>& method() const { return *method_; }
  Context<Device>& context() const { return ctx_; }
  int image_size() const { return config_.settings.data.image_size; }
  // How images are cut for this model: tiling().on() if it is one of tiles.
  Tiling tiling() const { return d3ad::tiling(config_.settings); }
  // How many tiles are computed together, and who hears of them (before each batch; it may throw to stop).
  void set_tiles(int batch, std::function<void(int done, int total)> progress);
  // What pictures of maps show brightest: twice the calibrated threshold, one scale for all images.
  float brightest() const { return brightest_; }
  // Another threshold than the calibration's; the scale of pictures stays.
  void set_threshold(float threshold) { calibration_.threshold = threshold; }

  // photos: as they were decoded, of any sizes, RGB. first: the first one's number, which random draws depend on.
  std::vector<Detection> operator()(const std::vector<Image>& photos, std::uint64_t first = 0);
  Detection operator()(const Image& photo) { return std::move((*this)(std::vector{photo}).front()); }
  // As tiling().frame(photo) or a loader made them; the same numbers as those of the photographs.
  std::vector<Detection> operator()(std::vector<Frame> frames, std::uint64_t first = 0);

  // Launches what computes a batch. Frames of a model of tiles are computed here and now, one after the other.
  void begin(std::vector<Frame> frames, std::uint64_t first = 0);
  // The results of the batch that was begun first of those under way. Waits for them.
  std::vector<Detection> finish();
  // Forgets the batches under way.
  void abandon() { under_way_.clear(); }

  // Square frames on the device, [n, size, size, 3].
  Value<float, Device> upload(const std::vector<Frame>& frames) const;
  // The same of photographs, whose bytes go to the device and are resized there.
  Value<float, Device> upload(const std::vector<Image>& photos) const;
  // One image of a map on the host, [size x size x channels].
  static std::vector<float> host(const Value<float, Device>& value, std::size_t image);

  // The anomaly map of a detection under other ranges (the paper's protocol), [height x width].
  std::vector<float> map_with(const anomaly::RawMaps& raw, const anomaly::Ranges& ranges) {
    return map_of(ctx_, *method_, raw, ranges);
  }

 private:
  // Where the results of a batch of n images lie, one kind after the other; numbers from the start.
  struct ResultLayout {
    std::int64_t images, pixels, measured;
    std::int64_t maps;  // raw ones
    bool reconstructs;

    std::int64_t scores() const { return 0; }
    std::int64_t measurements() const { return images; }
    std::int64_t map() const { return measurements() + images * measured; }
    std::int64_t raw(std::int64_t kind) const { return map() + (1 + kind) * images * pixels; }
    std::int64_t reconstructions() const { return raw(maps); }
    std::int64_t numbers() const { return reconstructions() + (reconstructs ? 3 * images * pixels : 0); }
  };
  // A batch whose results are not taken yet.
  struct Batch {
    StagingPlace<Device>* place = nullptr;
    std::vector<std::vector<float>> inputs;
    std::vector<Detection> found = {};  // of tiles, which are computed as the batch is begun
  };
  std::int64_t pixels() const { return std::int64_t{image_size()} * image_size(); }
  ResultLayout layout(std::int64_t images) const {
    const MethodInfo& info = method_->info();
    return {images, pixels(), static_cast<std::int64_t>(method_->measured()),
            static_cast<std::int64_t>(info.maps.size()), info.reconstructs};
  }

  void open_networks();
  void check_whole() const;
  static Shape check_photo(const Image& photo);
  void check_idle() const;
  void check_room() const;
  void check_squares(const std::vector<Frame>& frames) const;

  // All places grow with the first of a size: then nothing is allocated at the second.
  StagingPlace<Device>& next_place(std::int64_t inputs, std::int64_t count);

  // x on the device, inputs the same numbers on the host.
  void launch(StagingPlace<Device>& place, Value<float, Device> x, std::vector<std::vector<float>> inputs,
              std::uint64_t first);
  void compute(StagingPlace<Device>& place, Value<float, Device> x, std::uint64_t first);
  // results: what compute() wrote.
  std::vector<Detection> results_of(const float* results, std::vector<std::vector<float>> inputs) const;

  // number: the image's.
  Detection detect_tiles(Frame frame, std::uint64_t number);

  Context<Device>& ctx_;
  ModelFolder folder_;
  ModelConfig config_;
  std::unique_ptr<Method<Device>> method_;
  anomaly::Calibration calibration_;
  anomaly::Ranges ranges_;
  float brightest_ = 0;
  TileOptions tiles_;
  std::array<StagingPlace<Device>, 1 + kBatchesAhead<Device>> places_;
  std::deque<Batch> under_way_;
  std::size_t turn_ = 0;
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/pipeline/detector-inl.hpp"
#endif
