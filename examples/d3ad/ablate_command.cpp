// d3ad ablate: a model's metrics over a grid of options, with a table, a CSV file and a plot.

#include <fmt/core.h>

#include <d3ad/ablation/ablate.hpp>
#include <d3ad/ablation/ablate_plot.hpp>
#include <d3ad/evaluate.hpp>
#include <optional>

#include "colour.hpp"
#include "device.hpp"
#include "program.hpp"

namespace program {

namespace {

using namespace d3ad;
namespace fs = std::filesystem;

struct AblateOptions {
  std::string model, data, category, out;
  std::vector<std::string> grid;
  int batch = 4;
  CommonOptions common;
};

// A bar for each stage of each point.
TrainEvents show(std::optional<command_line::Progress>& progress, std::string& stage, bool quiet) {
  TrainEvents e;
  e.stop = [] { return command_line::InterruptGuard::interrupted(); };
  if (quiet) return e;
  e.progress = [&](const char* name, std::int64_t done, std::int64_t total, const std::string& text) {
    if (stage != name) {
      stage = name;
      progress.emplace(stage, total,
                       stage == "train" || stage == "adapt" ? "steps"
                       : stage == "score"                   ? "points"
                                                            : "images");
    }
    progress->show(done, text);
  };
  e.note = [&](const std::string& text) {
    progress.reset();
    stage.clear();
    fmt::print(stderr, "{}\n", text);
  };
  return e;
}

template <class Device>
int run(Context<Device>& ctx, const AblateOptions& o) {
  const AblationGrid grid(o.grid);
  const Dataset dataset = open_dataset(o.data, o.category);
  command_line::InterruptGuard guard;
  std::optional<command_line::Progress> progress;
  std::string stage;
  Ablation<Device> ablation(ctx, {.model = o.model, .out = o.out, .batch = o.batch, .numbers = o.common.precision},
                            grid, dataset, show(progress, stage, o.common.quiet));
  const auto result = ablation.run();
  progress.reset();
  for (const std::string protocol : kProtocols)
    fmt::print("{}\n{}\n",
               paint(Tone::heading,
                     protocol == "paper" ? "Paper's protocol: maps scaled by the range of the whole test set (percent)"
                                         : "Calibrated: ranges from good images of the training set (percent)",
                     stdout),
               paint_table(ablation_table(result, protocol), stdout));
  fmt::print("* the best mean of I-AUROC, P-AUROC and PRO\n");
  if (!o.common.quiet) fmt::print(stderr, "{0}/ablation.csv, {0}/ablation.svg\n", o.out);
  for (const auto& s : result.skipped) std::fprintf(stderr, "d3ad: left out: %s\n", s.c_str());
  return result.skipped.empty() ? 0 : 2;
}

}  // namespace

void add_ablate(CLI::App& app, int& exit_code) {
  auto* command =
      app.add_subcommand("ablate", "metrics of a model over a grid of options: table, ablation.csv, ablation.svg");
  auto o = std::make_shared<AblateOptions>();
  command->add_option("--model", o->model, "folder of a trained model")->required();
  command->add_option("--data", o->data, "folder of categories (MVTec AD, VisA, BTAD)")->required();
  command->add_option("--category", o->category, "category in --data; none: --data is the category's own folder");
  command
      ->add_option("--grid", o->grid,
                   "OPTION=VALUES, for each option that is to be changed: values with commas between, ranges "
                   "from:to:step (both ends included), lists with + (map_layers=2,2+3). Any setting, vae and "
                   "extractor (files, or the word model)")
      ->required()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_option("--out", o->out, "folder for ablation.csv, ablation.svg and what goes on from a stop")
      ->required();
  command->add_option("--batch", o->batch, "Batch size, in images (tiles for tiled models)")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  o->common.add(*command);
  command->footer(
      "All combinations of the values are judged. What points have in common is computed once: over lambda, sigma and\n"
      "map_layers the test images are denoised once; steps, eta, eta2, omega, sample_posterior and weights denoise "
      "them "
      "again;\n"
      "k, bins, T_max, dynamic and dic_layer calibrate the model again, gamma, adapt_learning_rate and extractor adapt "
      "it,\n"
      "vae and settings of training train it, in OUT/work, from where they can be taken.\n"
      "A point is what d3ad evaluate prints with its options, on the model d3ad train, adapt or calibrate makes with "
      "them.\n"
      "Ctrl-C stops; the same command goes on, and another grid on the same model takes over the points there are.");
  command->callback([o, &exit_code] { on_device(o->common, [&](auto& ctx) { exit_code = run(ctx, *o); }); });
}

}  // namespace program
