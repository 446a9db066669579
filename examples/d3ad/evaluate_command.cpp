// d3ad evaluate: metrics of a model on a labelled test set, as tables and CSV files.

#include <fmt/core.h>

#include <optional>

#include "colour.hpp"
#include "program.hpp"

namespace program {

namespace {

using namespace d3ad;
namespace fs = std::filesystem;

struct Options {
  std::string model, data, out;
  std::vector<std::string> categories;
  int batch = 4;
  bool panels = false, baselines = false, report = true, json = false;
  SettingsOptions settings;
  CommonOptions common;
};

std::vector<std::string> csv_values(const MetricRow& r) {
  return {number(r.i_auroc), number(r.p_auroc), number(r.pro),     number(r.aupro),
          number(r.i_ap),    number(r.p_ap),    number(r.i_f1max), number(r.p_f1max)};
}

void write_results(const Options& o, const std::vector<MetricRow>& rows, const std::vector<ImageRow>& images) {
  std::string metrics = "category,defect,protocol,images,i_auroc,p_auroc,pro,aupro,i_ap,p_ap,i_f1max,p_f1max\n";
  for (const auto& r : rows) {
    std::vector<std::string> fields{r.category, r.defect, r.protocol, std::to_string(r.images)};
    for (auto& v : csv_values(r)) fields.push_back(std::move(v));
    metrics += csv_row(fields);
  }
  write_atomically(fs::path(o.out) / "metrics.csv", std::string_view(metrics));
  std::string scores = "file,label,T_hat,score,verdict,defect,score_paper\n";
  for (const auto& i : images)
    scores += csv_row({i.file, i.anomalous ? "1" : "0", std::to_string(i.T_hat), number(i.score),
                       i.faulty ? "faulty" : "good", i.defect, number(i.paper_score)});
  write_atomically(fs::path(o.out) / "scores.csv", std::string_view(scores));
}

const char* title(const std::string& protocol) {
  if (protocol == "paper") return "Paper's protocol: maps scaled by the range of the whole test set (percent)";
  if (protocol == "calibrated")
    return "Calibrated: ranges and threshold from good images of the training set, as detect (percent)";
  if (protocol == "baseline_mean_image")
    return "Baseline without diffusion: difference to the mean good image (percent)";
  return "Baseline without diffusion: features of the image against those of its VAE reconstruction (percent)";
}

void print_tables(const std::vector<MetricRow>& rows) {
  for (const std::string protocol : kProtocols) {
    std::vector<std::vector<std::string>> table{
        {"category", "defect", "images", "I-AUROC", "P-AUROC", "PRO", "AUPRO", "I-AP", "P-AP", "I-F1max", "P-F1max"}};
    for (const auto& r : rows) {
      if (r.protocol != protocol) continue;
      table.push_back({r.category, r.defect, std::to_string(r.images), percent(r.i_auroc), percent(r.p_auroc),
                       percent(r.pro), percent(r.aupro), percent(r.i_ap), percent(r.p_ap), percent(r.i_f1max),
                       percent(r.p_f1max)});
    }
    if (table.size() > 1)
      fmt::print("{}\n{}\n", paint(Tone::heading, title(protocol), stdout), paint_table(align(table), stdout));
  }
}

// What happened at a category's threshold.
struct Verdicts {
  std::string category;
  double threshold = 0, false_alarm_rate = 0;
  int faulty = 0, found = 0, good = 0, alarms = 0;
};

void print_verdicts(const std::vector<Verdicts>& all) {
  for (const auto& v : all)
    fmt::print("{}: threshold {} (at most {} % false alarms promised): {} of {} faulty images found, {}\n", v.category,
               fixed(v.threshold, 4), fixed(100 * v.false_alarm_rate, 1), v.found, v.faulty,
               paint(v.alarms > v.false_alarm_rate * v.good ? Tone::note : Tone::good,
                     concat(v.alarms, " of ", v.good, " good ones called faulty"), stdout));
}

void print_json(const std::vector<MetricRow>& rows, const std::vector<Verdicts>& verdicts) {
  const auto known = [](double v) { return std::isfinite(v) ? nlohmann::ordered_json(v) : nlohmann::ordered_json(); };
  nlohmann::ordered_json all = {{"metrics", nlohmann::ordered_json::array()},
                                {"verdicts", nlohmann::ordered_json::array()}};
  for (const auto& r : rows)
    all["metrics"].push_back({{"category", r.category},
                              {"defect", r.defect},
                              {"protocol", r.protocol},
                              {"images", r.images},
                              {"i_auroc", known(r.i_auroc)},
                              {"p_auroc", known(r.p_auroc)},
                              {"pro", known(r.pro)},
                              {"aupro", known(r.aupro)},
                              {"i_ap", known(r.i_ap)},
                              {"p_ap", known(r.p_ap)},
                              {"i_f1max", known(r.i_f1max)},
                              {"p_f1max", known(r.p_f1max)}});
  for (const auto& v : verdicts)
    all["verdicts"].push_back({{"category", v.category},
                               {"threshold", v.threshold},
                               {"false_alarm_rate", v.false_alarm_rate},
                               {"faulty", v.faulty},
                               {"found", v.found},
                               {"good", v.good},
                               {"false_alarms", v.alarms}});
  fmt::print("{}\n", all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

// A model for one category, or a folder with a model for each.
fs::path model_of(const Options& o, const std::string& category) {
  const fs::path model = o.model;
  return !category.empty() && !fs::exists(model / "config.json") && fs::exists(model / category / "config.json")
             ? model / category
             : model;
}

int run(const Options& o) {
  Context<Cpu> ctx({.threads = o.common.threads});
  create_folders(o.out);
  InterruptGuard guard;
  std::vector<std::string> categories = o.categories;
  if (categories.empty()) categories.push_back("");
  std::vector<MetricRow> rows;
  std::vector<ImageRow> images;
  int skipped = 0;
  std::vector<Verdicts> verdicts;
  for (const auto& category : categories) {
    Detector<Cpu> detector(ctx, model_of(o, category), [&](Settings& s) { o.settings.apply(s); });
    const Dataset dataset = open_dataset(o.data, category);
    for (const auto& w : dataset.warnings)
      std::fprintf(stderr, "%s\n", paint(Tone::note, "d3ad: note: " + w, stderr).c_str());
    std::optional<Progress> progress;
    EvaluationOptions options;
    options.batch = o.batch;
    options.baselines = o.baselines;
    options.stop = [] { return InterruptGuard::interrupted(); };
    options.progress = [&](std::int64_t done, std::int64_t total) {
      if (o.common.quiet) return;
      if (!progress) progress.emplace(dataset.category, total);
      progress->show(done);
    };
    Report report(detector);
    options.each = [&](const Sample& sample, const Detection& d) {
      if (o.report) report.add(sample, d);
      if (o.panels) {
        const int size = detector.image_size();
        const auto folder = fs::path(o.out) / dataset.category / sample.defect;
        create_folders(folder);
        auto panels = detection_panels(d.input, d.reconstruction, d.map, size, detector.brightest(),
                                       detector.calibration().threshold);
        std::vector<std::string> labels{"input", "as if good",
                                        concat("score ", fixed(d.score, 3), " T ", d.conditioning.T_hat),
                                        d.faulty ? "faulty" : "good"};
        if (sample.mask) {
          panels.push_back(resize(sample_mask(sample), size, size));
          labels.push_back("ground truth");
        }
        write_png(folder / (sample.image.stem().string() + ".png"), side_by_side(panels, labels));
      }
    };
    auto result = evaluate(detector, dataset, options);
    if (o.report) {
      const std::string name = categories.size() > 1 ? "report-" + dataset.category + ".html" : "report.html";
      write_atomically(fs::path(o.out) / name,
                       std::string_view(report.html(result, {.program = "d3ad " D3AD_VERSION, .data = o.data})));
    }
    for (const auto& s : result.skipped) std::fprintf(stderr, "d3ad: left out: %s\n", s.c_str());
    skipped += static_cast<int>(result.skipped.size());
    rows.insert(rows.end(), result.rows.begin(), result.rows.end());
    images.insert(images.end(), result.images.begin(), result.images.end());
    Verdicts v{.category = dataset.category,
               .threshold = double{detector.calibration().threshold},
               .false_alarm_rate = double{detector.calibration().false_alarm_rate}};
    for (const auto& i : result.images) {
      (i.anomalous ? v.faulty : v.good) += 1;
      (i.anomalous ? v.found : v.alarms) += i.faulty;
    }
    verdicts.push_back(std::move(v));
  }
  for (auto& mean : mean_rows(rows)) rows.push_back(std::move(mean));
  write_results(o, rows, images);
  if (o.json) {
    print_json(rows, verdicts);
  } else {
    print_tables(rows);
    print_verdicts(verdicts);
  }
  return skipped ? 2 : 0;
}

}  // namespace

void add_evaluate(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand(
      "evaluate", "metrics of a model on a labelled test set: table, metrics.csv, scores.csv, report.html");
  auto o = std::make_shared<Options>();
  command->add_option("--model", o->model, "folder of a trained model, or of one model for each category")->required();
  command->add_option("--data", o->data, "folder of categories (MVTec AD, VisA, BTAD)")->required();
  command->add_option("--category", o->categories, "categories in --data; none: --data is the category's own folder");
  command->add_option("--out", o->out, "folder for metrics.csv, scores.csv and pictures")->required();
  command->add_flag("--heat-maps", o->panels,
                    "write a picture of each image: input, reconstruction, map, overlay, mask");
  command->add_flag("--baselines", o->baselines,
                    "also judge two detectors without diffusion: mean good image, VAE reconstruction alone");
  command->add_flag("!--no-report", o->report,
                    "do not write report.html (one for each category where there are several)");
  command->add_flag("--json", o->json, "JSON on stdout instead of tables: metrics and verdicts");
  command->add_option("--batch", o->batch, "images computed together")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  o->settings.add(*command, SettingsOptions::Part::detection);
  o->common.add(*command);
  command->footer(
      "metrics.csv holds fractions, one row for each category, defect type and mean, under both protocols.\n"
      "Exit code: 0, or 2 where an image could not be read (it is reported, the others count).");
  command->callback([o, &exit_code] { exit_code = run(*o); });
}

}  // namespace program
