// The paper's numbers, and results beside them as text, CSV, Markdown and LaTeX.

#include "d3ad/report/results_table.hpp"

#include <doctest/doctest.h>

#include "support/temporary_folder.hpp"

namespace results_table_test {

using namespace d3ad;
using test::contains, test::refusal;

namespace {

const char* const kHeader = "category,defect,protocol,images,i_auroc,p_auroc,pro,aupro,i_ap,p_ap,i_f1max,p_f1max\n";

std::string metrics_row(const std::string& category, const std::string& defect, const std::string& protocol,
                        const std::string& numbers) {
  return category + "," + defect + "," + protocol + ",10," + numbers + ",0.5,0.5,0.5,0.5,0.5\n";
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++n;
  return n;
}

ResultRow result(const char* category, double i = 90, double p = 80, double pro = 70) {
  return {category, 10, {i, p, pro}};
}

const ResultsTable::Row& last(const ResultsTable& table) { return table.rows.back(); }

}  // namespace

TEST_CASE("the paper's averages are those of its categories") {
  const PaperDataset& mvtec = *find_paper_dataset("mvtec");
  REQUIRE(mvtec.categories.size() == 15);
  const auto published = paper_average(mvtec, "D3AD");
  REQUIRE(published);
  CHECK(published->i_auroc == 97.2);
  CHECK(published->p_auroc == 97.4);
  CHECK(published->pro == 93.3);
  for (const char* method : mvtec.methods) {
    CAPTURE(method);
    std::vector<std::optional<PaperScore>> all;
    for (const auto& c : mvtec.categories) {
      const auto score = paper_score(mvtec, c.name, method);
      REQUIRE(score);
      CHECK(std::isfinite(score->i_auroc));
      all.push_back(score);
    }
    const auto mean = detail::mean_score(all);
    const auto average = paper_average(mvtec, method);
    REQUIRE(mean);
    REQUIRE(average);
    // What is published is rounded, and was rounded from numbers with more digits.
    for (double PaperScore::*value : {&PaperScore::i_auroc, &PaperScore::p_auroc, &PaperScore::pro}) {
      CHECK(std::isfinite((*mean).*value) == std::isfinite((*average).*value));
      if (std::isfinite((*mean).*value)) CHECK(std::abs((*mean).*value - (*average).*value) < 0.11);
    }
  }
  CHECK(paper_average(*find_paper_dataset("visa"), "D3AD")->p_auroc == 97.9);
  CHECK(std::isnan(paper_average(*find_paper_dataset("visa"), "D3AD")->i_auroc));
  CHECK_FALSE(paper_average(*find_paper_dataset("btad"), "D3AD"));
  CHECK(find_paper_dataset("imagenet") == nullptr);
}

TEST_CASE("categories are found under the data set's and the paper's spelling") {
  const PaperDataset& mvtec = *find_paper_dataset("mvtec");
  CHECK(paper_score(mvtec, "metal_nut", "D3AD")->pro == 89.7);
  CHECK(paper_score(mvtec, "Metal nut", "SimpleNet")->p_auroc == 98.8);
  CHECK(std::isnan(paper_score(mvtec, "metal_nut", "SimpleNet")->pro));
  CHECK_FALSE(paper_score(mvtec, "cookie", "D3AD"));
  CHECK_FALSE(paper_score(mvtec, "bottle", "PaDiM"));
  CHECK(std::string(paper_dataset_of({"bottle", "screw", "pcb1"})->key) == "mvtec");
  CHECK(std::string(paper_dataset_of({"pcb1", "pipe_fryum"})->key) == "visa");
  CHECK(std::string(paper_dataset_of({"02"})->key) == "btad");
  CHECK(paper_dataset_of({"cookie", "___"}) == nullptr);
}

TEST_CASE("results are read from what evaluate writes") {
  const test::TemporaryFolder folder;
  create_folders(folder / "a");
  write_atomically(folder / "a/metrics.csv", std::string(kHeader) +
                                                 metrics_row("bottle", "all", "paper", "0.9,0.8,0.7") +
                                                 metrics_row("bottle", "cut", "paper", "0.1,0.1,0.1") +
                                                 metrics_row("bottle", "all", "calibrated", "0.5,nan,nan") +
                                                 metrics_row("mean", "all", "paper", "0.9,0.8,0.7"));
  write_atomically(folder / "b.csv",
                   std::string(kHeader) + metrics_row("\"odd, \"\"name\"\"\"", "all", "paper", "1,nan,nan"));
  const auto rows = read_results({folder / "a", folder / "b.csv"});
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].category == "bottle");
  CHECK(rows[0].images == 10);
  CHECK(rows[0].score.i_auroc == doctest::Approx(90));
  CHECK(rows[0].score.pro == doctest::Approx(70));
  CHECK(rows[1].category == "odd, \"name\"");
  CHECK(std::isnan(rows[1].score.p_auroc));
  CHECK(read_results({folder / "a"}, "calibrated")[0].score.i_auroc == doctest::Approx(50));

  CHECK(contains(refusal([&] { read_results({}); }), "no results were given"));
  CHECK(contains(refusal([&] { read_results({folder / "none"}); }), "none"));
  CHECK(contains(refusal([&] { read_results({folder.path()}); }), "has no metrics.csv"));
  CHECK(contains(refusal([&] { read_results({folder / "a", folder / "a"}); }), "'bottle' come twice"));
  CHECK(contains(refusal([&] { read_results({folder / "a"}, "paper", "vae_only"); }),
                 "it has: d3ad, paper; d3ad, calibrated"));
  const auto with = [&](const std::string& text) {
    write_atomically(folder / "bad.csv", text);
    return refusal([&] { read_results({folder / "bad.csv"}); });
  };
  CHECK(contains(with(""), "is empty"));
  CHECK(contains(with("file,label\n"), "has no column 'category'"));
  CHECK(contains(with(std::string(kHeader) + "bottle,all,paper,10\n"), "line 2: 4 fields, expected 12"));
  CHECK(contains(with(kHeader + metrics_row("x", "all", "paper", "90,0.5,0.5")), "'90' is not a number from 0 to 1"));
  CHECK(contains(with(kHeader + metrics_row("x", "all", "paper", "inf,0.5,0.5")), "'inf'"));
  CHECK(contains(with(kHeader), "has no results under the protocol 'paper'"));
}

TEST_CASE("results of several methods are told apart; older files name baselines as protocols") {
  const test::TemporaryFolder folder;
  const auto i_auroc = [&](const std::string& text, const std::string& protocol, const std::string& method) {
    write_atomically(folder / "metrics.csv", std::string_view(text));
    return read_results({folder / "metrics.csv"}, protocol, method).at(0).score.i_auroc;
  };
  const std::string columns = "category,defect,method,protocol,images,i_auroc,p_auroc,pro\n";
  const std::string now = columns + "x,all,vae_only,paper,3,0.5,0,0\nx,all,vae_only,calibrated,3,0.6,0,0\n" +
                          "x,all,mean_image,paper,3,0.7,0,0\n";
  CHECK(i_auroc(now, "paper", "") == doctest::Approx(50));  // of the first row's method
  CHECK(i_auroc(now, "calibrated", "") == doctest::Approx(60));
  CHECK(i_auroc(now, "paper", "mean_image") == doctest::Approx(70));
  CHECK(contains(refusal([&] { i_auroc(now, "calibrated", "mean_image"); }), "no results of 'mean_image'"));
  const std::string before = std::string(kHeader) + metrics_row("x", "all", "paper", "0.1,0,0") +
                             metrics_row("x", "all", "baseline_mean_image", "0.2,0,0") +
                             metrics_row("x", "all", "baseline_vae", "0.3,0,0");
  CHECK(i_auroc(before, "paper", "") == doctest::Approx(10));
  CHECK(i_auroc(before, "paper", "d3ad") == doctest::Approx(10));
  CHECK(i_auroc(before, "paper", "mean_image") == doctest::Approx(20));
  CHECK(i_auroc(before, "paper", "vae_only") == doctest::Approx(30));
}

TEST_CASE("the paper's numbers stand beside ours, averages are over the same categories") {
  const auto table = results_table({result("screw", 80), result("cookie", 60), result("bottle", 100)}, {});
  CHECK(table.dataset == "MVTec AD");
  CHECK(table.columns == std::vector<std::string>{"ours", "D3AD"});
  REQUIRE(table.rows.size() == 5);
  CHECK(table.rows[0].name == "Bottle");  // in the paper's order, what it has not at the end
  CHECK(table.rows[1].name == "Screw");
  CHECK(table.rows[2].name == "cookie");
  CHECK(table.rows[1].scores[0]->i_auroc == 80);
  CHECK(table.rows[1].scores[1]->i_auroc == 83.9);
  CHECK_FALSE(table.rows[2].scores[1]);
  CHECK(table.rows[3].name == "Average of 3");
  CHECK(*table.rows[3].images == 30);
  CHECK(table.rows[3].scores[0]->i_auroc == doctest::Approx(80));
  CHECK_FALSE(table.rows[3].scores[1]);  // the paper has no cookie: its average would be of other categories
  CHECK(last(table).name == "Average of all 15, as published");
  CHECK_FALSE(last(table).scores[0]);
  CHECK(last(table).scores[1]->pro == 93.3);

  const auto both = results_table({result("screw", 80), result("bottle", 100, NAN)}, {});
  CHECK(both.rows[2].scores[0]->i_auroc == doctest::Approx(90));
  CHECK(std::isnan(both.rows[2].scores[0]->p_auroc));  // not known of all
  CHECK(both.rows[2].scores[1]->i_auroc == doctest::Approx((100 + 83.9) / 2));
}

TEST_CASE("with all categories the average is the published one; a data set may be named; methods may be chosen") {
  std::vector<ResultRow> all;
  for (const auto& c : find_paper_dataset("mvtec")->categories) all.push_back(result(c.name));
  const auto whole = results_table(all, {.methods = {"all"}});
  CHECK(whole.columns.size() == 7);
  CHECK(whole.rows.size() == 16);
  CHECK(last(whole).name == "Average of 15");
  CHECK(last(whole).scores[6]->pro == 93.3);  // computed from the rounded categories it would be 93.2
  CHECK(last(whole).scores[0]->pro == doctest::Approx(70));

  const auto listed = results_table({result("bottle")}, {.methods = {"PatchCore", "D3AD"}, .all_categories = true});
  CHECK(listed.rows.size() == 17);
  CHECK_FALSE(listed.rows[0].scores[0]);
  CHECK(listed.rows[0].scores[2]->i_auroc == 94.2);
  CHECK(listed.rows[15].scores[1]->i_auroc == 100);  // PatchCore on the one category there is a result of

  const auto visa = results_table({result("candle")}, {});
  CHECK(visa.dataset == "VisA");
  CHECK_FALSE(visa.rows[0].scores[1]);
  CHECK(last(visa).scores[1]->p_auroc == 97.9);
  CHECK(results_table({result("01"), result("02")}, {}).rows.size() == 3);
  const auto own = results_table({result("cookie")}, {});
  CHECK(own.columns.size() == 1);
  CHECK(results_table({result("cookie")}, {.dataset = "mvtec"}).columns.size() == 2);

  CHECK(contains(refusal([&] { results_table({result("bottle")}, {.methods = {"Patchcore"}}); }),
                 "the nearest are 'PatchCore'"));
  CHECK(contains(refusal([&] { results_table({result("bottle")}, {.dataset = "coco"}); }), "mvtec, visa or btad"));
  CHECK(contains(refusal([&] { results_table({result("cookie")}, {.all_categories = true}); }), "it has to be named"));
}

TEST_CASE("a table as text, CSV, Markdown and LaTeX") {
  const auto table = results_table({result("bottle", 99.96, 98.44, NAN), result("a_b|c,\"d\" 5%&{x}\\", 1, 2, 3)}, {});
  const auto text = table_text(table);
  CHECK(contains(text, "MVTec AD: I-AUROC / P-AUROC / PRO, percent\n"));
  CHECK(contains(text, "Bottle"));
  CHECK(contains(text, "100.0 /  98.4 /     -  100.0 /  98.6 /  96.0\n"));
  CHECK(contains(text, "D3AD (paper)"));

  const auto csv = table_csv(table);
  CHECK(contains(csv, "category,images,ours i_auroc,ours p_auroc,ours pro,D3AD i_auroc,D3AD p_auroc,D3AD pro\n"));
  CHECK(contains(csv, "Bottle,10,99.96,98.44,,100.00,98.60,96.00\n"));
  CHECK(contains(csv, "\"a_b|c,\"\"d\"\" 5%&{x}\\\",10,1.00,2.00,3.00,,,\n"));
  for (std::size_t start = 0; start < csv.size(); start = csv.find('\n', start) + 1)
    CHECK(csv_fields(csv.substr(start, csv.find('\n', start) - start)).size() == 8);

  const auto markdown = table_markdown(table);
  CHECK(contains(markdown, "| Category | ours | D3AD (paper) |\n|---|---:|---:|\n"));
  CHECK(contains(markdown, "| Bottle | 100.0 / 98.4 / - | 100.0 / 98.6 / 96.0 |\n"));
  CHECK(contains(markdown, "| a\\_b\\|c,\"d\" 5%&{x}\\\\ | 1.0 / 2.0 / 3.0 | - / - / - |\n"));
  CHECK(contains(markdown, "| **Average of 2** |"));

  const auto latex = table_latex(table);
  CHECK(contains(latex, "\\begin{tabular}{lrr}\n\\toprule\nCategory & Ours & D3AD (paper) \\\\\n\\midrule\n"));
  CHECK(contains(latex, "Bottle & 100.0 / 98.4 / -- & 100.0 / 98.6 / 96.0 \\\\\n"));
  CHECK(contains(latex, "a\\_b|c,\"d\" 5\\%\\&\\{x\\}\\textbackslash{} & 1.0"));
  CHECK(latex.ends_with("\\bottomrule\n\\end{tabular}\n"));
  CHECK(count(latex, "\\midrule") == 2);
  CHECK(count(latex, " \\\\\n") == 1 + table.rows.size());
  CHECK(count(latex, " & ") == 2 * (1 + table.rows.size()));
  CHECK(latex_escape("~^#$\n") == "\\textasciitilde{}\\textasciicircum{}\\#\\$ ");
}

}  // namespace results_table_test
