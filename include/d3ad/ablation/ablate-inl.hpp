#pragma once
// Definitions of ablation/ablate.hpp. Included by it unless they are compiled.

#include <nlohmann/json.hpp>

#include "d3ad/ablation/ablate.hpp"
#include "d3ad/core/sha256.hpp"

namespace d3ad {

template <class Device>
Ablation<Device>::Ablation(Context<Device>& ctx, AblationRequest request, const Grid& grid, const Dataset& dataset,
                           TrainEvents events)
    : ctx_(ctx),
      request_(std::move(request)),
      dataset_(dataset),
      events_(std::move(events)),
      models_(ctx, request_.model, request_.out / "work", dataset, events_),
      points_(grid.points(models_.config().settings)) {
  D3AD_CHECK(!dataset_.test.empty(), "ablation: category '", dataset_.category,
             "' has no test images (test/good, test/DEFECT)");
  models_.check(points_);
  for (const auto& point : points_) keys_.push_back(models_.difference(point));
  result_.options = grid.options();
  result_.points = points_.size();
  const nlohmann::json own = models_.config().settings;
  for (const auto& option : grid.options())
    result_.own.push_back(own.contains(option.name) ? Grid::text(own.at(option.name)) : "model");
  create_folders(request_.out);
  lock_ = FolderLock(request_.out, {"work"});
  record_.emplace(request_.out / "ablation.json", nlohmann::json{{"model", file_sha256(request_.model / "config.json")},
                                                                 {"data", checksum_of_images()},
                                                                 {"numbers", request_.numbers}});
}

template <class Device>
AblationResult Ablation<Device>::run() {
  find_groups();
  say_plan();
  write(/*plot=*/true);
  for (; at_ < groups_.size(); ++at_) compute(groups_[at_]);
  remove_maps("");
  result_.skipped = record_->left_out();
  return result_;
}

template <class Device>
std::string Ablation<Device>::checksum_of_images() const {
  Sha256 hash;
  const auto add = [&hash](const std::filesystem::path& path) {
    const MappedFile file(path);
    hash.update(concat(path.filename().string(), ' ', file.size(), '\n'));
    hash.update(file.bytes());
  };
  for (const auto* samples : {&dataset_.train, &dataset_.test})
    for (const auto& s : *samples) {
      hash.update(s.defect);
      add(s.image);
      if (s.mask) add(*s.mask);
    }
  return hash.hex();
}

template <class Device>
void Ablation<Device>::find_groups() {
  groups_.clear(), at_ = 0;
  std::vector<std::string> models, keys;  // in the order of the first point that needs them
  const auto place = [](std::vector<std::string>& all, const std::string& text) {
    const auto found = std::find(all.begin(), all.end(), text);
    if (found != all.end()) return static_cast<std::size_t>(found - all.begin());
    all.push_back(text);
    return all.size() - 1;
  };
  std::vector<std::size_t> model_of;
  for (std::size_t p = 0; p < points_.size(); ++p) {
    const auto key = models_.key(points_[p], Stage::detect);
    const std::size_t group = place(keys, key);
    if (group == groups_.size()) {
      groups_.push_back({key, {}});
      model_of.push_back(place(models, models_.key(points_[p], Stage::calibrate)));
    }
    groups_[group].points.push_back(p);
  }
  // Those of one model after each other.
  std::vector<std::size_t> order(groups_.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return model_of[a] < model_of[b]; });
  std::vector<Group> sorted;
  for (const std::size_t i : order)
    if (missing(groups_[i])) sorted.push_back(std::move(groups_[i]));
  groups_ = std::move(sorted);
}

template <class Device>
std::size_t Ablation<Device>::missing(const Group& group) const {
  return static_cast<std::size_t>(
      std::count_if(group.points.begin(), group.points.end(), [&](std::size_t p) { return !record_->has(keys_[p]); }));
}

template <class Device>
void Ablation<Device>::say_plan() {
  std::size_t to_do = 0;
  for (const auto& group : groups_) to_do += missing(group);
  std::string text = concat(points_.size(), points_.size() == 1 ? " point" : " points");
  if (to_do < points_.size()) text += concat(", ", points_.size() - to_do, " of them done before");
  if (to_do) text += concat("; to do: the test images ", groups_.size(), groups_.size() == 1 ? " time" : " times");
  const std::pair<Stage, const char*> stages[] = {
      {Stage::train, "training"}, {Stage::adapt, "adaptation"}, {Stage::calibrate, "calibration"}};
  for (const auto& [stage, what] : stages) {
    std::set<std::filesystem::path> folders;
    for (const auto& group : groups_) {
      const auto& point = points_[group.points.front()];
      if (models_.changes(point, stage) && !ModelFolder(models_.place(point, stage)).finished())
        folders.insert(models_.place(point, stage));
    }
    if (!folders.empty()) text += concat(", ", folders.size(), ' ', what, folders.size() == 1 ? "" : "s");
  }
  events_.note(text);
}

template <class Device>
void Ablation<Device>::compute(const Group& group) {
  const AblationPoint& first = points_[group.points.front()];
  stop_here();
  const auto folder = models_.folder(first);
  if (!detector_ || folder != detector_->folder() || detector_->settings().weights != first.settings.weights) {
    detector_.reset();
    detector_.emplace(ctx_, folder, [&](Settings& s) { s.weights = first.settings.weights; });
  }
  if (!test_ || test_->tiling() != detector_->tiling()) {
    test_.emplace(dataset_, detector_->tiling());
    judged_ = test_->judged();
    record_->set_left_out(test_->skipped());
  }
  std::vector<std::vector<int>> layers;
  for (const std::size_t p : group.points) kind_of(layers, points_[p]);
  Sha256 hash;
  hash.update(concat(group.key, nlohmann::json(layers).dump(), request_.batch));
  const std::string name = "maps-" + hash.hex().substr(0, 12);
  remove_maps(name);
  MapStore store(request_.out / "work" / name, layers.size());
  reconstruct(first, layers, store);

  std::vector<std::optional<anomaly::Ranges>> ranges(layers.size());
  std::size_t scored = 0;
  events_.progress("score", 0, static_cast<std::int64_t>(group.points.size()), left(0));
  for (const std::size_t p : group.points) {
    const auto start = Clock::now();
    if (!record_->has(keys_[p])) {
      const std::size_t kind = kind_of(layers, points_[p]);
      if (!ranges[kind]) ranges[kind] = store.ranges(kind);
      record_->add(keys_[p], judge(points_[p], store, kind, *ranges[kind]));
    }
    write(/*plot=*/p == group.points.back());
    pace_.scoring += seconds_since(start), ++pace_.points;
    events_.progress("score", static_cast<std::int64_t>(++scored), static_cast<std::int64_t>(group.points.size()),
                     left(0));
  }
  store.remove();
}

template <class Device>
std::size_t Ablation<Device>::kind_of(std::vector<std::vector<int>>& layers, const AblationPoint& point) {
  const auto at = std::find(layers.begin(), layers.end(), point.settings.map.layers);
  const auto kind = static_cast<std::size_t>(at - layers.begin());
  if (at == layers.end()) layers.push_back(point.settings.map.layers);
  return kind;
}

template <class Device>
void Ablation<Device>::reconstruct(const AblationPoint& point, const std::vector<std::vector<int>>& layers,
                                   MapStore& store) {
  // Tiles are computed image by image.
  const auto batch = test_->tiling().on() ? std::size_t{1} : static_cast<std::size_t>(request_.batch);
  // Batches as they are in evaluate(), for the same bits.
  if (store.size() < test_->size()) store.keep(store.size() / batch * batch);
  const auto base = detector_->method();
  std::vector<Settings> settings(layers.size(), point.settings);
  std::vector<Method<Device>> methods;
  for (std::size_t k = 0; k < layers.size(); ++k) {
    settings[k].map.layers = layers[k];
    methods.push_back({base.vae, base.unet, base.extractor, base.schedule, settings[k], base.loop});
  }
  const auto& paths = test_->paths();
  const auto say = [&] {
    events_.progress("detect", static_cast<std::int64_t>(store.size()), static_cast<std::int64_t>(test_->size()),
                     concat(describe(point), left(test_->size() - store.size())));
  };
  if (store.size() < test_->size()) say();
  ImageLoader loader({paths.begin() + static_cast<std::ptrdiff_t>(store.size()), paths.end()}, test_->tiling());
  while (store.size() < test_->size()) {
    stop_here();
    const auto start = Clock::now();
    const std::size_t first = store.size(), count = std::min(batch, test_->size() - first);
    std::vector<Frame> frames;
    for (std::size_t i = 0; i < count; ++i) {
      auto item = loader.next();
      D3AD_CHECK(item.error.empty(), item.error, "; a moment ago it could be read");
      frames.push_back({item.frame_width, item.frame_height, std::move(item.pixels)});
    }
    if (test_->tiling().on())
      add_tiles(methods, frames.front(), first, store);
    else
      add_whole(methods, frames, first, store);
    ctx_.arena.settle();
    result_.reconstructed += count;
    pace_.detection += seconds_since(start), pace_.images += count;
    say();
  }
}

template <class Device>
void Ablation<Device>::add_whole(const std::vector<Method<Device>>& methods, const std::vector<Frame>& frames,
                                 std::size_t first, MapStore& store) {
  std::vector<std::vector<float>> inputs;
  for (const auto& frame : frames) inputs.push_back(frame.pixels);
  const auto x = detector_->upload(inputs);
  const auto seen = methods[0].analyse(ctx_, x, detector_->conditioning_on_device(), first);
  const auto conditioning = methods[0].chosen(detector_->conditioning(), seen);
  std::vector<Value<float, Device>> features{seen.feature_map};
  for (std::size_t k = 1; k < methods.size(); ++k)
    features.push_back(methods[k].feature_difference(ctx_, x, seen.repaired));
  for (std::size_t i = 0; i < frames.size(); ++i) {
    std::vector<std::vector<float>> maps;
    for (const auto& f : features) maps.push_back(Detector<Device>::host(f, i));
    store.add(conditioning[i].T_hat, frames[i].height, frames[i].width, Detector<Device>::host(seen.latent_map, i),
              maps);
  }
}

template <class Device>
void Ablation<Device>::add_tiles(const std::vector<Method<Device>>& methods, const Frame& frame, std::size_t first,
                                 MapStore& store) {
  auto seen = analyse_tiles(
      ctx_, methods[0], frame, test_->tiling().grid(frame.width, frame.height),
      {.batch = request_.batch, .first = first * kMostTiles, .progress = [this](int, int) { stop_here(); }},
      [this](int) -> const ConditioningOn<Device>& { return detector_->conditioning_on_device(); },
      {methods.begin() + 1, methods.end()});
  seen.more_features.insert(seen.more_features.begin(), std::move(seen.raw.feature));
  store.add(farthest(seen.tiles).T_hat, frame.height, frame.width, seen.raw.latent, seen.more_features);
}

template <class Device>
std::vector<AblationRow> Ablation<Device>::judge(const AblationPoint& point, const MapStore& store, std::size_t kind,
                                                 const anomaly::Ranges& of_test_set) {
  AblationRow row;
  double sums[2] = {0, 0};
  int counts[2] = {0, 0};
  for (std::size_t i = 0; i < store.size(); ++i)
    sums[test_->anomalous(i)] += store.T_hat(i), ++counts[test_->anomalous(i)];
  if (counts[0]) row.T_hat_good = sums[0] / counts[0];
  if (counts[1]) row.T_hat_faulty = sums[1] / counts[1];
  row.T_hat = (sums[0] + sums[1]) / (counts[0] + counts[1]);
  std::vector<AblationRow> out;
  for (const std::string protocol : kAblationProtocols) {
    stop_here();
    const auto& ranges = protocol == "paper" ? of_test_set : detector_->calibration().ranges;
    std::vector<const detail::Judged*> set;
    for (std::size_t i = 0; i < store.size(); ++i) {
      auto& one = judged_[i];
      one.map = Detector<Device>::host(
          anomaly::combine(ctx_, store.pair(i, kind), ranges, static_cast<float>(point.settings.map.lambda),
                           static_cast<float>(point.settings.map.sigma)),
          0);
      one.score = *std::max_element(one.map.begin(), one.map.end());
      set.push_back(&one);
    }
    row.metrics = detail::metric_row(set);
    row.metrics.category = dataset_.category, row.metrics.defect = "all", row.metrics.protocol = protocol;
    out.push_back(row);
  }
  return out;
}

template <class Device>
void Ablation<Device>::write(bool plot) {
  result_.rows.clear();
  result_.done = 0;
  for (std::size_t p = 0; p < points_.size(); ++p) {
    if (!record_->has(keys_[p])) continue;
    ++result_.done;
    for (auto& row : record_->rows(keys_[p])) {
      row.values = points_[p].values;
      result_.rows.push_back(std::move(row));
    }
  }
  write_atomically(request_.out / "ablation.csv", std::string_view(ablation_csv(result_)));
  if (plot && result_.done)
    write_atomically(request_.out / "ablation.svg", std::string_view(ablation_plot(result_, dataset_.category)));
}

template <class Device>
void Ablation<Device>::remove_maps(const std::string& but) const {
  std::error_code error;
  std::vector<std::filesystem::path> old;
  for (std::filesystem::directory_iterator it(request_.out / "work", error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with("maps-") && name != but) old.push_back(it->path());
  }
  for (const auto& path : old) std::filesystem::remove_all(path, error);
}

template <class Device>
void Ablation<Device>::stop_here() const {
  if (events_.stop())
    throw Interrupted(concat("stopped with ", result_.done, " of ", points_.size(), " points done; they are in '",
                             request_.out.string(), "', run the same command again to go on"));
}

template <class Device>
std::string Ablation<Device>::describe(const AblationPoint& point) const {
  std::string text;
  for (std::size_t i = 0; i < result_.options.size(); ++i)
    if (result_.options[i].values.size() > 1 && result_.options[i].stage() <= Stage::detect)
      text += concat(result_.options[i].name, ' ', point.values[i], "  ");
  return text;
}

template <class Device>
std::string Ablation<Device>::left(std::size_t images) const {
  images += (groups_.size() - at_ - 1) * test_->size();
  if (images && !pace_.images) return "";
  double seconds = 0;
  if (images) seconds += static_cast<double>(images) * pace_.detection / static_cast<double>(pace_.images);
  if (pace_.points)
    seconds += static_cast<double>(points_.size() - result_.done) * pace_.scoring / static_cast<double>(pace_.points);
  return concat("all: ", result_.done, " of ", points_.size(), " points, ", duration_text(seconds), " left");
}

template <class Device>
double Ablation<Device>::seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace d3ad
