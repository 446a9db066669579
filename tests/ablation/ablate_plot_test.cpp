// What an ablation writes: the plot's lines, the table's mark, the record on disk.

#include "d3ad/ablation/ablate_plot.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "support/temporary_folder.hpp"

namespace ablate_plot_test {

using namespace d3ad;
using test::contains;

namespace {

// Rows of all points, whose image AUROC `value` says.
template <class Value>
AblationResult result_of(const std::vector<std::string>& options, Value&& value) {
  const AblationGrid grid(options);
  AblationResult result;
  result.options = grid.options();
  const nlohmann::json own = Settings();
  for (const auto& o : grid.options())
    result.own.push_back(own.contains(o.name) ? AblationGrid::text(own.at(o.name)) : "model");
  const auto points = grid.points(Settings());
  result.points = result.done = points.size();
  for (const auto& point : points)
    for (const char* protocol : kProtocols) {
      auto& row = result.rows.emplace_back();
      row.values = point.values;
      row.metrics.protocol = protocol;
      row.metrics.i_auroc = value(point);
    }
  return result;
}
std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("one option: a line for each metric, its own value marked") {
  const auto plot = ablation_plot(
      result_of({"lambda=0.5:1:0.25"}, [](const AblationPoint& p) { return p.settings.map.lambda; }), "a<b");
  CHECK(contains(plot, "Ablation of a&lt;b: lambda"));
  CHECK(contains(plot, "<title>I-AUROC, lambda 0.75: 75.00</title>"));
  CHECK(count(plot, "<polyline class=\"s") == 2 + 3);  // no lines for what is not known; three in the legend
  CHECK(count(plot, "class=\"mark\"") == 2);           // 0.85, in both panels
  CHECK(count(plot, "<circle") == 2 * 3 + 3);          // no marks for what is not known; three in the legend
  CHECK_FALSE(contains(plot, "nan"));
}

TEST_CASE("more options: the second makes lines, of the rest the best counts, of seeds the mean") {
  const auto plot = ablation_plot(result_of({"lambda=0,0.5,1", "eta2=0,4", "seed=0,1", "dynamic=true,false"},
                                            [](const AblationPoint& p) {
                                              return 0.1 * p.settings.denoising.eta2 +
                                                     0.2 * static_cast<double>(p.settings.seed) +
                                                     0.3 * p.settings.conditioning.dynamic;
                                            }),
                                  "x");
  CHECK(contains(plot, "<title>eta2 4, lambda 0.5: 80.00</title>"));
  CHECK(contains(plot, "<title>eta2 0, lambda 1: 40.00</title>"));
  CHECK(contains(plot, "mean of seed 0, 1; at each point the best of dynamic true, false"));
}

TEST_CASE("options without numbers have places, files their names, and long names are cut") {
  const auto plot = ablation_plot(result_of({"extractor=model,/a/an_extractor_with_a_long_name_indeed.safetensors"},
                                            [](const AblationPoint& p) { return p.extractor.empty() ? 0.5 : 0.6; }),
                                  "x");
  CHECK(contains(plot, ">an_extractor_with_a_..</text>"));
  CHECK_FALSE(contains(plot, "<polyline class=\"s"));
  CHECK(contains(plot, ": 60.00</title>"));
  // A grid of one point, and one of which nothing is known, are plots too.
  CHECK(contains(ablation_plot(result_of({"eta2=4"}, [](const AblationPoint&) { return 0.5; }), "x"), "50.00"));
  CHECK(contains(ablation_plot(result_of({"eta2=4"}, [](const AblationPoint&) { return NAN; }), "x"), "</svg>"));
}

TEST_CASE("the best row of a table is marked, and the record gives back what it was given") {
  const auto result = result_of({"lambda=0,1"}, [](const AblationPoint& p) { return p.settings.map.lambda; });
  const auto table = ablation_table(result, "calibrated");
  CHECK(contains(table, "\n*       1"));
  CHECK(count(table, "*") == 1);

  const test::TemporaryFolder folder;
  const nlohmann::json belongs{{"model", "m"}, {"data", "d"}, {"numbers", "float"}};
  AblationRow row;
  row.metrics.category = "c", row.metrics.protocol = "paper", row.metrics.images = 3;
  row.metrics.i_auroc = 1.0 / 3, row.means = {{.all = 0.1}};
  {
    AblationRecord record(folder / "r.json", belongs, {{.name = "T_hat"}});
    CHECK_FALSE(record.has("p"));
    record.set_left_out({"one"});
    record.add("p", {row});
  }
  const AblationRecord record(folder / "r.json", belongs, {{.name = "T_hat"}});
  REQUIRE(record.has("p"));
  const auto back = record.rows("p");
  REQUIRE(back.size() == 1);
  CHECK(back[0].metrics.category == "c");
  CHECK(back[0].metrics.images == 3);
  CHECK(back[0].metrics.i_auroc == 1.0 / 3);
  CHECK(back[0].means.front().all == 0.1);
  CHECK(std::isnan(back[0].metrics.pro));
  CHECK(record.left_out() == std::vector<std::string>{"one"});
  for (const char* key : {"model", "data", "numbers"}) {
    auto other = belongs;
    other[key] = "other";
    CHECK(contains(test::refusal([&] { AblationRecord(folder / "r.json", other, {}); }), "holds rows"));
  }
}

}  // namespace ablate_plot_test
