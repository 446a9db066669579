#pragma once
// Ablation: a model judged on a test set with its options changed, one by one and together, each stage's result
// computed once for all points that share it.
//
//   const AblationGrid grid({"eta2=0,4,7", "lambda=0.5:1:0.05"});
//   Ablation<Cpu> ablation(ctx, {.model = "model", .out = "out"}, grid, dataset, events);
//   AblationResult result = ablation.run();          33 points, 3 detections of the test set
//
// A point's metrics are those of evaluate() with its options: bit for bit if they enter at detection, and those of
// evaluate() after d3ad train, adapt or calibrate with them if they enter earlier (grid.hpp's stages).
//
// In `out`: ablation.csv, a row for each finished point and protocol; ablation.svg, the plot (ablate_plot.hpp);
// ablation.json, what a later run with the same model and images need not compute again, whatever its grid; work/,
// models that were made on the way and the maps of the reconstruction at hand. Everything is written as it comes, so
// that a run stopped anywhere goes on there.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/ablation/ablate_maps.hpp"
#include "d3ad/ablation/ablate_models.hpp"
#include "d3ad/ablation/ablate_plot.hpp"
#include "d3ad/ablation/ablate_rows.hpp"
#include "d3ad/core/compiled.hpp"
#include "d3ad/data/table.hpp"
#include "d3ad/pipeline/evaluate.hpp"

namespace d3ad {

struct AblationRequest {
  std::filesystem::path model, out;
  int batch = 4;                  // images computed together
  std::string numbers = "float";  // what is computed with: rows of another precision are not mixed with these
};

template <class Device>
class Ablation {
 public:
  // Throws d3ad::Error if the grid makes no sense for this model, or `out` holds rows of another.
  Ablation(Context<Device>& ctx, AblationRequest request, const AblationGrid& grid, const Dataset& dataset,
           TrainEvents events);

  AblationResult run();

 private:
  using Clock = std::chrono::steady_clock;
  // Points that share a reconstruction.
  struct PointGroup {
    std::string key;
    std::vector<std::size_t> points;
  };

  // What a row of the record belongs to, beside the model: names and bytes of all images and masks.
  std::string checksum_of_images() const;

  void find_groups();

  std::size_t missing(const PointGroup& group) const;

  void say_plan();

  // ---- a group: its model, its maps, its points ----

  void compute(const PointGroup& group);

  // Ways to compare what is reconstructed once: the options of Stage::map of a point, and one point that has them.
  struct Kind {
    std::string options;
    std::size_t point;
  };
  // The place of the point's kind among those of its group; it is added if it is missing.
  std::size_t kind_of(std::vector<Kind>& kinds, std::size_t point) const;

  using Methods = std::vector<std::unique_ptr<Method<Device>>>;
  // The raw maps of all test images, those an earlier run has not left in the store.
  void reconstruct(const AblationPoint& point, const std::vector<Kind>& kinds, MapStore& store);

  void add_whole(const Methods& methods, const std::vector<Frame>& frames, std::size_t first, MapStore& store);
  void add_tiles(const Methods& methods, const Frame& frame, std::size_t first, MapStore& store);

  // The point's rows under both protocols.
  std::vector<AblationRow> judge(const AblationPoint& point, const MapStore& store, std::size_t kind,
                                 const anomaly::Ranges& of_test_set);

  // ---- what is written and said ----

  // All rows of the grid there are by now.
  void write(bool plot);

  void remove_maps(const std::string& but) const;

  void stop_here() const;

  // The options of a point that its reconstruction depends on, if there are several.
  std::string describe(const AblationPoint& point) const;
  // How long all that remains will take at the pace so far, `images` of this group among it; models that are still to
  // be made are not in it.
  std::string left(std::size_t images) const;
  static double seconds_since(Clock::time_point start);

  Context<Device>& ctx_;
  AblationRequest request_;
  const Dataset& dataset_;
  TrainEvents events_;
  AblationModels<Device> models_;
  std::vector<AblationPoint> points_;
  std::vector<std::string> keys_;  // of the points in the record
  FolderLock lock_;
  std::optional<AblationRecord> record_;
  std::vector<PointGroup> groups_;
  std::size_t at_ = 0;  // of groups_: the one at work
  std::optional<Detector<Device>> detector_;
  std::optional<TestSet> test_;
  std::vector<LabelledMap> labelled_;
  AblationResult result_;
  struct {
    double detection = 0, scoring = 0;   // seconds
    std::size_t images = 0, points = 0;  // in these
  } pace_;
};

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/ablation/ablate-inl.hpp"
#endif
