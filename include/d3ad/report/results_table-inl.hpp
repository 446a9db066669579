#pragma once
// Definitions of report/results_table.hpp. Included by it unless they are compiled.

#include "d3ad/report/results_table.hpp"

namespace d3ad::detail {

D3AD_INLINE double metric_field(const std::string& text, const std::string& where) {
  if (text == "nan") return NAN;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  D3AD_CHECK(error == std::errc() && end == text.data() + text.size() && value >= 0 && value <= 1, where, ": '",
             printable(text), "' is not a number from 0 to 1, or nan");
  return value;
}

D3AD_INLINE std::vector<ResultRow> read_metrics(const std::filesystem::path& file, const std::string& protocol,
                                                const std::string& method) {
  const auto lines = read_lines(file);
  D3AD_CHECK(!lines.empty(), "'", file.string(), "' is empty, expected the metrics of an evaluation");
  const auto header = csv_fields(lines.front());
  const auto column = [&](const char* name) {
    const auto at = std::find(header.begin(), header.end(), name);
    D3AD_CHECK(at != header.end(), "'", file.string(), "' has no column '", name,
               "'; it is not the metrics.csv of an evaluation");
    return static_cast<std::size_t>(at - header.begin());
  };
  const std::size_t category = column("category"), defect = column("defect"), way = column("protocol"),
                    images = column("images"), i_auroc = column("i_auroc"), p_auroc = column("p_auroc"),
                    pro = column("pro");
  const auto by = std::find(header.begin(), header.end(), "method");
  // Method and protocol of a row. Files from before there was a column for the method name baselines as protocols.
  const auto way_of = [&](const std::vector<std::string>& f) -> std::pair<std::string, std::string> {
    if (by != header.end()) return {f[static_cast<std::size_t>(by - header.begin())], f[way]};
    if (f[way] == "baseline_mean_image") return {"mean_image", "paper"};
    if (f[way] == "baseline_vae") return {"vae_only", "paper"};
    return {"d3ad", f[way]};
  };
  std::string wanted = method;
  std::vector<ResultRow> out;
  std::vector<std::string> ways;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const std::string where = concat("'", file.string(), "', line ", i + 1);
    const auto f = csv_fields(lines[i]);
    D3AD_CHECK(f.size() == header.size(), where, ": ", f.size(), " fields, expected ", header.size());
    if (f[defect] != "all" || f[category] == "mean") continue;  // means are made anew, over all files
    const auto [of_method, of_protocol] = way_of(f);
    if (wanted.empty()) wanted = of_method;
    const std::string text = concat(of_method, ", ", of_protocol);
    if (std::find(ways.begin(), ways.end(), text) == ways.end()) ways.push_back(text);
    if (of_method != wanted || of_protocol != protocol) continue;
    ResultRow row{f[category], 0, {}};
    const auto [end, error] = std::from_chars(f[images].data(), f[images].data() + f[images].size(), row.images);
    D3AD_CHECK(error == std::errc() && end == f[images].data() + f[images].size() && row.images >= 0, where, ": '",
               printable(f[images]), "' is not a number of images");
    row.score = {100 * metric_field(f[i_auroc], where), 100 * metric_field(f[p_auroc], where),
                 100 * metric_field(f[pro], where)};
    out.push_back(std::move(row));
  }
  std::string known;
  for (const auto& w : ways) known += (known.empty() ? "" : "; ") + printable(w);
  D3AD_CHECK(!out.empty(), "'", file.string(), "' has no results ", method.empty() ? "" : concat("of '", method, "' "),
             "under the protocol '", protocol, "'", known.empty() ? "" : "; it has: " + known);
  return out;
}

}  // namespace d3ad::detail

namespace d3ad {

D3AD_INLINE std::vector<ResultRow> read_results(const std::vector<std::filesystem::path>& paths,
                                                const std::string& protocol, const std::string& method) {
  D3AD_CHECK(!paths.empty(), "table: no results were given");
  std::vector<ResultRow> out;
  for (const auto& path : paths) {
    std::error_code ignored;
    const bool folder = std::filesystem::is_directory(path, ignored);
    D3AD_CHECK(!folder || std::filesystem::exists(path / "metrics.csv", ignored), "'", path.string(),
               "' has no metrics.csv; it is not the folder of an evaluation");
    for (auto& row : detail::read_metrics(folder ? path / "metrics.csv" : path, protocol, method)) {
      const bool again = std::any_of(out.begin(), out.end(), [&](const auto& r) { return r.category == row.category; });
      D3AD_CHECK(!again, "table: results of category '", row.category, "' come twice, again in '", path.string(), "'");
      out.push_back(std::move(row));
    }
  }
  return out;
}

}  // namespace d3ad

namespace d3ad::detail {

D3AD_INLINE std::optional<PaperScore> mean_score(const std::vector<std::optional<PaperScore>>& all) {
  if (std::any_of(all.begin(), all.end(), [](const auto& s) { return !s; })) return std::nullopt;
  PaperScore mean;
  for (double PaperScore::*value : {&PaperScore::i_auroc, &PaperScore::p_auroc, &PaperScore::pro}) {
    double sum = 0;
    for (const auto& s : all) sum += (*s).*value;  // NaN if one is unknown
    mean.*value = sum / static_cast<double>(all.size());
  }
  return mean;
}

D3AD_INLINE std::vector<std::string> chosen_methods(const PaperDataset* dataset, const TableOptions& options) {
  if (!dataset) return {};
  const std::vector<std::string> known(dataset->methods.begin(), dataset->methods.end());
  if (options.methods == std::vector<std::string>{"all"}) return known;
  for (const auto& m : options.methods)
    D3AD_CHECK(std::find(known.begin(), known.end(), m) != known.end(), "table: the paper has no method '",
               printable(m), "' for ", dataset->name, nearest_names(known, m));
  return options.methods;
}

}  // namespace d3ad::detail

namespace d3ad {

D3AD_INLINE ResultsTable results_table(const std::vector<ResultRow>& results, const TableOptions& options) {
  std::vector<std::string> categories;
  for (const auto& r : results) categories.push_back(r.category);
  const PaperDataset* dataset =
      options.dataset.empty() ? paper_dataset_of(categories) : find_paper_dataset(options.dataset);
  D3AD_CHECK(dataset || options.dataset.empty(), "table: there is no data set '", options.dataset,
             "' in the paper, expected mvtec, visa or btad");
  D3AD_CHECK(dataset || !options.all_categories,
             "table: none of the categories is one of the paper's; to list all of a data set's, it has to be named");
  const auto methods = detail::chosen_methods(dataset, options);

  ResultsTable table{dataset ? dataset->name : "", {"ours"}, {}};
  for (const auto& m : methods) table.columns.push_back(m);
  std::vector<std::vector<std::optional<PaperScore>>> averaged(table.columns.size());
  const auto add = [&](const std::string& category, const ResultRow* ours) {
    const auto at = dataset ? paper_category(*dataset, category) : std::nullopt;
    ResultsTable::Row row{at ? dataset->categories[*at].name : category, {}, {}};
    if (ours) row.images = ours->images;
    row.scores.push_back(ours ? std::optional(ours->score) : std::nullopt);
    for (const auto& m : methods) row.scores.push_back(paper_score(*dataset, category, m));
    for (std::size_t c = 0; c < row.scores.size(); ++c)
      if (ours) averaged[c].push_back(row.scores[c]);
    table.rows.push_back(std::move(row));
  };

  std::size_t found = 0;  // categories of the data set
  if (dataset)
    for (const auto& known : dataset->categories) {
      const auto at = std::find_if(results.begin(), results.end(),
                                   [&](const ResultRow& r) { return detail::same_category(r.category, known.name); });
      if (at != results.end())
        ++found, add(at->category, &*at);
      else if (options.all_categories)
        add(known.name, nullptr);
    }
  for (const auto& r : results)
    if (!dataset || !paper_category(*dataset, r.category)) add(r.category, &r);

  const bool whole = dataset && found == dataset->categories.size() && found == results.size();
  ResultsTable::Row mean{concat("Average of ", results.size()), 0, {}, true};
  for (const auto& r : results) *mean.images += r.images;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    const auto published = whole && c > 0 ? paper_average(*dataset, methods[c - 1]) : std::nullopt;
    mean.scores.push_back(published ? published : detail::mean_score(averaged[c]));
  }
  table.rows.push_back(std::move(mean));
  if (whole || !dataset) return table;
  ResultsTable::Row published{concat("Average of all ", dataset->categories.size(), ", as published"), {}, {}, true};
  published.scores.push_back(std::nullopt);
  bool any = false;
  for (const auto& m : methods) {
    published.scores.push_back(paper_average(*dataset, m));
    any = any || published.scores.back();
  }
  if (any) table.rows.push_back(std::move(published));
  return table;
}

}  // namespace d3ad

namespace d3ad::detail {

D3AD_INLINE const char* method_note(const ResultsTable& table, std::size_t column) {
  return column > 0 && table.columns[column] == "D3AD" ? " (paper)" : "";
}

D3AD_INLINE std::string score_text(const std::optional<PaperScore>& score, bool pad, const char* none) {
  std::string out;
  for (const double v : {score ? score->i_auroc : NAN, score ? score->p_auroc : NAN, score ? score->pro : NAN}) {
    const std::string text = std::isfinite(v) ? fixed(v, 1) : none;
    out += (out.empty() ? "" : " / ") + (pad ? std::string(5 - std::min<std::size_t>(5, text.size()), ' ') : "") + text;
  }
  return out;
}

}  // namespace d3ad::detail

namespace d3ad {

D3AD_INLINE std::string table_text(const ResultsTable& table) {
  std::vector<std::vector<std::string>> rows{{"category", "images"}};
  for (std::size_t c = 0; c < table.columns.size(); ++c)
    rows.front().push_back(table.columns[c] + detail::method_note(table, c));
  for (const auto& r : table.rows) {
    rows.push_back({r.name, r.images ? std::to_string(*r.images) : "-"});
    for (const auto& s : r.scores) rows.back().push_back(detail::score_text(s, true));
  }
  return concat(table.dataset, table.dataset.empty() ? "" : ": ", "I-AUROC / P-AUROC / PRO, percent\n",
                align_columns(rows));
}

D3AD_INLINE std::string table_csv(const ResultsTable& table) {
  std::vector<std::string> header{"category", "images"};
  for (const auto& c : table.columns)
    for (const char* metric : {"i_auroc", "p_auroc", "pro"}) header.push_back(c + " " + metric);
  std::string out = csv_row(header);
  for (const auto& r : table.rows) {
    std::vector<std::string> fields{r.name, r.images ? std::to_string(*r.images) : ""};
    for (const auto& s : r.scores)
      for (const double v : {s ? s->i_auroc : NAN, s ? s->p_auroc : NAN, s ? s->pro : NAN})
        fields.push_back(std::isfinite(v) ? fixed(v, 2) : "");
    out += csv_row(fields);
  }
  return out;
}

D3AD_INLINE std::string table_markdown(const ResultsTable& table) {
  const auto escaped = [](const std::string& text) {
    std::string out;
    for (const char c : text) {
      if (std::string("\\|*_`<[").find(c) != std::string::npos) out += '\\';
      out += c == '\n' || c == '\r' ? ' ' : c;
    }
    return out;
  };
  std::string out = "| Category |", rule = "|---|";
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    out += " " + escaped(table.columns[c] + detail::method_note(table, c)) + " |";
    rule += "---:|";
  }
  out += "\n" + rule + "\n";
  for (const auto& r : table.rows) {
    const std::string mark = r.average ? "**" : "";
    out += "| " + mark + escaped(r.name) + mark + " |";
    for (const auto& s : r.scores) out += " " + detail::score_text(s, false) + " |";
    out += "\n";
  }
  return out + "\nI-AUROC / P-AUROC / PRO, percent.\n";
}

D3AD_INLINE std::string latex_escape(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
      case '%':
      case '$':
      case '#':
      case '_':
      case '{':
      case '}':
        out += std::string("\\") + c;
        break;
      case '\\':
        out += "\\textbackslash{}";
        break;
      case '~':
        out += "\\textasciitilde{}";
        break;
      case '^':
        out += "\\textasciicircum{}";
        break;
      case '\n':
      case '\r':
        out += ' ';
        break;
      default:
        out += c;
    }
  }
  return out;
}

D3AD_INLINE std::string table_latex(const ResultsTable& table) {
  std::string out = "% \\usepackage{booktabs}\n% I-AUROC / P-AUROC / PRO, percent\n\\begin{tabular}{l" +
                    std::string(table.columns.size(), 'r') + "}\n\\toprule\nCategory";
  for (std::size_t c = 0; c < table.columns.size(); ++c)
    out += " & " + latex_escape((c == 0 ? std::string("Ours") : table.columns[c]) + detail::method_note(table, c));
  out += " \\\\\n\\midrule\n";
  bool before_average = true;
  for (const auto& r : table.rows) {
    if (r.average && std::exchange(before_average, false)) out += "\\midrule\n";
    out += latex_escape(r.name);
    for (const auto& s : r.scores) out += " & " + detail::score_text(s, false, "--");
    out += " \\\\\n";
  }
  return out + "\\bottomrule\n\\end{tabular}\n";
}

}  // namespace d3ad
