#pragma once
// Definitions of ablation/ablate.hpp. Included by it unless they are compiled.

#include <nlohmann/json.hpp>

#include "d3ad/ablation/ablate.hpp"
#include "d3ad/core/sha256.hpp"

namespace d3ad {

template <class Device>
Ablation<Device>::Ablation(Context<Device>& ctx, AblationRequest request, const AblationGrid& grid,
                           const Dataset& dataset, TrainEvents events)
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
  result_.attributes = brief_attributes(method_info(models_.config().settings.method).attributes);
  const nlohmann::json own = flat_settings(models_.config().settings);
  for (const auto& option : grid.options())
    result_.own.push_back(own.contains(option.name) ? AblationGrid::text(own.at(option.name)) : "model");
  create_folders(request_.out);
  lock_ = FolderLock(request_.out, {"work"});
  record_.emplace(request_.out / "ablation.json",
                  nlohmann::json{{"model", file_sha256(request_.model / "config.json")},
                                 {"data", checksum_of_images()},
                                 {"numbers", request_.numbers}},
                  result_.attributes);
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
  std::vector<PointGroup> sorted;
  for (const std::size_t i : order)
    if (missing(groups_[i])) sorted.push_back(std::move(groups_[i]));
  groups_ = std::move(sorted);
}

template <class Device>
std::size_t Ablation<Device>::missing(const PointGroup& group) const {
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
void Ablation<Device>::compute(const PointGroup& group) {
  const AblationPoint& first = points_[group.points.front()];
  stop_here();
  const auto folder = models_.folder(first);
  if (!detector_ || folder != detector_->folder() || detector_->settings().weights != first.settings.weights) {
    detector_.reset();
    detector_.emplace(ctx_, folder, [&](Settings& s) { s.weights = first.settings.weights; });
  }
  if (!test_ || test_->tiling() != detector_->tiling()) {
    test_.emplace(dataset_, detector_->tiling());
    labelled_ = test_->labels();
    record_->set_left_out(test_->skipped());
  }
  std::vector<Kind> kinds;
  for (const std::size_t p : group.points) kind_of(kinds, p);
  Sha256 hash;
  hash.update(concat(group.key, request_.batch));
  for (const auto& kind : kinds) hash.update(kind.options);
  const std::string name = "maps-" + hash.hex().substr(0, 12);
  remove_maps(name);
  MapStore store(request_.out / "work" / name, kinds.size(), detector_->method().info().maps.size());
  reconstruct(first, kinds, store);

  std::vector<std::optional<anomaly::Ranges>> ranges(kinds.size());
  std::size_t scored = 0;
  events_.progress("score", 0, static_cast<std::int64_t>(group.points.size()), left(0));
  for (const std::size_t p : group.points) {
    const auto start = Clock::now();
    if (!record_->has(keys_[p])) {
      const std::size_t kind = kind_of(kinds, p);
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
std::size_t Ablation<Device>::kind_of(std::vector<Kind>& kinds, std::size_t point) const {
  auto settings = points_[point].settings;
  std::string text;
  for (const auto& option : options_of(settings))
    if (option.stage() == Stage::map) text += concat(option.name(), '=', option.text(), ' ');
  const auto at = std::find_if(kinds.begin(), kinds.end(), [&](const Kind& kind) { return kind.options == text; });
  const auto kind = static_cast<std::size_t>(at - kinds.begin());
  if (at == kinds.end()) kinds.push_back({text, point});
  return kind;
}

template <class Device>
void Ablation<Device>::reconstruct(const AblationPoint& point, const std::vector<Kind>& kinds, MapStore& store) {
  // Tiles are computed image by image.
  const auto batch = test_->tiling().on() ? std::size_t{1} : static_cast<std::size_t>(request_.batch);
  // Batches as they are in evaluate(), for the same bits.
  if (store.size() < test_->size()) store.keep(store.size() / batch * batch);
  Methods methods;
  for (const Kind& kind : kinds) {
    Settings settings = point.settings;
    take_options(settings, points_[kind.point].settings,
                 [](const Option& option) { return option.stage() == Stage::map; });
    methods.push_back(detector_->method().with(settings));
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
void Ablation<Device>::add_whole(const Methods& methods, const std::vector<Frame>& frames, std::size_t first,
                                 MapStore& store) {
  const auto x = detector_->upload(frames);
  const auto found = methods[0]->analyse(ctx_, x, {.first = first});
  const auto attributes = attributes_of(*methods[0], found, frames.size());
  std::vector<std::vector<anomaly::RawMaps>> of_kinds{raw_maps(*methods[0], found, found.maps)};
  for (std::size_t k = 1; k < methods.size(); ++k)
    of_kinds.push_back(raw_maps(*methods[k], found, methods[k]->compare_again(ctx_, x, found)));
  for (std::size_t i = 0; i < frames.size(); ++i) {
    std::vector<anomaly::RawMaps> of_image;
    for (auto& kind : of_kinds) of_image.push_back(std::move(kind[i]));
    store.add(attributes[i], of_image);
  }
}

template <class Device>
void Ablation<Device>::add_tiles(const Methods& methods, const Frame& frame, std::size_t first, MapStore& store) {
  TileOptions options{.batch = request_.batch,
                      .place = {.first = static_cast<std::uint64_t>(first) * static_cast<std::uint64_t>(kMostTiles)}};
  options.progress = [&](int, int) { stop_here(); };
  std::vector<Method<Device>*> others;
  for (std::size_t k = 1; k < methods.size(); ++k) others.push_back(methods[k].get());
  auto seen = analyse_tiles(ctx_, *methods[0], frame, test_->tiling().grid(frame.width, frame.height), options, others);
  std::vector<anomaly::RawMaps> of_kinds{std::move(seen.raw)};
  for (auto& raw : seen.compared) of_kinds.push_back(std::move(raw));
  store.add(deciding_attributes(methods[0]->info(), seen.tiles), of_kinds);
}

template <class Device>
std::vector<AblationRow> Ablation<Device>::judge(const AblationPoint& point, const MapStore& store, std::size_t kind,
                                                 const anomaly::Ranges& of_test_set) {
  const auto method = detector_->method().with(point.settings);
  const auto& attributes = method->info().attributes;
  AblationRow row;
  for (std::size_t a = 0; a < attributes.size(); ++a) {
    if (!attributes[a].brief) continue;
    double sums[2] = {0, 0};
    int counts[2] = {0, 0};
    for (std::size_t i = 0; i < store.size(); ++i)
      sums[test_->anomalous(i)] += double{store.attributes(i)[a]}, ++counts[test_->anomalous(i)];
    auto& mean = row.means.emplace_back();
    if (counts[0]) mean.good = sums[0] / counts[0];
    if (counts[1]) mean.faulty = sums[1] / counts[1];
    mean.all = (sums[0] + sums[1]) / (counts[0] + counts[1]);
  }
  std::vector<AblationRow> out;
  for (const std::string protocol : kProtocols) {
    stop_here();
    const auto& ranges = protocol == "paper" ? of_test_set : detector_->ranges();
    std::vector<const LabelledMap*> set;
    for (std::size_t i = 0; i < store.size(); ++i) {
      const auto raw = store.raw(i, kind);
      auto& one = labelled_[i];
      one.map = map_of(ctx_, *method, raw, ranges);
      one.score = score_of(method->info(), raw, one.map);
      set.push_back(&one);
    }
    row.metrics = metric_row(set);
    row.metrics.category = dataset_.category, row.metrics.defect = "all";
    row.metrics.method = method->info().name, row.metrics.protocol = protocol;
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
