// Settings and the table that describes them: JSON and text of every option, ranges, presets.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "d3ad/data/table.hpp"
#include "d3ad/model/option_json.hpp"
#include "d3ad/model/settings_json.hpp"
#include "support/temporary_folder.hpp"

namespace settings_test {

using namespace d3ad;
using test::contains, test::refusal;

namespace {

// What models on disk hold: their keys and values are not to change.
constexpr const char* kSmall =
    R"({"T_max":400,"accumulate":1,"adapt_learning_rate":0.0001,"attention":[2,4],"augment":"none",)"
    R"("base":32,"batch":16,"bins":10,"checkpointing":false,"clip":0.0,"cosine_decay":false,"dic_layer":2,)"
    R"("dynamic":true,"ema":0.999,"epochs":0,"eta":0.0,"eta2":0.0,"false_alarm_rate":0.05,"gamma":0,)"
    R"("heads":4,"held_back":0.2,"image_size":256,"iterations":3000,"k":20,"lambda":0.85,)"
    R"("learning_rate":0.0002,"map_layers":[2,3],"multipliers":[1,2,2],"omega":0.0,"preset":"small",)"
    R"("res_blocks":1,"sample_posterior":false,"seed":0,"sigma":4.0,"steps":10,"tile":0,)"
    R"("tile_overlap":0.25,"warmup":0,"weight_decay":0.01,"weights":"float"})";
constexpr const char* kPaper =
    R"({"T_max":80,"accumulate":1,"adapt_learning_rate":0.0001,"attention":[1,2,4,8],"augment":"none",)"
    R"("base":192,"batch":30,"bins":10,"checkpointing":false,"clip":0.0,"cosine_decay":false,"dic_layer":2,)"
    R"("dynamic":true,"ema":0.0,"epochs":300,"eta":0.0,"eta2":4.0,"false_alarm_rate":0.05,"gamma":0,)"
    R"("heads":8,"held_back":0.0,"image_size":256,"iterations":0,"k":20,"lambda":0.85,)"
    R"("learning_rate":0.0001,"map_layers":[2,3],"multipliers":[1,2,2,4,4],"omega":0.0,"preset":"paper",)"
    R"("res_blocks":2,"sample_posterior":false,"seed":0,"sigma":4.0,"steps":10,"tile":0,)"
    R"("tile_overlap":0.25,"warmup":0,"weight_decay":0.01,"weights":"float"})";

// Another value of the option's range than the one it has.
std::string another(const Option& option) {
  const auto& info = option.info();
  if (std::holds_alternative<bool*>(option.field())) return option.text() == "true" ? "false" : "true";
  if (std::holds_alternative<std::string*>(option.field())) return info.words.back();
  if (option.list()) return "1,2";
  if (!option.whole()) return "0.5";
  const double least = std::isfinite(info.least) ? std::max(info.least, 1.0) : 1;
  const auto next = number(least + info.multiple);
  return next != option.text() ? next : number(least);
}

// A value that the option's range leaves out; "" if it takes all of its type.
std::string outside(const Option& option) {
  const auto& info = option.info();
  if (std::holds_alternative<std::string*>(option.field())) return "nonsense";
  if (!option.numeric() && !option.list()) return "";
  if (std::isfinite(info.above)) return number(info.above);
  if (std::isfinite(info.least)) return number(info.least == 0 ? -1 : info.least - 1);
  return "";
}

}  // namespace

TEST_CASE("settings are written as they always were") {
  CHECK(nlohmann::json(Settings::small()).dump() == kSmall);
  CHECK(nlohmann::json(Settings::paper()).dump() == kPaper);
  CHECK(nlohmann::json(nlohmann::json::parse(kPaper).get<Settings>()).dump() == kPaper);
  CHECK(nlohmann::json(Settings::named("paper")).dump() == kPaper);
  CHECK(nlohmann::json(Settings::named("small")).dump() == kSmall);
}

TEST_CASE("every option is described, and goes through text and JSON") {
  Settings settings;
  const auto options = options_of(settings);
  CHECK(options.size() + 1 == nlohmann::json::parse(kSmall).size());  // and the preset
  for (const auto& option : options) {
    CAPTURE(option.name());
    const std::string help = option.info().help;
    REQUIRE(!help.empty());
    CHECK((help[0] >= 'A' && help[0] <= 'Z'));
    CHECK(help.back() != '.');
    CHECK_FALSE(contains(help, "\n"));
    CHECK_FALSE(contains(help, "--"));
    CHECK_FALSE(option.range_text().empty());
    CHECK_FALSE(std::string(option.group()).empty());
    CHECK((option.info().paper != nullptr) == !std::string(option.info().reason).empty());
    option.check();  // the default is inside

    const std::string usual = option.text();
    const auto usual_json = option_json(option);
    option.set("", another(option));
    option.check();
    const std::string changed = option.text();
    CHECK(changed != usual);
    const auto changed_json = option_json(option);
    CHECK(changed_json.type() == usual_json.type());
    CHECK(nlohmann::json::parse(kSmall).at(option.name()) == usual_json);
    CHECK(nlohmann::json(settings).at(option.name()) == changed_json);
    set_option(option, usual_json);
    CHECK(option.text() == usual);
    set_option(option, changed_json);
    CHECK(option.text() == changed);
    option.set("", json_text(usual_json));
    CHECK(option_json(option) == usual_json);
  }
  CHECK(nlohmann::json(settings).dump() == kSmall);
}

TEST_CASE("a value out of its range is refused by name, in all options that have one") {
  int refused = 0;
  Settings settings;
  for (const auto& option : options_of(settings)) {
    CAPTURE(option.name());
    const auto usual = option.text(), wrong = outside(option);
    if (wrong.empty()) continue;
    option.set("", wrong);
    const auto text = refusal([&] { settings.check(); });
    CHECK(text.starts_with(option.name() + (option.list() ? " holds " : " is ")));
    CHECK(contains(text, wrong));
    CHECK(text.ends_with("expected " + option.range_text()));
    ++refused;
    option.set("", usual);
  }
  CHECK(refused == 34);  // all except the four that are true or false, and the seed
}

TEST_CASE("JSON of another type is refused with name, expected and got") {
  const auto why = [](const char* json) { return refusal([&] { nlohmann::json::parse(json).get<Settings>(); }); };
  CHECK(why(R"({"k": 2.7})") == "k is 2.7, expected a whole number");
  CHECK(why(R"({"k": true})") == "k is true, expected a whole number");
  CHECK(why(R"({"k": "20"})") == "k is \"20\", expected a whole number");
  CHECK(why(R"({"k": null})") == "k is null, expected a whole number");
  CHECK(why(R"({"k": 3000000000})") == "k is 3000000000, expected a whole number");
  CHECK(why(R"({"k": 1e300})") == "k is 1e+300, expected a whole number");
  CHECK(why(R"({"seed": -1})") == "seed is -1, expected a whole number, 0 or more");
  CHECK(why(R"({"dynamic": 1})") == "dynamic is 1, expected true or false");
  CHECK(why(R"({"sigma": "4"})") == "sigma is \"4\", expected a number");
  CHECK(why(R"({"sigma": false})") == "sigma is false, expected a number");
  CHECK(why(R"({"augment": 3})") == "augment is 3, expected a text");
  CHECK(why(R"({"map_layers": 2})") == "map_layers is 2, expected a list of whole numbers");
  CHECK(why(R"({"map_layers": [2, 2.5]})") == "map_layers is [2,2.5], expected a list of whole numbers");
  CHECK(why(R"({"preset": 1})") == "preset is 1, expected a text");
  CHECK(contains(why("[]"), "expected an object"));
  // A whole number is a number too, and one without a fraction is whole.
  const auto read = nlohmann::json::parse(R"({"sigma": 3, "k": 4.0, "seed": 18446744073709551615})").get<Settings>();
  CHECK(read.map.sigma == 3);
  CHECK(read.conditioning.k == 4);
  CHECK(read.seed == 18446744073709551615u);
}

TEST_CASE("text of another type is refused") {
  Settings s;
  const auto options = options_of(s);
  const auto why = [&](const char* name, const char* text) {
    return refusal([&] { options.at(name).set(name, text); });
  };
  CHECK(why("k", "2.5") == "k 2.5: expected a whole number");
  CHECK(why("seed", "-1") == "seed -1: expected a whole number, 0 or more");
  CHECK(why("eta2", "four") == "eta2 four: expected a number");
  CHECK(why("eta2", "") == "eta2 : expected a number");
  CHECK(why("dynamic", "maybe") == "dynamic maybe: expected true or false");
  CHECK(contains(why("map_layers", "2,,3"), "expected whole numbers with commas between"));
  CHECK(contains(refusal([&] { options.at("lamda"); }), "there is no option 'lamda'"));
}

TEST_CASE("ranges as text") {
  Settings s;
  const auto options = options_of(s);
  const auto range = [&](const char* name) { return options.at(name).range_text(); };
  CHECK(range("image_size") == "a multiple of 32 from 64 to 2048 pixels");
  CHECK(range("tile") == "0 (whole images) or 32 to 16384 pixels");
  CHECK(range("k") == "1 to 1000000");
  CHECK(range("ema") == "0 (no average) to below 1");
  CHECK(range("clip") == "0 (no limit) or more");
  CHECK(range("warmup") == "0 (none) or more steps");
  CHECK(range("learning_rate") == "more than 0 and at most 1");
  CHECK(range("false_alarm_rate") == "0 to below 1");
  CHECK(range("map_layers") == "1 to 3");
  CHECK(range("augment") == "none, flip or dihedral");
  CHECK(range("dynamic") == "true or false");
  CHECK(range("seed") == "0 or more");
}

// Any struct can describe itself, and a table can hold several structs.
struct Blur {
  double width = 2;
  void describe(OptionTable& table) {
    table.group("Blur", Stage::mix);
    table.add(width,
              {.name = "width", .help = "Width of the blur", .above = 0, .below = 9, .paper = "3", .reason = "x"});
  }
};
struct Clash {
  int width = 1;
  void describe(OptionTable& table) { table.add(width, {.name = "width", .help = "Width"}); }
};

TEST_CASE("several structs share a table, in which names are unique") {
  Blur blur;
  Settings settings;
  auto options = options_of(settings);
  const auto before = options.size();
  blur.describe(options);
  CHECK(options.size() == before + 1);
  CHECK(options.at("width").stage() == Stage::mix);
  CHECK(options.at("width").group() == std::string("Blur"));
  CHECK(options.at("width").range_text() == "more than 0 and below 9");
  options.set_paper();
  CHECK(blur.width == 3);
  CHECK(settings.unet.base == 192);
  auto object = nlohmann::json::object();
  write_options(object, options);
  CHECK(object.at("width") == 3);
  CHECK(object.at("k") == 20);
  Clash clash;
  CHECK(contains(refusal([&] { clash.describe(options); }), "two options are called 'width'"));
}

TEST_CASE("settings go to JSON and back, and a file may leave some out") {
  Settings s;
  s.unet.multipliers = {1, 3};
  s.denoising.eta2 = 2.5;
  s.data.augment = "flip";
  s.conditioning.dynamic = false;
  const nlohmann::json json = s;
  CHECK(json.get<Settings>().denoising.eta2 == 2.5);
  CHECK(nlohmann::json(json.get<Settings>()) == json);
  const auto partial = nlohmann::json{{"k", 7}}.get<Settings>();
  CHECK(partial.conditioning.k == 7);
  CHECK(partial.conditioning.T_max == Settings().conditioning.T_max);
  CHECK(nlohmann::json(Settings::named("paper")).at("base") == 192);
  CHECK_THROWS_WITH_AS(Settings::named("large"), doctest::Contains("expected small or paper"), Error);
}

TEST_CASE("the paper's preset is the paper's") {
  const auto s = Settings::paper();
  s.check();
  CHECK(s.training.epochs == 300);
  CHECK(s.training.batch == 30);
  CHECK(s.training.learning_rate == 1e-4);
  CHECK(s.conditioning.k == 20);
  CHECK(s.conditioning.T_max == 80);
  CHECK(s.denoising.eta2 == 4);
  CHECK(s.denoising.steps == 10);
  CHECK(s.map.lambda == 0.85);
  CHECK(s.map.sigma == 4);
}

TEST_CASE("settings out of range are refused with what was expected") {
  const auto why = [](auto change) {
    Settings s;
    change(s);
    return test::refusal([&] { s.check(); });
  };
  using test::contains;
  Settings().check();
  CHECK(contains(why([](Settings& s) { s.data.image_size = 100; }), "expected a multiple of 32"));
  CHECK(contains(why([](Settings& s) { s.data.tile = 31; }), "tile is 31"));
  CHECK(contains(why([](Settings& s) { s.data.tile = -64; }), "expected 0 (whole images) or 32 to 16384"));
  CHECK(contains(why([](Settings& s) { s.data.tile_overlap = 0.8; }), "tile_overlap is 0.8"));
  CHECK(contains(why([](Settings& s) { s.training.epochs = 5; }), "one of iterations and epochs"));
  CHECK(contains(why([](Settings& s) { s.training.batch = 0; }), "batch is 0"));
  CHECK(contains(why([](Settings& s) { s.training.learning_rate = -1; }), "learning_rate is -1"));
  CHECK(contains(why([](Settings& s) { s.training.learning_rate = std::nan(""); }), "learning_rate is nan"));
  CHECK(contains(why([](Settings& s) { s.training.ema = 1; }), "ema is 1"));
  CHECK(contains(why([](Settings& s) { s.training.accumulate = 3; }), "does not divide"));
  CHECK(contains(why([](Settings& s) { s.conditioning.bins = 1; }), "bins is 1"));
  CHECK(contains(why([](Settings& s) { s.conditioning.T_max = 5; }), "T_max is 5"));
  CHECK(contains(why([](Settings& s) { s.denoising.eta = 2; }), "eta is 2"));
  CHECK(contains(why([](Settings& s) { s.denoising.omega = -0.1; }), "omega is -0.1"));
  CHECK(contains(why([](Settings& s) { s.map.lambda = 1.1; }), "lambda is 1.1"));
  CHECK(contains(why([](Settings& s) { s.map.layers = {4}; }), "map_layers holds 4"));
  CHECK(contains(why([](Settings& s) { s.map.layers = {}; }), "map_layers is empty"));
  CHECK(contains(why([](Settings& s) { s.data.augment = "spin"; }), "expected none, flip or dihedral"));
}

}  // namespace settings_test
