// d3ad figure: the figures of the paper, from a model and its test images, as PNG or SVG.

#include <d3ad/detect.hpp>
#include <d3ad/methods/d3ad/method.hpp>
#include <d3ad/report/figure_bins.hpp>
#include <d3ad/report/figure_grid.hpp>
#include <d3ad/report/figure_noising.hpp>
#include <d3ad/report/figure_omega.hpp>
#include <d3ad/report/figure_scaling.hpp>
#include <optional>
#include <set>

#include "colour.hpp"
#include "device.hpp"
#include "program.hpp"

namespace program {

namespace {

using namespace d3ad;
namespace fs = std::filesystem;

struct FigureOptions {
  std::string out, model, data, category;
  std::vector<std::string> images, defects;
  int each = 1, tests = 0, batch = 4;
  double cell = 128;
  std::vector<double> values{0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1};
  std::vector<fs::path> files;
  int size = 256;
  NoisingOptions noising;
  SettingsOptions settings;
  CommonOptions common;
};

// What is wrong with the name of the file is said before long work, and its folder is made.
void prepare(const std::string& out) {
  draw::drawing_format(out);
  if (const auto folder = fs::path(out).parent_path(); !folder.empty()) create_folders(folder);
}

// Progress and Ctrl-C of one piece of long work.
class Watched {
 public:
  Watched(std::string label, bool quiet) : label_(std::move(label)), quiet_(quiet) {}
  FigureWork work() {
    return {.progress = [this](std::int64_t done, std::int64_t total) { show(done, total); },
            .stop = [] { return command_line::InterruptGuard::interrupted(); }};
  }
  void show(std::int64_t done, std::int64_t total) {
    if (quiet_) return;
    if (!progress_) progress_.emplace(label_, total);
    progress_->show(done);
  }

 private:
  std::string label_;
  bool quiet_;
  std::optional<command_line::Progress> progress_;
};

// Says which images could not be read; the exit code.
int report_skipped(const std::vector<std::string>& skipped) {
  for (const auto& s : skipped) std::fprintf(stderr, "d3ad: left out: %s\n", s.c_str());
  return skipped.empty() ? 0 : 2;
}

Dataset test_set(const FigureOptions& o) {
  Dataset dataset = open_dataset(o.data, o.category);
  for (const auto& w : dataset.warnings)
    std::fprintf(stderr, "%s\n", paint(Tone::note, "d3ad: note: " + w, stderr).c_str());
  return dataset;
}

template <class Device>
Detector<Device> detector_of(Context<Device>& ctx, const FigureOptions& o, std::optional<double> omega = {}) {
  return Detector<Device>(ctx, model_of(o.model, o.category), [&](Settings& s) {
    o.settings.apply(s);
    if (omega) s.denoising.omega = *omega;
  });
}

SampleChoice choice_of(const FigureOptions& o) { return {.images = o.images, .defects = o.defects, .each = o.each}; }

template <class Device>
void draw_rows(Context<Device>& ctx, const FigureOptions& o, bool scaling) {
  prepare(o.out);
  const command_line::InterruptGuard guard;
  const auto samples = choose_samples(test_set(o), choice_of(o));
  auto detector = detector_of(ctx, o);
  Watched watched("figure", o.common.quiet);
  const GridOptions options{.cell = o.cell, .work = watched.work()};
  const std::string category = detector.config().category;
  if (scaling)
    draw::write_drawing(o.out, scaling_figure(detector, samples, options), "Scaling and noising: " + category);
  else
    draw::write_drawing(o.out, grid_figure(detector, samples, options), "What was found: " + category);
}

template <class Device>
int draw_bins(Context<Device>& ctx, const FigureOptions& o) {
  prepare(o.out);
  const command_line::InterruptGuard guard;
  const Dataset dataset = test_set(o);
  auto detector = detector_of(ctx, o);
  Watched watched("figure", o.common.quiet);
  const BinCounts counts = count_bins(detector, dataset, o.batch, watched.work());
  draw::write_drawing(o.out, bins_figure(counts, dataset.category), "Chosen bins: " + dataset.category);
  return report_skipped(counts.skipped);
}

template <class Device>
int draw_omega(Context<Device>& ctx, const FigureOptions& o) {
  prepare(o.out);
  const command_line::InterruptGuard guard;
  std::vector<double> values = o.values;
  std::sort(values.begin(), values.end());
  D3AD_CHECK(std::adjacent_find(values.begin(), values.end()) == values.end(), "--values: a value comes twice");
  Dataset dataset = test_set(o);
  const auto shown = choose_samples(dataset, choice_of(o));
  if (o.tests > 0) {
    auto some = choose_samples(dataset, {.each = o.tests});
    std::set<fs::path> have;
    for (const auto& s : some) have.insert(s.image);
    for (const auto& s : shown)
      if (have.insert(s.image).second) some.push_back(s);
    dataset.test = std::move(some);
  }
  OmegaSweep sweep(shown);
  std::vector<std::string> skipped;
  for (const double omega : values) {
    auto detector = detector_of(ctx, o, omega);
    as_d3ad(detector.method());
    Watched watched("omega " + number(omega), o.common.quiet);
    EvaluationOptions options;
    options.batch = o.batch;
    options.stop = [] { return command_line::InterruptGuard::interrupted(); };
    options.progress = [&](std::int64_t done, std::int64_t total) { watched.show(done, total); };
    skipped = sweep.add(detector, dataset, options).skipped;
  }
  const std::string title =
      concat("Noise at the start, ω: ", dataset.category, ", ", dataset.test.size() - skipped.size(), " test images");
  draw::write_drawing(o.out, sweep.figure({.cell = o.cell, .title = title}), title);
  return report_skipped(skipped);
}

void draw_noising(const FigureOptions& o) {
  prepare(o.out);
  noising_times(o.noising.t_max, o.noising.columns);
  std::vector<NamedInput> inputs;
  for (const auto& path : collect_images(o.files)) inputs.push_back({path.stem().string(), read_input(path, o.size)});
  NoisingOptions options = o.noising;
  options.cell = o.cell;
  draw::write_drawing(o.out, noising_figure(inputs, o.size, options), "Forward noising and noiseless scaling");
}

void add_out(CLI::App& figure, FigureOptions& o) {
  figure.add_option("--out", o.out, "file to write: .png or .svg, with the pictures in it")->required();
}
void add_cell(CLI::App& figure, FigureOptions& o) {
  figure
      .add_option("--cell", o.cell, "side of each picture in the figure, in pixels of an SVG; a PNG has twice as many")
      ->check(CLI::Range(16.0, 1024.0))
      ->capture_default_str();
}
void add_model(CLI::App& figure, FigureOptions& o) {
  figure.add_option("--model", o.model, "folder of a trained model, or of one model for each category")->required();
  figure.add_option("--data", o.data, "folder of categories (MVTec AD, VisA, BTAD)")->required();
  figure.add_option("--category", o.category, "category in --data; none: --data is the category's own folder");
}
void add_choice(CLI::App& figure, FigureOptions& o) {
  auto* images = figure.add_option("--image", o.images, "test images to show, by kind and name, as scratch/000");
  figure.add_option("--defects", o.defects, "kinds of test images to show (good is one), comma-separated; none: all")
      ->delimiter(',')
      ->excludes(images);
  figure.add_option("--each", o.each, "images of each kind to show, the first ones by name")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str()
      ->excludes(images);
}
void add_batch(CLI::App& figure, FigureOptions& o) {
  figure.add_option("--batch", o.batch, "Batch size, in images (tiles for tiled models)")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
}

}  // namespace

void add_figure(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("figure", "the paper's figures of a model, as PNG or SVG");
  command->require_subcommand(1);
  command->footer("d3ad figure NAME --help has the options of each.");
  const auto add = [&](const char* name, const char* what) {
    auto* figure = command->add_subcommand(name, what);
    auto o = std::make_shared<FigureOptions>();
    add_out(*figure, *o);
    return std::pair{figure, o};
  };

  {
    const auto made = add("grid", "input, reconstruction, true mask, heat map and overlay of chosen test images");
    auto* figure = made.first;
    auto o = made.second;
    add_model(*figure, *o), add_choice(*figure, *o), add_cell(*figure, *o);
    o->settings.add(*figure, SettingsOptions::Part::detection);
    o->common.add(*figure);
    figure->callback([o] { on_device(o->common, [&](auto& ctx) { draw_rows(ctx, *o, false); }); });
  }
  {
    const auto made = add("noising", "forward noising beside noiseless scaling of images, in pixels; needs no model");
    auto* figure = made.first;
    auto o = made.second;
    figure->add_option("IMAGE", o->files, "images, folders of images, or lists (.txt, a path a line)")->required();
    figure->add_option("--t-max", o->noising.t_max, "the last step, 1 to 999")->capture_default_str();
    figure->add_option("--columns", o->noising.columns, "steps shown, from 0 to the last")->capture_default_str();
    figure->add_option("--size", o->size, "side of the square the images are resized to")
        ->check(CLI::Range(8, 4096))
        ->capture_default_str();
    figure->add_option("--seed", o->noising.seed, "seed of the noise")->capture_default_str();
    add_cell(*figure, *o);
    figure->callback([o] { draw_noising(*o); });
  }
  {
    const auto made =
        add("omega", "metrics for values of omega, the noise at the start, and reconstructions with each");
    auto* figure = made.first;
    auto o = made.second;
    o->cell = 96;
    add_model(*figure, *o), add_choice(*figure, *o), add_cell(*figure, *o), add_batch(*figure, *o);
    figure->add_option("--values", o->values, "values of omega, 0 to 1, comma-separated")
        ->delimiter(',')
        ->check(CLI::Range(0.0, 1.0))
        ->capture_default_str();
    figure->add_option("--tests", o->tests, "test images of each kind that count, the first ones by name; 0: all")
        ->check(CLI::Range(0, 1000000))
        ->capture_default_str();
    o->settings.add(*figure, SettingsOptions::Part::detection);
    figure->remove_option(figure->get_option("--omega"));
    o->common.add(*figure);
    figure->footer(
        "The whole test set is evaluated once for each value, under the paper's protocol.\n"
        "Exit code: 0, or 2 if an image could not be read (it is reported, the others count).");
    figure->callback([o, &exit_code] { on_device(o->common, [&](auto& ctx) { exit_code = draw_omega(ctx, *o); }); });
  }
  {
    const auto made = add("scaling", "start of denoising, reconstruction and map with omega = 0 beside omega = 1");
    auto* figure = made.first;
    auto o = made.second;
    add_model(*figure, *o), add_choice(*figure, *o), add_cell(*figure, *o);
    o->settings.add(*figure, SettingsOptions::Part::detection);
    figure->remove_option(figure->get_option("--omega"));
    o->common.add(*figure);
    figure->callback([o] { on_device(o->common, [&](auto& ctx) { draw_rows(ctx, *o, true); }); });
  }
  {
    const auto made = add("bins", "which bins of the distance training and test images are in, and their perturbation");
    auto* figure = made.first;
    auto o = made.second;
    add_model(*figure, *o), add_batch(*figure, *o);
    o->common.add(*figure);
    figure->footer("Exit code: 0, or 2 if an image could not be read (it is reported, the others count).");
    figure->callback([o, &exit_code] { on_device(o->common, [&](auto& ctx) { exit_code = draw_bins(ctx, *o); }); });
  }
}

}  // namespace program
