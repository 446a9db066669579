// d3ad train, adapt, calibrate: from a folder of good images to a model.

#include <fmt/core.h>

#include <d3ad/train.hpp>
#include <optional>
#include <tuple>

#include "device.hpp"
#include "program.hpp"

namespace program {

namespace {

using namespace d3ad;
namespace fs = std::filesystem;

struct TrainOptions {
  std::string data, category, vae, extractor, model;
  bool copy_vae = false;
  double checkpoint_seconds = 60;
  SettingsOptions settings;
  CommonOptions common;
  ProcessOptions processes;
};

// Progress bars by stage, and the flag of Ctrl-C.
class Console {
 public:
  Console(bool quiet, const Settings& settings)
      : quiet_(quiet), batch_(settings.of_d3ad() ? settings.training.batch : 1), tiles_(settings.data.tile > 0) {}
  TrainEvents events() {
    TrainEvents e;
    e.progress = [this](const char* stage, std::int64_t done, std::int64_t total, const std::string& text) {
      if (quiet_) return;
      if (stage_ != stage) {
        stage_ = stage;
        const bool by_batch = stage_ == "train" || stage_ == "adapt";
        const bool by_tile = tiles_ && (by_batch || stage_ == "condition" || stage_ == "average");
        progress_.emplace(stage_, total, by_tile ? "tiles" : "images", by_batch ? batch_ : 1);
      }
      progress_->show(done, text);
    };
    e.note = [this](const std::string& text) { note(text); };
    e.stop = [] { return command_line::InterruptGuard::interrupted(); };
    return e;
  }

  void note(const std::string& text) const {
    if (!quiet_) fmt::print(stderr, "{}\n", text);
  }

 private:
  bool quiet_;
  int batch_;
  bool tiles_;
  std::string stage_;
  std::optional<command_line::Progress> progress_;
  command_line::InterruptGuard guard_;
};

std::vector<fs::path> good_images(const TrainOptions& o, std::string& category) {
  const Dataset data = open_dataset(o.data, o.category);
  category = data.category;
  std::vector<fs::path> good;
  for (const auto& s : data.train) good.push_back(fs::absolute(s.image));
  return good;
}

void add_data_options(CLI::App& command, TrainOptions& o) {
  command
      .add_option("--data", o.data, "folder of categories (MVTec AD, VisA, BTAD), a folder or a list of good images")
      ->required();
  command.add_option("--category", o.category, "category in --data; none: --data is the category's own folder");
  command.add_option("--model", o.model, "folder of the model")->required();
}

void finish(const TrainOptions& o) {
  if (!o.common.quiet) fmt::print(stderr, "model: {}\n", o.model);
}

}  // namespace

void add_train(CLI::App& app, int&) {
  auto* command =
      app.add_subcommand("train", "learn from good images: latents, UNet, adaptation, conditioning, calibration");
  auto o = std::make_shared<TrainOptions>();
  add_data_options(*command, *o);
  command->add_option(
      "--vae", o->vae,
      "VAE: a safetensors file, a shard index, or a diffusers folder (its vae/ or the whole pipeline); none: "
      "the small one that comes with d3ad");
  command->add_option(
      "--extractor", o->extractor,
      "pretrained ResNet-18, 34, 50, 101 or Wide-ResNet-50-2, 101-2, a safetensors file, recognised from "
      "its tensors; none: the small one that comes with d3ad");
  command->add_flag("--copy-vae", o->copy_vae,
                    "keep a copy of the VAE in the model, so that it can be moved alone (always so without --vae)");
  command->add_option("--checkpoint-seconds", o->checkpoint_seconds, "seconds between checkpoints")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  o->settings.add(*command, SettingsOptions::Part::all);
  o->common.add(*command);
  o->processes.add(*command);
  command->footer(
      "Ctrl-C saves and stops; the same command goes on where it stopped.\n"
      "tensorboard --logdir MODEL follows loss, gradient norm, learning rate and images a second, up to the last\n"
      "checkpoint.\n"
      "mpirun -n 4 d3ad train ... does it with four processes, each of which computes a quarter of every batch "
      "(--batch\n"
      "divided by --accumulate has to be a multiple of four); what was begun with some goes on with others or with "
      "one.");
  command->callback([o] {
    o->processes.apply(o->common);
    TrainRequest request;
    request.settings = o->settings.start();
    o->settings.apply(request.settings);
    const MethodInfo& method = method_info(request.settings.method);
    for (const auto& [option, given, needed] :
         {std::tuple{"--vae", !o->vae.empty() || o->copy_vae, method.needs_vae},
          std::tuple{"--extractor", !o->extractor.empty(), method.needs_extractor}})
      D3AD_CHECK(needed || !given, option, " means nothing to the method ", method.name,
                 ", which uses no such network");
    request.good = good_images(*o, request.category);
    if (method.needs_vae) request.vae = o->vae.empty() ? shipped_network("vae.safetensors", "--vae") : fs::path(o->vae);
    if (method.needs_extractor)
      request.extractor =
          o->extractor.empty() ? shipped_network("resnet34.safetensors", "--extractor") : fs::path(o->extractor);
    request.model = o->model;
    request.copy_vae = o->copy_vae || o->vae.empty(), request.checkpoint_seconds = o->checkpoint_seconds;
    Console console(o->common.quiet, request.settings);
    if (method.needs_vae && method.needs_extractor && (o->vae.empty() || o->extractor.empty()))
      console.note(concat("networks: VAE ", request.vae.string(), ", extractor ", request.extractor.string()));
    on_device(o->common, [&]<class Device>(Context<Device>& ctx) {
      Trainer<Device>(ctx, std::move(request), console.events(), processes()).run();
    });
    finish(*o);
  });
}

namespace {

// stage(trainer): a later stage alone
template <class Stage>
void add_stage(CLI::App& app, const char* name, const char* text, Stage stage) {
  auto* command = app.add_subcommand(name, text);
  auto o = std::make_shared<TrainOptions>();
  add_data_options(*command, *o);
  o->settings.add(*command, SettingsOptions::Part::later_stages);
  o->common.add(*command);
  o->processes.add(*command);
  command->callback([o, stage] {
    o->processes.apply(o->common);
    TrainRequest request;
    request.model = o->model;
    request.settings = ModelFolder(o->model).read().settings;
    o->settings.apply(request.settings);
    request.good = good_images(*o, request.category);
    Console console(o->common.quiet, request.settings);
    on_device(o->common, [&]<class Device>(Context<Device>& ctx) {
      Trainer<Device> trainer(ctx, std::move(request), console.events(), processes());
      stage(trainer);
    });
    finish(*o);
  });
}

}  // namespace

void add_adapt(CLI::App& app, int&) {
  add_stage(app, "adapt", "adapt the extractor of a trained model again, then calibrate it",
            [](auto& trainer) { trainer.adapt(); });
}
void add_calibrate(CLI::App& app, int&) {
  add_stage(app, "calibrate", "learn bins, ranges and threshold of a trained model again",
            [](auto& trainer) { trainer.calibrate(); });
}

}  // namespace program
