// The grid of an ablation: what is read, what is refused, the points it makes.

#include "d3ad/ablation/grid.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "support/temporary_folder.hpp"

namespace grid_test {

using namespace d3ad;
using test::contains, test::refusal;

namespace {

using Texts = std::vector<std::string>;

Texts texts(const std::string& option) { return AblationGrid({option}).options().front().texts; }
std::string refused(const Texts& options) {
  return refusal([&] { AblationGrid(options).points(Settings()); });
}

}  // namespace

TEST_CASE("a grid's values are lists, ranges, or both, without drift") {
  CHECK(texts("eta2=0,4,7") == Texts{"0", "4", "7"});
  CHECK(texts("lambda=0.5:1:0.05") ==
        Texts{"0.5", "0.55", "0.6", "0.65", "0.7", "0.75", "0.8", "0.85", "0.9", "0.95", "1"});
  CHECK(texts("lambda=0:0.3:0.1,1") == Texts{"0", "0.1", "0.2", "0.3", "1"});
  CHECK(texts("T-max=400:80:-160") == Texts{"400", "240", "80"});
  CHECK(texts("sigma=4.50") == Texts{"4.5"});
  CHECK(texts("learning_rate=1e-4:3e-4:1e-4") == Texts{"1e-04", "2e-04", "3e-04"});
  CHECK(texts("dynamic=on,off") == Texts{"true", "false"});
  CHECK(texts("--map-layers=2,2+3,1+2+3") == Texts{"2", "2+3", "1+2+3"});
  CHECK(texts("extractor=model,a/b.safetensors") == Texts{"model", "a/b.safetensors"});
  // Values are what the text says, to the bit.
  const AblationGrid grid({"lambda=0:1:0.1"});
  CHECK(grid.options().front().values[3].get<double>() == 0.3);
  CHECK(grid.options().front().values[7].get<double>() == 0.7);
}

TEST_CASE("points are all combinations, over the model's settings") {
  Settings model;
  model.conditioning.k = 7;
  const auto points = AblationGrid({"eta2=0,4", "map_layers=2,2+3", "vae=model,v.safetensors"}).points(model);
  REQUIRE(points.size() == 8);
  CHECK(points[0].values == Texts{"0", "2", "model"});
  CHECK(points[1].values == Texts{"0", "2", "v.safetensors"});
  CHECK(points[6].values == Texts{"4", "2+3", "model"});
  CHECK(points[6].settings.denoising.eta2 == 4);
  CHECK(points[6].settings.map.layers == std::vector<int>{2, 3});
  CHECK(points[6].settings.conditioning.k == 7);
  CHECK(points[6].vae.empty());
  CHECK(points[7].vae == "v.safetensors");
  // What has no effect does not make points differ.
  for (const auto& p : AblationGrid({"dynamic=false", "k=5,6"}).points(model)) CHECK(p.settings.conditioning.k == 7);
  // One length of training replaces the other.
  const auto longer = AblationGrid({"epochs=2"}).points(model);
  CHECK(longer.front().settings.training.epochs == 2);
  CHECK(longer.front().settings.training.iterations == 0);
}

TEST_CASE("every setting has a stage and can be in a grid, except the threshold's") {
  const nlohmann::json settings = Settings();
  for (const auto& item : settings.items()) {
    CAPTURE(item.key());
    const bool left_out = item.key() == "preset" || item.key() == "false_alarm_rate";
    const auto& names = AblationGrid::names();
    CHECK((std::find(names.begin(), names.end(), item.key()) == names.end()) == left_out);
  }
  CHECK(stage_of("base") == Stage::train);
  CHECK(stage_of("vae") == Stage::train);
  CHECK(stage_of("gamma") == Stage::adapt);
  CHECK(stage_of("extractor") == Stage::adapt);
  CHECK(stage_of("tile_overlap") == Stage::train);
  CHECK(stage_of("adapt_learning_rate") == Stage::adapt);
  for (const char* name : {"k", "bins", "T_max", "dynamic", "dic_layer"}) CHECK(stage_of(name) == Stage::calibrate);
  for (const char* name : {"steps", "eta", "eta2", "omega", "weights", "sample_posterior"})
    CHECK(stage_of(name) == Stage::detect);
  CHECK(stage_of("map_layers") == Stage::map);
  CHECK(stage_of("lambda") == Stage::mix);
  CHECK(stage_of("sigma") == Stage::mix);
  CHECK(stage_of("false_alarm_rate") == Stage::threshold);
}

TEST_CASE("what is wrong with a grid is said") {
  CHECK(contains(refused({}), "has no option"));
  CHECK(contains(refused({"eta2"}), "expected OPTION=VALUES"));
  CHECK(contains(refused({"=1"}), "expected OPTION=VALUES"));
  CHECK(contains(refused({"eta2="}), "there is no value"));
  CHECK(contains(refused({"eta2=0,,4"}), "is empty"));
  CHECK(contains(refused({"lamda=0"}), "no option has this name; the nearest are 'lambda'"));
  CHECK(contains(refused({"false_alarm_rate=0.1"}), "moves the threshold"));
  CHECK(contains(refused({"eta2=0", "eta2=4"}), "is given twice"));
  CHECK(contains(refused({"eta2=4,4.0"}), "value 4 is listed twice"));
  CHECK(contains(refused({"eta2=four"}), "expected a number"));
  CHECK(contains(refused({"k=2.5"}), "expected a whole number"));
  CHECK(contains(refused({"dynamic=maybe"}), "expected true or false"));
  CHECK(contains(refused({"lambda=0:1"}), "from:to:step"));
  CHECK(contains(refused({"lambda=0:1:0"}), "the step is 0"));
  CHECK(contains(refused({"lambda=0:1:-0.1"}), "does not lead from 0 to 1"));
  CHECK(contains(refused({"lambda=0:1:0.3"}), "the last would be at 0.9"));
  CHECK(contains(refused({"lambda=0:inf:0.1"}), "is not a finite number"));
  CHECK(contains(refused({"k=1:2:0.5"}), "takes whole numbers"));
  CHECK(contains(refused({"eta2=0:1e9:1"}), "more than 2000 values"));
  CHECK(contains(refused({"eta2=0:99:1", "lambda=0:1:0.01"}), "at most 2000 are accepted"));
  CHECK(contains(refused({"lambda=0,1.5"}), "lambda is 1.5, expected 0 to 1"));
}

}  // namespace grid_test
