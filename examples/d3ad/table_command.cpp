// d3ad table: results of evaluate as the paper's table, with the paper's numbers beside.

#include <fmt/core.h>

#include <algorithm>
#include <d3ad/report/results_table.hpp>

#include "program.hpp"

namespace program {

namespace {

using namespace d3ad;
namespace fs = std::filesystem;

struct TableCommandOptions {
  std::vector<fs::path> results;
  std::string format = "text", out, protocol = "paper", method;
  TableOptions table;
};

void run(const TableCommandOptions& o) {
  const auto results = read_results(o.results, o.protocol, o.method);
  const auto of_paper = [](const ResultRow& r) { return paper_dataset_of({r.category}) != nullptr; };
  D3AD_CHECK(
      !o.table.all_categories || !o.table.dataset.empty() || std::any_of(results.begin(), results.end(), of_paper),
      "table: none of the categories is one of the paper's; say with --dataset which data set's categories are to be "
      "listed");
  const ResultsTable table = results_table(results, o.table);
  const std::string text = o.format == "csv"        ? table_csv(table)
                           : o.format == "markdown" ? table_markdown(table)
                           : o.format == "latex"    ? table_latex(table)
                                                    : table_text(table);
  if (o.out.empty())
    fmt::print("{}", text);
  else
    write_atomically(o.out, std::string_view(text));
}

}  // namespace

void add_table(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("table", "results of evaluate as the paper's table, its numbers beside ours");
  auto o = std::make_shared<TableCommandOptions>();
  command
      ->add_option("RESULTS", o->results, "folders that d3ad evaluate wrote (--out), of one category each or several")
      ->required();
  command->add_option("--format", o->format, "text, csv, markdown or latex (a tabular of booktabs)")
      ->check(CLI::IsMember({"text", "csv", "markdown", "latex"}))
      ->capture_default_str();
  command->add_option("--out", o->out, "file to write, instead of stdout");
  command
      ->add_option("--dataset", o->table.dataset,
                   "whose numbers stand beside: mvtec, visa or btad; not given: as the names of the categories say")
      ->check(CLI::IsMember({"mvtec", "visa", "btad"}));
  command
      ->add_option("--methods", o->table.methods,
                   "methods in the paper to show, comma-separated, or all (MVTec AD: PatchCore, SimpleNet, RD++, "
                   "SkipGANomaly, DRAEM, D3AD)")
      ->delimiter(',')
      ->capture_default_str();
  command->add_flag("--all-categories", o->table.all_categories, "list the data set's categories without results too");
  command->add_option("--protocol", o->protocol, "which of evaluate's results: paper or calibrated")
      ->check(CLI::IsMember(std::vector<std::string>(std::begin(kProtocols), std::end(kProtocols))))
      ->capture_default_str();
  command->add_option("--method", o->method, "whose results; not given: the model's own, not its baselines'");
  command->footer(
      "I-AUROC / P-AUROC / PRO in percent. The paper has every category of MVTec AD, the average P-AUROC of VisA and\n"
      "nothing of BTAD. An average is over the categories there are results of, if all have the number.");
  command->callback([o, &exit_code] {
    run(*o);
    exit_code = 0;
  });
}

}  // namespace program
