// The seam for methods: a method of this file's own, which is one class, one line that registers it and one option, goes
// through training, calibration, detection, evaluation, report, ablation and the model's folder; so do the baselines;
// and a model's folder from before there were several methods is read as one of D3AD.

#include "d3ad/methods/d3ad/method.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "d3ad/ablation/ablate.hpp"
#include "d3ad/methods/learners.hpp"
#include "d3ad/model/settings_json.hpp"
#include "d3ad/pipeline/train.hpp"
#include "d3ad/report/report.hpp"
#include "support/stripes.hpp"
#include "support/temporary_folder.hpp"

namespace method_test {

using namespace d3ad;
namespace fs = std::filesystem;
using test::contains, test::refusal, test::kSize, test::stripes, test::Place;

namespace {

// How far a pixel is from the mean brightness of the good images, times a gain, is how wrong it is; an image's score is
// its share of pixels that are further away than a half.
struct BrightnessSettings {
  double gain = 1;

  void describe(OptionTable& table) {
    table.group("Brightness", Stage::detect);
    table.add(gain, {.name = "gain", .help = "Factor of the difference", .least = 0, .most = 100});
  }
};

template <class Device>
class Brightness final : public Method<Device> {
 public:
  using V = Value<float, Device>;

  static MethodInfo info() {
    return {.name = "brightness",
            .title = "Brightness",
            .help = "compares with the mean brightness",
            .scores = true,
            .maps = {"difference"},
            .files = {"brightness.txt"},
            .attributes = {{.name = "share", .label = "share", .title = "share", .brief = true}},
            .settings = MethodSettings(BrightnessSettings{})};
  }
  using Method<Device>::Method;

  void learn(Learning<Device>& learning, Stage) {
    double sum = 0, count = 0;
    learning.each_batch(
        "look", learning.good.pieces().size(), kLearningBatch, Learning<Device>::Readers::all,
        [&](parallel::Packet& packet, std::int64_t first, std::int64_t n) {
          const auto x = learning.good.load(learning.ctx, learning.good.pieces(), first, n);
          for (std::int64_t i = 0; i < x.shape().size(); ++i) packet.put(x.view().data[i]);
        },
        [&](parallel::PacketReader& reader) {
          float value = 0;
          reader.get(value);
          sum += double{value}, ++count;
        });
    mean_ = static_cast<float>(sum / count);
  }
  void save(const ModelFolder& folder) const override {
    write_atomically(folder / "brightness.txt", std::string_view(number(mean_)));
  }
  void load(Context<Device>&, const ModelFolder& folder, const ModelConfig&, Stage before) override {
    if (before == Stage::detect) mean_ = static_cast<float>(to_number(read_lines(folder / "brightness.txt").at(0)));
  }

  MethodOutput<Device> analyse(Context<Device>& ctx, V x, BatchPlace) override {
    const auto gain = static_cast<float>(this->settings().own.template get<BrightnessSettings>().gain);
    const Shape s = x.shape();
    MethodOutput<Device> out;
    out.maps.push_back(make_value<float>(ctx, {s.n, s.h, s.w, 1}));
    out.measured = make_value<float>(ctx, {.n = s.n});
    out.score = make_value<float>(ctx, {.n = s.n});
    for (std::int64_t i = 0; i < s.n; ++i) {
      float far = 0;
      for (std::int64_t p = 0; p < s.h * s.w; ++p) {
        const std::int64_t pixel = i * s.h * s.w + p;
        const float difference = gain * std::abs(x.view().data[3 * pixel] - mean_);
        out.maps[0].view().data[pixel] = difference;
        far += difference > 0.5f;
      }
      out.measured.view().data[i] = out.score.view().data[i] = far / static_cast<float>(s.h * s.w);
    }
    return out;
  }
  std::size_t measured() const override { return 1; }
  std::unique_ptr<Method<Device>> with(const Settings& settings) const override {
    auto other = std::make_unique<Brightness>(*this);
    other->set_settings(settings);
    return other;
  }

 private:
  float mean_ = 0;
};

const MethodRegistration<Brightness, Cpu> brightness;

TrainRequest request_of(const Place& place, const std::string& method) {
  auto request = place.request(method.c_str());
  request.settings = Settings::of_method(method);
  request.settings.data.image_size = kSize;
  return request;
}

const MetricRow& row_of(const EvaluationResult& result, const std::string& protocol) {
  for (const auto& row : result.rows)
    if (row.protocol == protocol && row.defect == "all") return row;
  FAIL("no such row");
  return result.rows.front();
}

nlohmann::json config_of(const fs::path& model) {
  return nlohmann::json::parse(read_file(model / "config.json", 1 << 20));
}

}  // namespace

TEST_CASE("a method of one's own is trained, kept, evaluated, reported and ablated as any other") {
  const Place place;
  auto request = request_of(place, "brightness");
  request.settings.own.get<BrightnessSettings>().gain = 1.25;
  request.vae = request.extractor = "";  // it needs no network
  std::string stages;
  TrainEvents events;
  events.progress = [&](const char* stage, std::int64_t done, std::int64_t total, const std::string&) {
    if (done == total) stages += std::string(stage) + ' ';
  };
  const auto model = place.train(request, events);
  CHECK(stages == "look calibrate ");
  const auto config = config_of(model);
  CHECK(config.at("method") == "brightness");
  CHECK(config.at("settings").at("brightness").at("gain") == 1.25);
  CHECK_FALSE(config.at("settings").contains("T_max"));
  CHECK_FALSE(config.contains("vae"));
  CHECK(config.at("files").size() == 2);

  Context<Cpu> ctx({.threads = 2});
  Detector<Cpu> detector(ctx, model);
  CHECK(detector.settings().own.get<BrightnessSettings>().gain == 1.25);
  const auto found = detector(std::vector{stripes(33, false), stripes(33, true)});
  CHECK(found[1].faulty);
  CHECK_FALSE(found[0].faulty);
  CHECK(found[1].reconstruction.empty());
  CHECK(found[1].attributes.at("share") == found[1].score);         // its own score, not the map's maximum
  CHECK(found[1].score == doctest::Approx(16 * 16 / 64.0 / 64.0));  // the square
  Detector<Cpu> louder(ctx, model, [](Settings& s) { s.own.get<BrightnessSettings>().gain = 4; });
  CHECK(louder(stripes(33, false)).score > found[0].score);
  CHECK(contains(
      refusal([&] { Detector<Cpu>(ctx, model, [](Settings& s) { s.own.get<BrightnessSettings>().gain = -1; }); }),
      "gain is -1, expected 0 to 100"));

  const auto dataset = open_dataset(place.data, "stripes");
  Report report(detector);
  EvaluationOptions options;
  options.each = [&](const Sample& sample, const Detection& d) { report.add(sample, d); };
  options.baselines = true;  // of which it has no network for one
  const auto result = evaluate(detector, dataset, options);
  CHECK(row_of(result, "calibrated").method == "brightness");
  CHECK(row_of(result, "calibrated").i_auroc == 1);
  CHECK(row_of(result, "calibrated").p_auroc > 0.9);
  CHECK(result.rows.back().method == "mean_image");
  CHECK(result.images.back().attributes.size() == 1);
  const auto page = report.html(result, {.program = "test", .data = "stripes"});
  CHECK(contains(page, "Brightness, calibrated"));
  CHECK(contains(page, ">share 0."));
  CHECK_FALSE(contains(page, "as if good"));
  CHECK_FALSE(contains(page, "T̂"));

  const AblationGrid grid({"gain=1.25,2", "sigma=2,4"});
  const auto swept = Ablation<Cpu>(ctx, {.model = model, .out = place.folder / "swept"}, grid, dataset, {}).run();
  CHECK(swept.rows.size() == 8);
  CHECK(swept.reconstructed == 12);  // the test set once for each gain
  for (const auto& row : swept.rows)
    if (row.values == std::vector<std::string>{"1.25", "4"})
      CHECK(row.metrics.p_auroc == row_of(result, row.metrics.protocol).p_auroc);
  CHECK(contains(ablation_csv(swept), "images,share,share_good,share_faulty,i_auroc"));
  CHECK(contains(refusal([&] {
                   Ablation<Cpu>(ctx, {.model = model, .out = place.folder / "x"}, AblationGrid({"eta2=0,4"}), dataset,
                                 {});
                 }),
                 "the model's method, brightness, has no such option"));

  // A point of an earlier stage is trained anew, and calibrated.
  const auto retrained = Ablation<Cpu>(ctx, {.model = model, .out = place.folder / "anew"},
                                       AblationGrid({"held_back=0.2,0.5"}), dataset, {})
                             .run();
  CHECK(contains(refusal([&] { AblationGrid({"vae=x.safetensors"}).points(detector.settings()); }), "no such option"));
  CHECK(retrained.rows.size() == 4);
  CHECK(retrained.own == std::vector<std::string>{"0.2"});

  // Calibrated anew; what is D3AD's alone is refused.
  request.settings.threshold.false_alarm_rate = 0.5;
  Trainer<Cpu>(ctx, request, {}).calibrate();
  CHECK(Detector<Cpu>(ctx, model).calibration().false_alarm_rate == 0.5f);
  CHECK(contains(refusal([&] { Trainer<Cpu>(ctx, request, {}).adapt(); }), "adapts no extractor"));
  CHECK(contains(refusal([&] { as_d3ad(detector.method()); }), "the model's method is brightness"));
}

TEST_CASE("a method's own files are checked, and one that is not known is refused by name") {
  const Place place;
  const auto model = place.train(request_of(place, "brightness"));
  Context<Cpu> ctx;
  const auto change = [&](const char* key, nlohmann::json value) {
    auto config = config_of(model);
    config[key] = std::move(value);
    write_atomically(model / "config.json", std::string_view(config.dump()));
    return refusal([&] { Detector<Cpu>(ctx, model); });
  };
  CHECK(contains(change("method", "d3ad"), "of the method 'd3ad', its settings of 'brightness'"));
  auto settings = config_of(model).at("settings");
  settings["method"] = "magic";
  CHECK(contains(change("settings", settings),
                 "method 'magic' is not known; expected one of d3ad, mean_image, vae_only"));
  place.train(request_of(place, "brightness"));
  write_atomically(model / "brightness.txt", std::string_view("0"));
  CHECK(contains(refusal([&] { Detector<Cpu>(ctx, model); }), "another checksum"));
}

TEST_CASE("the baselines are methods: trained models of their own, with the numbers they have beside another one") {
  const Place place;
  Context<Cpu> ctx({.threads = 2});
  const auto dataset = open_dataset(place.data, "stripes");
  auto of_d3ad = place.request("d3ad");
  of_d3ad.settings.data.held_back = 0;
  Detector<Cpu> d3ad(ctx, place.train(of_d3ad));
  const auto beside = evaluate(d3ad, dataset, {.baselines = true});
  for (const std::string name : {"mean_image", "vae_only"}) {
    CAPTURE(name);
    auto request = request_of(place, name);
    request.settings.data.held_back = 0;
    Detector<Cpu> detector(ctx, place.train(request));
    CHECK(fs::exists(detector.folder() / "extractor.safetensors") == (name == "vae_only"));
    const auto alone = evaluate(detector, dataset, {});
    for (const auto& row : beside.rows)
      if (row.method == name && row.defect == "all")
        CHECK(row.p_auroc == doctest::Approx(row_of(alone, "paper").p_auroc).epsilon(1e-3));
    // One raw map has no use for a range: both protocols say the same.
    CHECK(row_of(alone, "paper").p_auroc == row_of(alone, "calibrated").p_auroc);
    CHECK(detector(stripes(33, true)).reconstruction.size() == 3 * kSize * kSize);
  }
}

TEST_CASE("a model's folder without a method is one of D3AD") {
  const Place place;
  const auto model = place.train(place.request());
  Context<Cpu> ctx({.threads = 2});
  const float score = Detector<Cpu>(ctx, model)(stripes(33, true)).score;
  auto config = config_of(model);
  CHECK(config.at("method") == "d3ad");
  CHECK_FALSE(config.at("settings").contains("method"));  // its settings are written as they always were
  config.erase("method");
  write_atomically(model / "config.json", std::string_view(config.dump()));
  Detector<Cpu> old(ctx, model);
  CHECK(old.method().info().name == "d3ad");
  CHECK(old(stripes(33, true)).score == score);
}

TEST_CASE("settings of a method have its options and no other's, in JSON too") {
  auto s = Settings::of_method("vae_only", "paper");
  CHECK(s.preset == "paper");
  CHECK(options_of(s).find("map_layers"));
  CHECK_FALSE(options_of(s).find("T_max"));
  CHECK_FALSE(options_of(s).find("augment"));
  const auto mean = Settings::of_method("mean_image");
  auto copy = mean;
  CHECK_FALSE(options_of(copy).find("map_layers"));
  CHECK_FALSE(options_of(copy).find("weights"));  // it has no network
  options_of(s).at("map_layers").set("", "1,3");
  const nlohmann::json json = s;
  CHECK(json.at("vae_only") == nlohmann::json{{"map_layers", {1, 3}}});
  const auto back = json.get<Settings>();
  CHECK(nlohmann::json(back) == json);
  CHECK(contains(refusal([&] { nlohmann::json({{"method", 3}}).get<Settings>(); }), "method is 3, expected a text"));
  CHECK(contains(refusal([&] { nlohmann::json({{"method", "x"}}).get<Settings>(); }), "method 'x' is not known"));
  CHECK(contains(refusal([&] {
                   nlohmann::json({{"method", "vae_only"}, {"vae_only", 3}}).get<Settings>();
                 }),
                 "expected an object"));
}

}  // namespace method_test
