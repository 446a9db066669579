// Numbers, tables, settings, the interrupt flag.

#include <doctest/doctest.h>

#include <csignal>
#include <cstdlib>

#include "d3ad/data/table.hpp"
#include "d3ad/model/settings.hpp"
#include "interrupt.hpp"
#include "support/temporary_folder.hpp"

namespace text_test {

using namespace d3ad;

TEST_CASE("numbers as text") {
  CHECK(number(0.25) == "0.25");
  CHECK(number(0.1f) == "0.1");
  CHECK(number(1e300) == "1e+300");
  CHECK(number(std::nan("")) == "nan");
  CHECK(fixed(0.25, 4) == "0.2500");
  CHECK(fixed(1e300, 2).size() == 304);
  CHECK(fixed(std::nan(""), 2) == "-");
  CHECK(percent(0.97312) == "97.3");
  for (const double v : {0.1, 1.0 / 3, 2.5e-17, 123456789.125}) CHECK(std::strtod(number(v).c_str(), nullptr) == v);
}

TEST_CASE("CSV fields are quoted where they have to be") {
  CHECK(csv_row({"a", "b,c", "say \"x\"", "two\nlines", ""}) == "a,\"b,c\",\"say \"\"x\"\"\",\"two\nlines\",\n");
}

TEST_CASE("columns are in line, by characters and not by bytes") {
  CHECK(align({{"name", "n"}, {"x", "100"}, {"T̂", "5"}}) == "name    n\nx     100\nT̂      5\n");
  CHECK(align({}) == "");
}

TEST_CASE("settings go to JSON and back, and a file may leave some out") {
  Settings s;
  s.multipliers = {1, 3};
  s.eta2 = 2.5;
  s.augment = "flip";
  s.dynamic = false;
  const nlohmann::json json = s;
  CHECK(json.get<Settings>().eta2 == 2.5);
  CHECK(nlohmann::json(json.get<Settings>()) == json);
  const auto partial = nlohmann::json{{"k", 7}}.get<Settings>();
  CHECK(partial.k == 7);
  CHECK(partial.T_max == Settings().T_max);
  CHECK(nlohmann::json(Settings::named("paper")).at("base") == 192);
  CHECK_THROWS_WITH_AS(Settings::named("large"), doctest::Contains("expected small or paper"), Error);
}

TEST_CASE("the paper's preset is the paper's") {
  const auto s = Settings::paper();
  s.check();
  CHECK(s.epochs == 300);
  CHECK(s.batch == 30);
  CHECK(s.learning_rate == 1e-4);
  CHECK(s.k == 20);
  CHECK(s.T_max == 80);
  CHECK(s.eta2 == 4);
  CHECK(s.steps == 10);
  CHECK(s.lambda == 0.85);
  CHECK(s.sigma == 4);
}

TEST_CASE("settings out of range are refused with what was expected") {
  const auto why = [](auto change) {
    Settings s;
    change(s);
    return test::refusal([&] { s.check(); });
  };
  using test::contains;
  Settings().check();
  CHECK(contains(why([](Settings& s) { s.image_size = 100; }), "expected a multiple of 32"));
  CHECK(contains(why([](Settings& s) { s.tile = 31; }), "tile is 31"));
  CHECK(contains(why([](Settings& s) { s.tile = -64; }), "expected 0 (whole images) or 32 to 16384"));
  CHECK(contains(why([](Settings& s) { s.tile_overlap = 0.8; }), "tile_overlap is 0.8"));
  CHECK(contains(why([](Settings& s) { s.epochs = 5; }), "one of iterations and epochs"));
  CHECK(contains(why([](Settings& s) { s.batch = 0; }), "batch is 0"));
  CHECK(contains(why([](Settings& s) { s.learning_rate = -1; }), "learning_rate is -1"));
  CHECK(contains(why([](Settings& s) { s.learning_rate = std::nan(""); }), "learning_rate is nan"));
  CHECK(contains(why([](Settings& s) { s.ema = 1; }), "ema is 1"));
  CHECK(contains(why([](Settings& s) { s.accumulate = 3; }), "does not divide"));
  CHECK(contains(why([](Settings& s) { s.bins = 1; }), "bins is 1"));
  CHECK(contains(why([](Settings& s) { s.T_max = 5; }), "T_max is 5"));
  CHECK(contains(why([](Settings& s) { s.eta = 2; }), "eta is 2"));
  CHECK(contains(why([](Settings& s) { s.omega = -0.1; }), "omega is -0.1"));
  CHECK(contains(why([](Settings& s) { s.lambda = 1.1; }), "lambda is 1.1"));
  CHECK(contains(why([](Settings& s) { s.map_layers = {4}; }), "map_layers holds 4"));
  CHECK(contains(why([](Settings& s) { s.map_layers = {}; }), "map_layers is empty"));
  CHECK(contains(why([](Settings& s) { s.augment = "spin"; }), "expected none, flip or dihedral"));
}

TEST_CASE("the first Ctrl-C sets a flag, and the handler goes with its guard") {
  struct sigaction before {};
  sigaction(SIGINT, nullptr, &before);
  {
    const command_line::InterruptGuard guard;
    CHECK_FALSE(command_line::InterruptGuard::interrupted());
    std::raise(SIGINT);
    CHECK(command_line::InterruptGuard::interrupted());
  }
  struct sigaction now {};
  sigaction(SIGINT, nullptr, &now);
  CHECK_UNARY(now.sa_handler == before.sa_handler);
  const command_line::InterruptGuard again;
  CHECK_FALSE(command_line::InterruptGuard::interrupted());
}

}  // namespace text_test
