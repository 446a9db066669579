#pragma once
// Definitions of pipeline/evaluate.hpp. Included by it unless they are compiled.

#include <nlohmann/json.hpp>

#include "d3ad/model/settings_json.hpp"
#include "d3ad/pipeline/evaluate.hpp"

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

D3AD_INLINE MetricRow metric_row(const std::vector<const Judged*>& set, CurveRow* curves) {
  MetricRow row;
  row.images = static_cast<int>(set.size());
  anomaly::Ranking images;
  anomaly::PixelScores pixels;
  bool any_mask = false;
  for (const auto* j : set) {
    images.add(j->score, j->row->anomalous);
    if (!j->pixels) continue;
    any_mask = any_mask || !j->mask.empty();
    pixels.add(j->map, j->mask, j->height, j->width);
  }
  images.sort();
  const auto image = anomaly::rank_metrics(images);
  if (curves) {
    curves->image_roc = anomaly::roc_curve(images);
    if (any_mask) curves->pixel_roc = pixels.roc_curve(), curves->pro = pixels.pro_curve();
  }
  row.i_auroc = image.auroc, row.i_ap = image.average_precision, row.i_f1max = image.f1_max;
  if (!any_mask) return row;
  const auto pixel = pixels.metrics();
  row.p_auroc = pixel.rank.auroc, row.p_ap = pixel.rank.average_precision, row.p_f1max = pixel.rank.f1_max;
  row.pro = pixel.pro_200, row.aupro = pixel.aupro;
  return row;
}

// Adds the images that can be read; what is wrong with the others goes to `errors`.
inline void add_readable(MeanImage& mean, const std::vector<Sample>& samples, std::vector<std::string>& errors) {
  std::vector<std::filesystem::path> paths;
  for (const auto& s : samples) paths.push_back(s.image);
  ImageLoader loader(paths, mean.size());
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const auto item = loader.next();
    if (item.error.empty())
      mean.add(item.pixels);
    else
      errors.push_back(item.error);
  }
}

// A test image as it was read; `error`: why it cannot be used.
struct TestImage {
  Frame frame;
  std::vector<std::uint8_t> mask;
  bool has_pixels = false;  // counts for pixels
  std::string error;
};

inline TestImage test_image(const Sample& sample, ImageLoader::Item item) {
  TestImage out{.frame = {}, .mask = {}, .has_pixels = !sample.anomalous(), .error = std::move(item.error)};
  if (!out.error.empty()) return out;
  out.frame = {item.frame_width, item.frame_height, std::move(item.pixels)};
  if (!sample.mask) return out;
  try {
    const Image picture = sample_mask(sample);
    D3AD_CHECK(picture.width == item.width && picture.height == item.height, "mask '", sample.mask->string(), "' is ",
               picture.width, " x ", picture.height, ", its image ", item.width, " x ", item.height);
    out.mask = to_mask(picture, out.frame.width, out.frame.height);
    out.has_pixels = true;
  } catch (const Error& error) {
    out.error = error.what();
  }
  return out;
}

// Which test images this process computes, and which cannot be read. Processes take turns in computing whole batches of
// images that can be read, so each batch is what it is in one process; several have to know first which these are, and
// share in finding out.
struct TestShare {
  std::vector<std::size_t> own;     // of the test set
  std::vector<std::string> errors;  // of each image of the test set; where there is one process: not known yet
  std::size_t rounds = 0;           // in which each process computes a batch, or none in the last
};

inline TestShare share_test(Group& group, const std::vector<Sample>& test, const Tiling& tiling, int batch) {
  TestShare share;
  const auto processes = static_cast<std::size_t>(group.size()), rank = static_cast<std::size_t>(group.rank());
  if (processes > 1) {
    std::vector<std::filesystem::path> paths;
    for (std::size_t i = rank; i < test.size(); i += processes) paths.push_back(test[i].image);
    ImageLoader loader(paths, tiling);
    parallel::Packet packet;
    for (std::size_t i = rank; i < test.size(); i += processes) packet.put(test_image(test[i], loader.next()).error);
    const auto all = group.all_gather(std::move(packet).bytes());
    std::vector<parallel::PacketReader> readers(all.begin(), all.end());
    share.errors.resize(test.size());
    for (std::size_t i = 0; i < test.size(); ++i) readers[i % processes].get(share.errors[i]);
  }
  std::size_t place = 0;
  for (std::size_t i = 0; i < test.size(); ++i) {
    if (!share.errors.empty() && !share.errors[i].empty()) continue;
    if (place++ / static_cast<std::size_t>(batch) % processes == rank) share.own.push_back(i);
  }
  const std::size_t together = static_cast<std::size_t>(batch) * processes;
  share.rounds = (place + together - 1) / together;
  return share;
}

// What one process found in an image, on its way to rank 0.
struct Found {
  std::size_t index = 0;  // in the test set
  Detection detection;
  std::vector<std::uint8_t> mask;
  bool has_pixels = false;
  std::vector<float> by_mean, by_vae;  // maps of the baselines, where they are asked for
};

inline void put(parallel::Packet& p, const Found& f) {
  const Detection& d = f.detection;
  p.put(static_cast<std::uint64_t>(f.index)), p.put(d.score), p.put(d.faulty);
  p.put(d.conditioning.distance), p.put(d.conditioning.bin), p.put(d.conditioning.T_hat);
  p.put(d.map), anomaly::put(p, d.raw), p.put(d.input), p.put(d.reconstruction);
  p.put(f.mask), p.put(f.has_pixels), p.put(f.by_mean), p.put(f.by_vae);
  p.put(d.width), p.put(d.height), p.put(static_cast<std::uint64_t>(d.tiles.size()));
  for (const auto& t : d.tiles) {
    p.put(t.x), p.put(t.y);
    p.put(t.conditioning.distance), p.put(t.conditioning.bin), p.put(t.conditioning.T_hat);
  }
}

inline Found get_found(parallel::PacketReader& p) {
  Found f;
  Detection& d = f.detection;
  std::uint64_t index = 0;
  p.get(index), p.get(d.score), p.get(d.faulty);
  f.index = static_cast<std::size_t>(index);
  p.get(d.conditioning.distance), p.get(d.conditioning.bin), p.get(d.conditioning.T_hat);
  p.get(d.map), d.raw = anomaly::get_map_pair(p), p.get(d.input), p.get(d.reconstruction);
  p.get(f.mask), p.get(f.has_pixels), p.get(f.by_mean), p.get(f.by_vae);
  std::uint64_t tiles = 0;
  p.get(d.width), p.get(d.height), p.get(tiles);
  for (std::uint64_t i = 0; i < tiles; ++i) {
    auto& t = d.tiles.emplace_back();
    p.get(t.x), p.get(t.y);
    p.get(t.conditioning.distance), p.get(t.conditioning.bin), p.get(t.conditioning.T_hat);
  }
  return f;
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
  EvaluationResult out;
  const Tiling tiling = detector.tiling();
  D3AD_CHECK(!options.baselines || !tiling.on(),
             "evaluate: the baselines compare whole images, and this model looks at tiles; leave them out");
  std::vector<anomaly::MapPair> raw;
  std::map<std::string, std::vector<std::vector<float>>> maps;  // by protocol; the paper's are made at the end
  std::vector<std::vector<std::uint8_t>> masks;
  std::vector<bool> has_pixels;
  MeanImage mean(tiling.size());
  if (options.baselines) detail::add_readable(mean, dataset.train, out.skipped);

  const int together = tiling.on() ? 1 : options.batch;
  const auto share = detail::share_test(group, dataset.test, tiling, together);
  for (const auto& error : share.errors)
    if (!error.empty()) out.skipped.push_back(error);
  std::vector<std::filesystem::path> paths;
  for (const std::size_t i : share.own) paths.push_back(dataset.test[i].image);
  ImageLoader loader(paths, tiling);
  const std::size_t total = dataset.test.size(), batch = static_cast<std::size_t>(together),
                    processes = static_cast<std::size_t>(group.size());
  std::size_t loaded = 0, round = 0;
  std::vector<detail::Found> own;
  std::vector<Frame> frames;
  // Rounds of which this process's batch was begun, whatever is in it.
  struct Round {
    std::vector<detail::Found> own;
    std::size_t loaded;
  };
  std::deque<Round> under_way;
  struct Abandon {  // where this is left by an error
    Detector<Device>& detector;
    ~Abandon() { detector.abandon(); }
  } const abandon{detector};
  const auto begin = [&] {
    if (group.any(options.stop())) throw Interrupted("evaluate: stopped; nothing was written");
    if (!frames.empty()) {
      if (options.baselines) {
        auto& ctx = detector.context();
        std::vector<std::vector<float>> inputs;
        for (const auto& frame : frames) inputs.push_back(frame.pixels);
        const auto x = detector.upload(inputs);
        const auto by_mean = mean_image_map(ctx, mean, x, static_cast<float>(detector.settings().map.sigma));
        const auto by_vae = vae_only_map(ctx, detector.method(), x);
        for (std::size_t i = 0; i < frames.size(); ++i)
          own[i].by_mean = detector.host(by_mean, i), own[i].by_vae = detector.host(by_vae, i);
      }
      detector.begin(std::move(frames), (round * processes + static_cast<std::size_t>(group.rank())) * batch);
    }
    ++round;
    under_way.push_back({std::move(own), loaded});
    own.clear();
    frames.clear();
  };
  // Gathers what all have found in the oldest round.
  const auto finish = [&] {
    Round done = std::move(under_way.front());
    under_way.pop_front();
    parallel::Packet packet;
    if (!done.own.empty()) {
      auto found = detector.finish();
      for (std::size_t i = 0; i < found.size(); ++i) {
        done.own[i].detection = std::move(found[i]);
        put(packet, done.own[i]);
      }
    }
    for (const auto& bytes : group.gather(std::move(packet).bytes()))
      for (parallel::PacketReader reader(bytes); !reader.done();) {
        auto f = detail::get_found(reader);
        const Sample& sample = dataset.test[f.index];
        Detection& d = f.detection;
        options.each(sample, d);
        out.images.push_back(
            {sample.image.string(), sample.defect, sample.anomalous(), d.faulty, d.conditioning.T_hat, d.score, 0.0f});
        maps["calibrated"].push_back(std::move(d.map));
        raw.push_back(std::move(d.raw));
        masks.push_back(std::move(f.mask));
        has_pixels.push_back(f.has_pixels);
        if (!options.baselines) continue;
        maps["baseline_mean_image"].push_back(std::move(f.by_mean));
        maps["baseline_vae"].push_back(std::move(f.by_vae));
      }
    options.progress(static_cast<std::int64_t>(std::min(done.loaded * processes, total)),
                     static_cast<std::int64_t>(total));
  };
  const auto run = [&] {
    begin();
    while (under_way.size() > kBatchesAhead<Device>) finish();
  };
  for (const std::size_t i : share.own) {
    auto image = detail::test_image(dataset.test[i], loader.next());
    ++loaded;
    if (!image.error.empty()) {
      D3AD_CHECK(processes == 1, image.error, "; a moment ago it could be read");
      out.skipped.push_back(image.error);
      continue;
    }
    frames.push_back(std::move(image.frame));
    own.push_back({i, {}, std::move(image.mask), image.has_pixels, {}, {}});
    if (frames.size() == batch) run();
  }
  if (!frames.empty()) run();
  while (processes > 1 && round < share.rounds) run();  // the last one, where this process has no part in it
  while (!under_way.empty()) finish();
  if (!group.first()) return {};
  D3AD_CHECK(!out.images.empty(), "evaluate: none of the ", dataset.test.size(), " test images of '", dataset.category,
             "' could be read; the first: ", out.skipped.front());

  const auto ranges = anomaly::ranges_of(raw);
  for (const auto& pair : raw) maps["paper"].push_back(detector.map_with(pair, ranges));
  for (const char* protocol : kProtocols) {
    if (!maps.count(protocol)) continue;
    const bool paper = std::string(protocol) == "paper";
    std::vector<detail::Judged> judged;
    std::set<std::string> defects;
    for (std::size_t i = 0; i < out.images.size(); ++i) {
      ImageRow& row = out.images[i];
      auto& map = maps[protocol][i];
      const float score = *std::max_element(map.begin(), map.end());
      if (paper) row.paper_score = score;
      judged.push_back({&row, score, std::move(map), masks[i], has_pixels[i], raw[i].h, raw[i].w});
      if (row.anomalous) defects.insert(row.defect);
    }
    const auto add = [&](const std::string& defect) {
      std::vector<const detail::Judged*> set;
      for (const auto& j : judged)
        if (defect == "all" || !j.row->anomalous || j.row->defect == defect) set.push_back(&j);
      CurveRow curves{.protocol = protocol, .image_roc = {}, .pixel_roc = {}, .pro = {}};
      auto row = detail::metric_row(set, defect == "all" ? &curves : nullptr);
      if (defect == "all") out.curves.push_back(std::move(curves));
      row.category = dataset.category, row.defect = defect, row.protocol = protocol;
      out.rows.push_back(std::move(row));
    };
    add("all");
    for (const auto& defect : defects) add(defect);
  }
  return out;
}

D3AD_INLINE std::vector<MetricRow> mean_rows(const std::vector<MetricRow>& rows) {
  std::vector<MetricRow> out;
  for (const char* protocol : kProtocols) {
    MetricRow mean;
    mean.category = "mean", mean.defect = "all", mean.protocol = protocol;
    bool any = false;
    for (const Metric& metric : kMetrics) {
      double sum = 0;
      int count = 0;
      for (const auto& r : rows)
        if (r.defect == "all" && r.protocol == protocol && std::isfinite(r.*metric.value))
          sum += r.*metric.value, ++count;
      if (count) mean.*metric.value = sum / count;
    }
    for (const auto& r : rows)
      if (r.defect == "all" && r.protocol == protocol) mean.images += r.images, any = true;
    if (any) out.push_back(mean);
  }
  return out;
}

}  // namespace d3ad
