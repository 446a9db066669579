// d3ad evaluate: metrics of a model on a labelled test set, as tables and CSV files.

#include <fmt/core.h>

#include <algorithm>
#include <d3ad/draw/picture.hpp>
#include <d3ad/evaluate.hpp>
#include <d3ad/report/report.hpp>
#include <nlohmann/json.hpp>
#include <optional>

#include "attributes.hpp"
#include "colour.hpp"
#include "device.hpp"
#include "program.hpp"

namespace program {

namespace {

using namespace d3ad;
namespace fs = std::filesystem;

struct EvaluateOptions {
  std::string model, data, out;
  std::vector<std::string> categories;
  int batch = 4;
  bool panels = false, baselines = false, report = true, json = false;
  SettingsOptions settings;
  CommonOptions common;
  ProcessOptions processes;
};

// attributes: of the images' method.
void write_results(const EvaluateOptions& o, const std::vector<MetricRow>& rows, const std::vector<ImageRow>& images,
                   const std::vector<Attribute>& attributes) {
  std::vector<std::string> header{"category", "defect", "method", "protocol", "images"};
  for (const Metric& m : kMetrics) header.push_back(m.key);
  std::string metrics = csv_row(header);
  for (const auto& r : rows) {
    std::vector<std::string> fields{r.category, r.defect, r.method, r.protocol, std::to_string(r.images)};
    for (const Metric& m : kMetrics) fields.push_back(number(r.*m.value));
    metrics += csv_row(fields);
  }
  write_atomically(fs::path(o.out) / "metrics.csv", std::string_view(metrics));
  header = {"file", "label"};
  for (const auto& attribute : attributes)
    if (attribute.brief) header.push_back(attribute.name);
  header.insert(header.end(), {"score", "verdict", "defect", "score_paper"});
  std::string scores = csv_row(header);
  for (const auto& i : images) {
    std::vector<std::string> fields{i.file, i.anomalous ? "1" : "0"};
    for (std::size_t a = 0; a < attributes.size(); ++a)
      if (attributes[a].brief) fields.push_back(number(i.attributes[a]));
    fields.insert(fields.end(), {number(i.score), i.faulty ? "faulty" : "good", i.defect, number(i.paper_score)});
    scores += csv_row(fields);
  }
  write_atomically(fs::path(o.out) / "scores.csv", std::string_view(scores));
}

std::string title(const MetricRow& row, const std::string& of_model) {
  const MethodInfo& info = method_info(row.method);
  if (row.method != of_model) return concat("Baseline: ", info.title, " (percent)");
  if (row.protocol == "paper")
    return concat(info.title, ", paper's protocol: maps scaled by the range of the whole test set (percent)");
  return concat(info.title,
                ", calibrated: ranges and threshold from good images of the training set, as detect (percent)");
}

// A table for each method and protocol, in the order in which they come.
void print_tables(const std::vector<MetricRow>& rows, const std::string& of_model) {
  std::vector<std::pair<std::string, std::string>> printed;
  for (const auto& first : rows) {
    const std::pair which{first.method, first.protocol};
    if (std::find(printed.begin(), printed.end(), which) != printed.end()) continue;
    printed.push_back(which);
    std::vector<std::vector<std::string>> table{{"category", "defect", "images"}};
    for (const Metric& m : kMetrics) table.front().push_back(m.title);
    for (const auto& r : rows) {
      if (std::pair{r.method, r.protocol} != which) continue;
      table.push_back({r.category, r.defect, std::to_string(r.images)});
      for (const Metric& m : kMetrics) table.back().push_back(percent(r.*m.value));
    }
    fmt::print("{}\n{}\n", paint(Tone::heading, title(first, of_model), stdout),
               paint_table(align_columns(table), stdout));
  }
}

// What happened at a category's threshold.
struct Verdicts {
  std::string category;
  float threshold = 0, false_alarm_rate = 0;
  VerdictCounts counts;
};

void print_verdicts(const std::vector<Verdicts>& all) {
  for (const auto& [category, threshold, rate, c] : all)
    fmt::print("{}: threshold {} (at most {} % false alarms promised): {} of {} faulty images found, {}\n", category,
               fixed(threshold, 4), fixed(100 * rate, 1), c.found, c.faulty,
               paint(static_cast<float>(c.alarms) > rate * static_cast<float>(c.good) ? Tone::note : Tone::good,
                     concat(c.alarms, " of ", c.good, " good ones called faulty"), stdout));
}

void print_json(const std::vector<MetricRow>& rows, const std::vector<Verdicts>& verdicts) {
  using Json = nlohmann::ordered_json;
  Json all = {{"metrics", Json::array()}, {"verdicts", Json::array()}};
  for (const auto& r : rows) {
    Json row = {{"category", r.category},
                {"defect", r.defect},
                {"method", r.method},
                {"protocol", r.protocol},
                {"images", r.images}};
    for (const Metric& m : kMetrics) row[m.key] = std::isfinite(r.*m.value) ? Json(r.*m.value) : Json();
    all["metrics"].push_back(std::move(row));
  }
  for (const auto& [category, threshold, rate, c] : verdicts)
    all["verdicts"].push_back({{"category", category},
                               {"threshold", threshold},
                               {"false_alarm_rate", rate},
                               {"faulty", c.faulty},
                               {"found", c.found},
                               {"good", c.good},
                               {"false_alarms", c.alarms}});
  fmt::print("{}\n", all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

template <class Device>
int run(Context<Device>& ctx, const EvaluateOptions& o) {
  const bool writes = processes().first();
  if (writes) create_folders(o.out);
  command_line::InterruptGuard guard;
  std::vector<std::string> categories = o.categories;
  if (categories.empty()) categories.push_back("");
  std::vector<MetricRow> rows;
  std::vector<ImageRow> images;
  std::vector<Attribute> attributes;
  std::string method;
  int skipped = 0;
  std::vector<Verdicts> verdicts;
  for (const auto& category : categories) {
    Detector<Device> detector(ctx, model_of(o.model, category), [&](Settings& s) { o.settings.apply(s); });
    const std::string& of_category = detector.method().info().name;
    D3AD_CHECK(method.empty() || method == of_category, "the models in '", o.model, "' are of several methods, ",
               method, " and ", of_category, "; evaluate them one after the other");
    method = of_category, attributes = detector.method().info().attributes;
    const Dataset dataset = open_dataset(o.data, category);
    for (const auto& w : dataset.warnings)
      if (writes) std::fprintf(stderr, "%s\n", paint(Tone::note, "d3ad: note: " + w, stderr).c_str());
    std::optional<command_line::Progress> progress;
    EvaluationOptions options;
    options.batch = o.batch;
    options.baselines = o.baselines;
    options.group = &processes();
    options.stop = [] { return command_line::InterruptGuard::interrupted(); };
    options.progress = [&](std::int64_t done, std::int64_t total) {
      if (o.common.quiet) return;
      if (!progress) progress.emplace(dataset.category, total);
      progress->show(done);
    };
    detector.set_tiles(o.batch, [](int, int) {
      if (processes().size() == 1 && command_line::InterruptGuard::interrupted())
        throw Interrupted("evaluate: stopped; nothing was written");
    });
    Report report(detector);
    options.each = [&](const Sample& sample, const Detection& d) {
      if (o.report) report.add(sample, d);
      if (o.panels) {
        const auto folder = fs::path(o.out) / dataset.category / sample.defect;
        create_folders(folder);
        auto panels = draw::detection_panels(d.input, d.reconstruction, d.map, d.width, d.height, detector.brightest(),
                                             detector.calibration().threshold);
        std::vector<std::string> labels = draw::panel_captions(!d.reconstruction.empty());
        const std::string brief = brief_text(d.attributes, "");
        labels[labels.size() - 2] = concat("score ", fixed(d.score, 3), brief.empty() ? "" : " ", brief);
        labels.back() = d.faulty ? "faulty" : "good";
        if (sample.mask) {
          panels.push_back(resize(sample_mask(sample), d.width, d.height));
          labels.push_back("ground truth");
        }
        write_png(folder / (sample.image.stem().string() + ".png"), draw::side_by_side(panels, labels));
      }
    };
    auto result = evaluate(detector, dataset, options);
    if (!writes) continue;
    if (o.report) {
      const std::string name = categories.size() > 1 ? "report-" + dataset.category + ".html" : "report.html";
      write_atomically(fs::path(o.out) / name,
                       std::string_view(report.html(result, {.program = "d3ad " D3AD_VERSION, .data = o.data})));
    }
    for (const auto& s : result.skipped) std::fprintf(stderr, "d3ad: left out: %s\n", s.c_str());
    skipped += static_cast<int>(result.skipped.size());
    rows.insert(rows.end(), result.rows.begin(), result.rows.end());
    images.insert(images.end(), result.images.begin(), result.images.end());
    verdicts.push_back({dataset.category, detector.calibration().threshold, detector.calibration().false_alarm_rate,
                        count_verdicts(result.images)});
  }
  // All end alike, and when everything is written.
  const auto end = [&] {
    processes().broadcast(&skipped, sizeof(skipped));
    return skipped ? 2 : 0;
  };
  if (!writes) return end();
  for (auto& mean : mean_rows(rows)) rows.push_back(std::move(mean));
  write_results(o, rows, images, attributes);
  if (o.json) {
    print_json(rows, verdicts);
  } else {
    print_tables(rows, method);
    print_verdicts(verdicts);
  }
  return end();
}

}  // namespace

fs::path model_of(const fs::path& model, const std::string& category) {
  return !category.empty() && !fs::exists(model / "config.json") && fs::exists(model / category / "config.json")
             ? model / category
             : model;
}

void add_evaluate(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand(
      "evaluate", "metrics of a model on a labelled test set: table, metrics.csv, scores.csv, report.html");
  auto o = std::make_shared<EvaluateOptions>();
  command->add_option("--model", o->model, "folder of a trained model, or of one model for each category")->required();
  command->add_option("--data", o->data, "folder of categories (MVTec AD, VisA, BTAD)")->required();
  command->add_option("--category", o->categories, "categories in --data; none: --data is the category's own folder");
  command->add_option("--out", o->out, "folder for metrics.csv, scores.csv and pictures")->required();
  command->add_flag("--heat-maps", o->panels,
                    "write a picture of each image: input, reconstruction, map, overlay, mask");
  command->add_flag("--baselines", o->baselines,
                    "also judge the baselines on the same images: mean good image, VAE alone");
  command->add_flag("!--no-report", o->report, "do not write report.html (one for each category if there are several)");
  command->add_flag("--json", o->json, "JSON on stdout instead of tables: metrics and verdicts");
  command->add_option("--batch", o->batch, "Batch size, in images (tiles for tiled models)")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  o->settings.add(*command, SettingsOptions::Part::detection);
  o->common.add(*command);
  o->processes.add(*command);
  command->footer(
      "metrics.csv holds fractions, one row for each category, defect type and mean, by method and protocol.\n"
      "Exit code: 0, or 2 if an image could not be read (it is reported, the others count).\n"
      "mpirun -n 4 d3ad evaluate ... shares the images among four processes and writes the same files.");
  command->callback([o, &exit_code] {
    o->processes.apply(o->common);
    on_device(o->common, [&](auto& ctx) { exit_code = run(ctx, *o); });
  });
}

}  // namespace program
