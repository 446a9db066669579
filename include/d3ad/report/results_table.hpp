#pragma once
// Results of d3ad evaluate as the paper's table: a row for each category, I-AUROC / P-AUROC / PRO in percent, the
// paper's numbers beside ours if the category is the same (report/paper_table.hpp).
//
//   auto rows = read_results({"results/bottle", "results/cable"}, "paper");       folders with metrics.csv
//   ResultsTable table = results_table(rows, {.methods = {"D3AD"}});
//   std::cout << table_text(table);                  or table_csv, table_markdown, table_latex
//
// Averages are over the categories that there are results of, the paper's too if it has all of these, so that what
// stands in a row can be compared. With results of a whole data set the paper's are the published ones, else those have
// a row of their own.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "d3ad/core/compiled.hpp"
#include "d3ad/pipeline/evaluate.hpp"
#include "d3ad/report/paper_table.hpp"
#include "d3ad/weights/nearest_names.hpp"

namespace d3ad {

struct ResultRow {
  std::string category;
  int images = 0;
  PaperScore score;  // percent
};

namespace detail {

double metric_field(const std::string& text, const std::string& where);

std::vector<ResultRow> read_metrics(const std::filesystem::path& file, const std::string& protocol,
                                    const std::string& method);

}  // namespace detail

// paths: folders that evaluation wrote, or their metrics.csv. A category may come once. method: whose results; empty:
// those of the file's first row, which is the model's own method.
std::vector<ResultRow> read_results(const std::vector<std::filesystem::path>& paths,
                                    const std::string& protocol = "paper", const std::string& method = "");

struct ResultsTable {
  struct Row {
    std::string name;
    std::optional<int> images;
    std::vector<std::optional<PaperScore>> scores = {};  // ours, then the methods'; none: there is none
    bool average = false;
  };

  std::string dataset;               // as in the paper; "": none that the paper has
  std::vector<std::string> columns;  // "ours", then the methods
  std::vector<Row> rows;
};

struct TableOptions {
  std::string dataset = {};                     // a key of paper_datasets(); "": as the categories say
  std::vector<std::string> methods = {"D3AD"};  // of the paper; {"all"}: all it has
  bool all_categories = false;                  // those of the data set that there are no results of, too
};

namespace detail {

// Means of what all have; a mean of some would be compared with one of others.
std::optional<PaperScore> mean_score(const std::vector<std::optional<PaperScore>>& all);

std::vector<std::string> chosen_methods(const PaperDataset* dataset, const TableOptions& options);

}  // namespace detail

// Throws an Error if options name a data set or method that the paper does not have, or if all categories are asked for
// and none says of which data set.
ResultsTable results_table(const std::vector<ResultRow>& results, const TableOptions& options);

namespace detail {

const char* method_note(const ResultsTable& table, std::size_t column);

// "97.2 / 97.4 / 93.3"; each number as wide as 100.0 if `pad` says so.
std::string score_text(const std::optional<PaperScore>& score, bool pad, const char* none = "-");

}  // namespace detail

std::string table_text(const ResultsTable& table);

// Numbers in columns of their own, with two digits; empty if there is none.
std::string table_csv(const ResultsTable& table);

std::string table_markdown(const ResultsTable& table);

std::string latex_escape(const std::string& text);

// A tabular of booktabs.
std::string table_latex(const ResultsTable& table);

}  // namespace d3ad

#if D3AD_DEFINITIONS
#include "d3ad/report/results_table-inl.hpp"
#endif
