// Ablation on a small model: its rows are evaluate()'s, what points share is computed once, a stopped run goes on, and
// what does not belong together is refused.

#include "d3ad/ablation/ablate.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "support/stripes.hpp"
#include "support/temporary_folder.hpp"

namespace ablate_test {

using namespace d3ad;
namespace fs = std::filesystem;
using test::contains, test::refusal, test::Place;

namespace {

using Texts = std::vector<std::string>;

constexpr std::size_t kTestImages = 6;

struct Fixture {
  Place place;
  fs::path model, out = place.folder / "out";
  Dataset dataset = open_dataset(place.data, "stripes");
  Context<Cpu> ctx{{.threads = 2}};

  Fixture() : model(place.train(place.request())) {}

  AblationResult ablate(const Texts& grid, TrainEvents events = {}) {
    return Ablation<Cpu>(ctx, {.model = model, .out = out, .batch = 4}, AblationGrid(grid), dataset, std::move(events))
        .run();
  }
  template <class Change>
  std::vector<MetricRow> evaluate_with(const fs::path& folder, Change&& change) {
    Detector<Cpu> detector(ctx, folder, std::forward<Change>(change));
    std::vector<MetricRow> all;
    for (auto& row : evaluate(detector, dataset, {.batch = 4}).rows)
      if (row.defect == "all") all.push_back(std::move(row));
    return all;
  }
};

void check_same(const std::vector<MetricRow>& expected, const AblationResult& result, const Texts& values) {
  std::size_t found = 0;
  for (const auto& row : result.rows) {
    if (row.values != values) continue;
    CAPTURE(row.metrics.protocol);
    REQUIRE(found < expected.size());
    const MetricRow& e = expected[found++];
    CHECK(row.metrics.protocol == e.protocol);
    CHECK(row.metrics.images == e.images);
    for (const Metric& m : kMetrics) CHECK(row.metrics.*m.value == e.*m.value);
  }
  CHECK(found == expected.size());
}

}  // namespace

TEST_CASE("points are what evaluate() finds, and share what they have in common") {
  Fixture f;
  const auto result = f.ablate({"eta2=0,4", "lambda=0:1:0.25", "map_layers=2,2+3", "sigma=1,4"});
  CHECK(result.points == 40);
  CHECK(result.done == 40);
  CHECK(result.rows.size() == 80);
  CHECK(result.reconstructed == 2 * kTestImages);  // once for each eta2
  check_same(
      f.evaluate_with(
          f.model, [](Settings& s) { s.denoising.eta2 = 0, s.map.lambda = 0.25, s.map.layers = {2}, s.map.sigma = 1; }),
      result, {"0", "0.25", "2", "1"});
  check_same(f.evaluate_with(f.model,
                             [](Settings& s) {
                               s.denoising.eta2 = 4, s.map.lambda = 0.75, s.map.layers = {2, 3}, s.map.sigma = 4;
                             }),
             result, {"4", "0.75", "2+3", "4"});
  // Points differ at all.
  std::set<double> pixels;
  for (const auto& row : result.rows) pixels.insert(row.metrics.p_auroc);
  CHECK(pixels.size() > 20);

  // What is written: a line for each row, all of them finite; a plot that holds each option; nothing of the maps.
  const auto lines = read_lines(f.out / "ablation.csv");
  REQUIRE(lines.size() == 81);
  CHECK(lines[0] ==
        "category,eta2,lambda,map_layers,sigma,protocol,images,T_hat,T_hat_good,T_hat_faulty,i_auroc,p_auroc,pro,aupro,"
        "i_ap,p_ap,i_f1max,p_f1max");
  CHECK(lines[1].starts_with("stripes,0,0,2,1,paper,6,"));
  const auto plot = read_file(f.out / "ablation.svg", 1 << 20);
  for (const char* part : {"lambda", "eta2", "the best of map_layers 2, 2+3; sigma 1, 4", "<polyline", "</svg>"})
    CHECK(contains(plot, part));
  CHECK_FALSE(contains(plot, "nan"));
  std::size_t left = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(f.out / "work")) ++left;
  CHECK(left == 0);
  // One row of a table is marked.
  const auto table = ablation_table(result, "paper");
  CHECK(std::count(table.begin(), table.end(), '*') == 1);

  // Another grid takes over what it can.
  const auto more = f.ablate({"lambda=0.5:1:0.5", "eta2=4,7"});
  CHECK(more.reconstructed == kTestImages);  // eta2 7; the model's own layers and blur were computed above
  CHECK(more.rows.size() == 8);
  check_same(f.evaluate_with(f.model, [](Settings& s) { s.denoising.eta2 = 7, s.map.lambda = 0.5; }), more,
             {"0.5", "7"});
  CHECK(f.ablate({"lambda=0.5:1:0.5", "eta2=4,7"}).reconstructed == 0);
}

TEST_CASE("what enters before detection is the same as the stages alone") {
  Fixture f;
  const auto before = file_sha256(f.model / "config.json");
  const auto result = f.ablate({"T_max=80,200", "gamma=0,1", "dynamic=true,false"});
  CHECK(result.reconstructed == 8 * kTestImages);
  CHECK(file_sha256(f.model / "config.json") == before);
  check_same(f.evaluate_with(f.model, [](Settings&) {}), result, {"80", "0", "true"});

  // d3ad adapt, then d3ad calibrate, on a copy.
  const auto copy = f.place.folder / "copy";
  fs::copy(f.model, copy, fs::copy_options::recursive);
  auto request = f.place.request("copy");
  request.settings.adaptation.gamma = 1;
  Trainer<Cpu>(f.ctx, request, {}).adapt();
  request.settings.conditioning.T_max = 200;
  Trainer<Cpu>(f.ctx, request, {}).calibrate();
  check_same(f.evaluate_with(copy, [](Settings&) {}), result, {"200", "1", "true"});
  request.settings.conditioning.dynamic = false;
  Trainer<Cpu>(f.ctx, request, {}).calibrate();
  check_same(f.evaluate_with(copy, [](Settings&) {}), result, {"200", "1", "false"});
  for (const auto& row : result.rows)
    if (row.values == Texts{"200", "1", "false"}) CHECK(row.means.front().all == 200);

  // Models made on the way are there once: four calibrations, two of them with an adaptation before.
  std::set<std::string> kinds;
  std::size_t made = 0;
  for (const auto& entry : fs::directory_iterator(f.out / "work")) {
    const std::string name = entry.path().filename().string();
    kinds.insert(name.substr(0, name.find('-')));
    ++made;
    CHECK(ModelFolder(entry.path()).finished());
  }
  CHECK(kinds == std::set<std::string>{"adapt", "calibrate"});
  CHECK(made == 1 + 6);
  // The UNet is on disk once.
  CHECK(fs::hard_link_count(f.model / "unet.safetensors") == 1 + 7);
}

TEST_CASE("another extractor is adapted and calibrated, other settings of training are trained") {
  Fixture f;
  ParameterStore<Cpu> store;
  InitSource source(2);
  auto config = ResNetConfig::named("resnet18");
  config.width = 8;
  const ResNet<Cpu> resnet(Params<Cpu>(store, source), config);
  const auto other = f.place.folder / "other.safetensors";
  save_parameters(store, other, {});

  const auto result = f.ablate({"extractor=model," + other.string(), "iterations=6,4"});
  CHECK(result.done == 4);
  auto request = f.place.request("again");
  request.settings.training.iterations = 4;
  request.extractor = other;
  check_same(f.evaluate_with(f.place.train(request), [](Settings&) {}), result, {other.string(), "4"});
  check_same(f.evaluate_with(f.model, [](Settings&) {}), result, {"model", "6"});

  // The model's own VAE by its file is no change; a file that is no VAE is refused before anything is computed.
  CHECK(f.ablate({"vae=" + f.place.vae.string()}).reconstructed == 0);
  CHECK(contains(refusal([&] { f.ablate({"vae=" + other.string()}); }), "holds no autoencoder"));
  CHECK(contains(refusal([&] { f.ablate({"extractor=" + f.place.vae.string()}); }), "holds no ResNet"));
  CHECK(contains(refusal([&] { f.ablate({"extractor=nowhere"}); }), "nowhere"));
}

TEST_CASE("an ablation that was stopped goes on where it was") {
  Fixture f;
  const Texts grid{"eta2=0,4", "lambda=0.5,1"};
  // Stopped after the first batch of the first detection, then after a point of the second.
  std::size_t detected = 0, scored = 0;
  bool stop = false;
  TrainEvents events;
  events.stop = [&] { return stop; };
  events.progress = [&](const char* stage, std::int64_t done, std::int64_t, const std::string&) {
    if (stage == std::string("detect")) detected += done == 4, stop = stop || detected == 1;
    if (stage == std::string("score") && done > 0) stop = stop || ++scored == 3;
  };
  const auto run = [&] {
    stop = false;
    return refusal([&] { f.ablate(grid, events); });
  };
  CHECK(contains(run(), "stopped with 0 of 4 points done"));
  detected = 2;
  CHECK(contains(run(), "stopped with 3 of 4 points done"));
  CHECK(read_lines(f.out / "ablation.csv").size() == 1 + 6);
  const auto rest = f.ablate(grid);
  CHECK(rest.reconstructed == 0);  // the maps of the second detection were kept
  CHECK(rest.done == 4);
  const auto stopped = read_file(f.out / "ablation.csv", 1 << 20);
  f.out = f.place.folder / "whole";
  CHECK(f.ablate(grid).reconstructed == 2 * kTestImages);
  CHECK(read_file(f.out / "ablation.csv", 1 << 20) == stopped);
}

TEST_CASE("rows of other models, images or numbers are refused, and bad images are passed over") {
  Fixture f;
  f.ablate({"lambda=1"});
  auto request = f.place.request("second");
  request.settings.seed = 9;
  const auto first = f.model;
  f.model = f.place.train(request);
  CHECK(contains(refusal([&] { f.ablate({"lambda=1"}); }), "holds rows of another model"));
  f.model = first;
  write_png(f.place.data / "stripes/test/good/9.png", test::stripes(90, false));
  f.dataset = open_dataset(f.place.data, "stripes");
  CHECK(contains(refusal([&] { f.ablate({"lambda=1"}); }), "holds rows of other images"));
  fs::remove(f.place.data / "stripes/test/good/9.png");
  f.dataset = open_dataset(f.place.data, "stripes");
  CHECK(contains(refusal([&] {
                   Ablation<Cpu>(f.ctx, {.model = f.model, .out = f.out, .batch = 4, .numbers = "half"},
                                 AblationGrid({"lambda=1"}), f.dataset, {});
                 }),
                 "in another precision"));
  write_atomically(f.out / "ablation.json", std::string_view("{}"));
  CHECK(contains(refusal([&] { f.ablate({"lambda=1"}); }), "is not an ablation's record"));
  CHECK(contains(refusal([&] { f.ablate({"sigma=0"}); }), "sigma is 0"));

  f.out = f.place.folder / "bad";
  write_atomically(f.place.data / "stripes/test/good/broken.png", std::string_view("broken"));
  f.dataset = open_dataset(f.place.data, "stripes");
  const auto result = f.ablate({"lambda=1", "omega=1"});
  REQUIRE(result.skipped.size() == 1);
  CHECK(contains(result.skipped[0], "broken.png"));
  CHECK(f.ablate({"lambda=1", "omega=1"}).skipped == result.skipped);  // also where all is done
  CHECK(result.rows.front().metrics.images == 6);
  check_same(f.evaluate_with(f.model, [](Settings& s) { s.map.lambda = 1, s.denoising.omega = 1; }), result,
             {"1", "1"});
  f.dataset.test.clear();
  f.out = f.place.folder / "none";
  CHECK(contains(refusal([&] { f.ablate({"lambda=1"}); }), "has no test images"));
}

}  // namespace ablate_test
