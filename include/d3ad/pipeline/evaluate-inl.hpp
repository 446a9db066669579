#pragma once
// Definitions of pipeline/evaluate.hpp. Included by it unless they are compiled.

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "d3ad/data/image_loader.hpp"
#include "d3ad/model/settings_json.hpp"
#include "d3ad/parallel/packet.hpp"
#include "d3ad/pipeline/baselines.hpp"
#include "d3ad/pipeline/evaluate.hpp"
#include "d3ad/pipeline/for_each_detection.hpp"
#include "d3ad/pipeline/test_image.hpp"

namespace d3ad {

D3AD_INLINE VerdictCounts count_verdicts(const std::vector<ImageRow>& images) {
  VerdictCounts c;
  for (const auto& i : images) {
    ++(i.anomalous ? c.faulty : c.good);
    (i.anomalous ? c.found : c.alarms) += i.faulty;
  }
  return c;
}

}  // namespace d3ad

namespace d3ad::detail {

// What one process has computed of an image, on its way to rank 0.
struct TestResult {
  std::size_t index = 0;  // in the test set
  Detection detection;
  std::vector<std::uint8_t> mask;
  bool has_pixels = false;
  std::vector<std::vector<float>> others;  // the baselines' anomaly maps
};

inline void put(parallel::Packet& p, const TestResult& r) {
  p.put(static_cast<std::uint64_t>(r.index));
  d3ad::put(p, r.detection);
  p.put(r.mask), p.put(r.has_pixels), p.put(static_cast<std::uint64_t>(r.others.size()));
  for (const auto& map : r.others) p.put(map);
}

inline TestResult get_test_result(parallel::PacketReader& p, const MethodInfo& info) {
  TestResult r;
  std::uint64_t index = 0, others = 0;
  p.get(index);
  r.index = static_cast<std::size_t>(index);
  r.detection = get_detection(p, info);
  p.get(r.mask), p.get(r.has_pixels), p.get(others);
  for (std::uint64_t i = 0; i < others; ++i) p.get(r.others.emplace_back());
  return r;
}

// The anomaly maps of a method on frames, on the host.
template <class Device>
std::vector<std::vector<float>> maps_of(Detector<Device>& detector, Method<Device>& method,
                                        const std::vector<Frame>& frames) {
  auto& ctx = detector.context();
  const auto found = method.analyse(ctx, detector.upload(frames), {});
  const auto map = method.anomaly_map(ctx, found.maps, anomaly::ranges_of(anomaly::to_host(found.maps)));
  std::vector<std::vector<float>> out;
  for (std::size_t i = 0; i < frames.size(); ++i) out.push_back(detector.host(map, i));
  return out;
}

// Adds the rows of one method under one protocol to a result: the whole category, then each defect.
// maps: of the result's images.
inline void add_rows(EvaluationResult& result, const Dataset& dataset, const std::string& method,
                     const std::string& protocol, const std::vector<LabelledMap>& maps) {
  std::set<std::string> defects;
  for (const auto& image : result.images)
    if (image.anomalous) defects.insert(image.defect);
  const auto add = [&](const std::string& defect) {
    std::vector<const LabelledMap*> set;
    for (std::size_t i = 0; i < maps.size(); ++i)
      if (defect == "all" || !maps[i].anomalous || result.images[i].defect == defect) set.push_back(&maps[i]);
    CurveRow curves{.method = method, .protocol = protocol, .image_roc = {}, .pixel_roc = {}, .pro = {}};
    auto row = metric_row(set, defect == "all" ? &curves : nullptr);
    if (defect == "all") result.curves.push_back(std::move(curves));
    row.category = dataset.category, row.defect = defect, row.method = method, row.protocol = protocol;
    result.rows.push_back(std::move(row));
  };
  add("all");
  for (const auto& defect : defects) add(defect);
}

}  // namespace d3ad::detail

namespace d3ad {

template <class Device>
EvaluationResult evaluate(Detector<Device>& detector, const Dataset& dataset, const EvaluationOptions& options) {
  D3AD_CHECK(!dataset.test.empty(), "evaluate: category '", dataset.category,
             "' has no test images (test/good, test/DEFECT)");
  Group& group = *options.group;
  std::string listed = concat(nlohmann::json(detector.settings()).dump(), ' ', options.batch, ' ', options.baselines);
  for (const auto& s : dataset.test) listed += '\n' + s.image.string();
  group.agree(listed, "settings, options or test images");
  const Tiling tiling = detector.tiling();
  D3AD_CHECK(!options.baselines || !tiling.on(),
             "evaluate: the baselines compare whole images, and this model looks at tiles; leave them out");
  const MethodInfo& info = detector.method().info();
  EvaluationResult out;
  out.attributes = info.attributes;
  std::vector<std::unique_ptr<Method<Device>>> others;
  if (options.baselines) others = baselines(detector, dataset.train, out.skipped);

  const auto batch = static_cast<int>(images_together(tiling, options.batch));
  const auto share = share_test(group, dataset.test, tiling, batch);
  for (const auto& error : share.errors)
    if (!error.empty()) out.skipped.push_back(error);
  std::vector<std::filesystem::path> paths;
  for (const std::size_t i : share.own) paths.push_back(dataset.test[i].image);
  ImageLoader loader(paths, tiling);

  std::vector<detail::TestResult> results;                // rank 0: of all
  std::vector<detail::TestResult> own(share.own.size());  // this process's, while they are computed
  const auto processes = static_cast<std::size_t>(group.size());
  const DetectionLoop loop{.batch = batch,
                           .rounds = processes > 1 ? share.rounds : 0,
                           .number =
                               [&](std::size_t round) {
                                 return (round * processes + static_cast<std::size_t>(group.rank())) *
                                        static_cast<std::size_t>(batch);
                               },
                           .before =
                               [&] {
                                 if (group.any(options.stop()))
                                   throw Interrupted("evaluate: stopped; nothing was written");
                               }};
  const auto take = [&](std::size_t i, ImageLoader::Item item) -> std::optional<Frame> {
    auto image = test_image(dataset.test[share.own[i]], std::move(item));
    if (!image.error.empty()) {
      D3AD_CHECK(processes == 1, image.error, "; a moment ago it could be read");
      out.skipped.push_back(image.error);
      return std::nullopt;
    }
    own[i] = {share.own[i], {}, std::move(image.mask), image.has_pixels, {}};
    return std::move(image.frame);
  };
  // Gathers what all have found in a round.
  const auto found = [&](const std::vector<std::size_t>& images, std::vector<Detection> detections) {
    std::vector<Frame> frames;  // once more for the baselines
    for (const auto& d : detections)
      if (!others.empty()) frames.push_back({d.width, d.height, d.input});
    for (auto& other : others) {
      if (images.empty()) continue;
      auto maps = detail::maps_of(detector, *other, frames);
      for (std::size_t k = 0; k < images.size(); ++k) own[images[k]].others.push_back(std::move(maps[k]));
    }
    parallel::Packet packet;
    for (std::size_t k = 0; k < images.size(); ++k) {
      auto one = std::move(own[images[k]]);
      one.detection = std::move(detections[k]);
      put(packet, one);
    }
    for (const auto& bytes : group.gather(std::move(packet).bytes()))
      for (parallel::PacketReader reader(bytes); !reader.done();) {
        auto& one = results.emplace_back(detail::get_test_result(reader, info));
        options.each(dataset.test[one.index], one.detection);
        one.detection.input = {}, one.detection.reconstruction = {};
      }
    const std::size_t loaded = images.empty() ? share.own.size() : images.back() + 1;
    options.progress(static_cast<std::int64_t>(std::min(loaded * processes, dataset.test.size())),
                     static_cast<std::int64_t>(dataset.test.size()));
  };
  for_each_detection(detector, loader, share.own.size(), loop, take, found);
  if (!group.first()) return {};
  D3AD_CHECK(!results.empty(), "evaluate: none of the ", dataset.test.size(), " test images of '", dataset.category,
             "' could be read; the first: ", out.skipped.front());

  std::vector<anomaly::RawMaps> raw;
  std::vector<LabelledMap> maps;  // under one protocol after the other
  for (auto& one : results) {
    const Sample& sample = dataset.test[one.index];
    const Detection& d = one.detection;
    out.images.push_back(
        {sample.image.string(), sample.defect, sample.anomalous(), d.faulty, d.attributes.values, d.score, 0.0f});
    maps.push_back({sample.anomalous(), 0, {}, std::move(one.mask), one.has_pixels, d.height, d.width});
    raw.push_back(std::move(one.detection.raw));
  }
  const auto ranges = anomaly::ranges_of(raw);
  for (const std::string protocol : kProtocols) {
    const bool paper = protocol == "paper";
    for (std::size_t i = 0; i < maps.size(); ++i) {
      maps[i].map = paper ? detector.map_with(raw[i], ranges) : std::move(results[i].detection.map);
      maps[i].score = score_of(info, raw[i], maps[i].map);
      if (paper) out.images[i].paper_score = maps[i].score;
    }
    detail::add_rows(out, dataset, info.name, protocol, maps);
  }
  for (std::size_t k = 0; k < others.size(); ++k) {
    for (std::size_t i = 0; i < maps.size(); ++i) {
      maps[i].map = std::move(results[i].others[k]);
      maps[i].score = *std::max_element(maps[i].map.begin(), maps[i].map.end());
    }
    detail::add_rows(out, dataset, others[k]->info().name, "paper", maps);
  }
  return out;
}

}  // namespace d3ad
