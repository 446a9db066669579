#pragma once
// A detector over files: the next batch is loaded and sent while one is computed and another one's results come back.
//
//   ImageLoader loader(paths, detector.tiling());
//   for_each_detection(detector, loader, paths.size(), {.batch = 4},
//                      [&](std::size_t i, ImageLoader::Item item) -> std::optional<Frame> { ... },   // none: left out
//                      [&](const std::vector<std::size_t>& images, std::vector<Detection> found) { ... });
//
// The one loop over detections: detect, evaluate and whatever else looks at many images go through it.

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "d3ad/data/image_loader.hpp"
#include "d3ad/pipeline/detector.hpp"

namespace d3ad {

struct DetectionLoop {
  int batch = 4;           // images computed together; an image of tiles is a batch by itself
  std::size_t rounds = 0;  // batches to begin at least, empty ones at the end, as many as other processes have
  // The number of the first image of batch i, which random draws depend on. By default i times the batch size.
  std::function<std::uint64_t(std::size_t batch)> number = {};
  std::function<void()> before = [] {};  // before each batch is begun; may throw to stop
};

inline std::size_t images_together(const Tiling& tiling, int batch) {
  return tiling.on() ? 1 : static_cast<std::size_t>(batch);
}

// count: images of the loader. take(i, item): the frame to look at, or nothing. found(images, detections): of each
// batch in order, both empty for an empty one. If anything throws, the detector forgets the batches under way.
template <class Device, class Take, class Found>
void for_each_detection(Detector<Device>& detector, ImageLoader& loader, std::size_t count,
                        const DetectionLoop& options, Take&& take, Found&& found) {
  struct Abandon {
    Detector<Device>& detector;
    ~Abandon() { detector.abandon(); }
  } const abandon{detector};
  const std::size_t batch = images_together(detector.tiling(), options.batch);
  std::deque<std::vector<std::size_t>> under_way;  // images of the batches that were begun
  std::vector<std::size_t> images;
  std::vector<Frame> frames;
  std::size_t begun = 0;
  const auto finish = [&] {
    std::vector<std::size_t> of = std::move(under_way.front());
    under_way.pop_front();
    auto detections = of.empty() ? std::vector<Detection>() : detector.finish();
    found(of, std::move(detections));
  };
  const auto begin = [&] {
    options.before();
    if (!frames.empty())
      detector.begin(std::move(frames), options.number ? options.number(begun) : std::uint64_t{begun} * batch);
    ++begun;
    under_way.push_back(std::move(images));
    frames.clear(), images.clear();
    while (under_way.size() > kBatchesAhead<Device>) finish();
  };
  for (std::size_t i = 0; i < count; ++i) {
    auto frame = take(i, loader.next());
    if (!frame) continue;
    frames.push_back(std::move(*frame));
    images.push_back(i);
    if (frames.size() == batch) begin();
  }
  if (!frames.empty()) begin();
  while (begun < options.rounds) begin();
  while (!under_way.empty()) finish();
}

}  // namespace d3ad
