// Options of Settings on the command line and from a configuration file.

#include <algorithm>
#include <d3ad/backend/cpu/conv_plan.hpp>
#include <d3ad/model/settings_text.hpp>
#include <nlohmann/json.hpp>

#include "program.hpp"

namespace program {

namespace {

struct Description {
  const char* setting;
  const char* text;
  int part;  // 0 training only, 1 adaptation and calibration too, 2 detection
};

// One line for each setting; the test of --help compares this list with Settings' own JSON.
constexpr Description kDescriptions[] = {
    {"image_size", "side of the square the images are resized to, a multiple of 32", 0},
    {"tile", "cut images in tiles of this many pixels, each resized to --image-size; 0: whole images", 0},
    {"tile_overlap", "share of a tile's side that lies over the next one, 0 to 0.75", 2},
    {"base", "UNet: base channels, a multiple of 32", 0},
    {"multipliers", "UNet: channel multipliers of the levels, comma-separated", 0},
    {"res_blocks", "UNet: residual blocks a level", 0},
    {"attention", "UNet: downsampling factors with attention, comma-separated", 0},
    {"heads", "UNet: attention heads", 0},
    {"augment", "turned copies of the good images to learn from: none, flip or dihedral", 0},
    {"held_back", "share of the good images that only ranges and threshold are learned from; 0: none, all count", 0},
    {"iterations", "UNet: training steps of one batch each (0: --epochs decides)", 0},
    {"epochs", "UNet: rounds over the images (0: --iterations decides)", 0},
    {"batch", "images a step", 0},
    {"learning_rate", "UNet: AdamW's learning rate", 0},
    {"weight_decay", "AdamW's weight decay", 0},
    {"ema", "UNet: decay of the averaged weights, 0 for none", 0},
    {"warmup", "UNet: steps of linear warm-up", 0},
    {"cosine_decay", "UNet: let the learning rate fall to zero (true or false)", 0},
    {"clip", "UNet: largest norm of the gradient, 0 for none", 0},
    {"accumulate", "UNet: micro-batches a step, to save memory", 0},
    {"checkpointing", "UNet: recompute activations, to save memory (true or false)", 0},
    {"seed", "seed of everything random", 0},
    {"gamma", "epochs of domain adaptation of the extractor", 1},
    {"adapt_learning_rate", "adaptation: AdamW's learning rate", 1},
    {"k", "implicit conditioning: nearest good images", 1},
    {"bins", "implicit conditioning: bins of the distances", 1},
    {"T_max", "largest perturbation", 1},
    {"dynamic", "perturbation by image; false: T_max for all (true or false)", 1},
    {"dic_layer", "extractor's layer for implicit conditioning: 1, 2 or 3", 1},
    {"steps", "denoising steps", 2},
    {"eta", "stochasticity of the sampler, 0: DDIM", 2},
    {"eta2", "guidance towards the input (temperature)", 2},
    {"omega", "noise at the start: 0 noiseless scaling, 1 ordinary noising", 2},
    {"sample_posterior", "draw the VAE's latent instead of its mean (true or false)", 2},
    {"lambda", "weight of the latent map against the feature map", 2},
    {"sigma", "blur of the anomaly map, pixels", 2},
    {"map_layers", "extractor's layers for the feature map, comma-separated", 2},
    {"weights", "how detection keeps the weights: float, or bfloat16 (half the memory, slower, rounded)", 2},
    {"false_alarm_rate", "share of good images the threshold lets through as faulty", 1},
};

}  // namespace

std::string option_name(const std::string& setting) {
  std::string name = "--" + setting;
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

void SettingsOptions::add(CLI::App& command, Part part) {
  const nlohmann::json small = d3ad::Settings::small(), paper = d3ad::Settings::paper();
  if (part == Part::all)
    command
        .add_option("--preset", preset_,
                    "where the settings start from: small (learns on two cores in minutes) or "
                    "paper")
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
        ->default_str("small");
  for (const auto& d : kDescriptions) {
    if (d.part < static_cast<int>(part)) continue;
    const std::string setting = d.setting, usual = d3ad::setting_text(small.at(setting)),
                      papers = d3ad::setting_text(paper.at(setting));
    command
        .add_option_function<std::string>(
            option_name(setting), [this, setting](const std::string& text) { given_[setting] = text; }, d.text)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
        ->default_str(usual == papers ? usual : usual + "; paper " + papers)
        ->group("Settings");
  }
  command
      .add_option("--config",
                  "options from a JSON file ({\"eta2\": 0, ...}; a model's config.json for its settings); the command "
                  "line goes before it")
      ->group("Settings");
}

void SettingsOptions::apply(d3ad::Settings& base) const {
  nlohmann::json json = base;
  for (const auto& [setting, text] : given_)
    json[setting] = d3ad::setting_from_text(option_name(setting), text, json.at(setting));
  // Giving one of the two lengths of training replaces the other.
  if (given_.count("iterations") && !given_.count("epochs") && json["iterations"] != 0) json["epochs"] = 0;
  if (given_.count("epochs") && !given_.count("iterations") && json["epochs"] != 0) json["iterations"] = 0;
  base = json.get<d3ad::Settings>();
  base.check();
}

void CommonOptions::add_device(CLI::App& command) {
  command.add_option("--threads", threads, "threads to compute with; 0: one for each core")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command
      .add_option("--device", device,
                  "what computes: cpu, or cuda, an NVIDIA GPU (cuda:N the Nth, from 0); with mpirun each process takes "
                  "the next one")
      ->check([](const std::string& text) {
        const bool known = text == "cpu" || text == "cuda" || (text.starts_with("cuda:") && text.size() > 5);
        return known ? std::string() : "expected cpu, cuda or cuda:N, got '" + text + "'";
      })
      ->capture_default_str();
  command
      .add_option(
          "--precision", precision,
          "what is multiplied; sums are float. CPU: float, or bfloat16 in convolutions where the processor has it "
          "(AVX512-BF16, AMX), which is faster with AMX only. GPU: float, tf32, half or bfloat16, in which "
          "activations are kept too (training in half scales its loss). But for float, maps and scores differ in the "
          "second or third digit")
      ->check(CLI::IsMember({"float", "tf32", "half", "bfloat16"}))
      ->capture_default_str()
      ->group("Speed");
}

void CommonOptions::add(CLI::App& command) {
  add_device(command);
  command.add_flag("--quiet", quiet, "no progress");
  command
      .add_option("--plan", plan,
                  "file that says by which algorithm convolutions are computed (see --save-plan); others go by the "
                  "cost model")
      ->group("Speed");
  command
      .add_option("--save-plan", save_plan,
                  "write how convolutions were computed: a line for each shape; the same plan gives the same bits")
      ->group("Speed");
  command
      .add_flag("--tune", tune,
                "measure the algorithms when a shape first comes, instead of the cost model; save the plan to repeat "
                "the result")
      ->group("Speed");
  command
      .add_option("--memory", memory,
                  "fast, or lean: no Winograd transforms, which takes less memory and about twice the time")
      ->check(CLI::IsMember({"fast", "lean"}))
      ->capture_default_str()
      ->group("Speed");
}

CommonOptions::Planned::Planned(const CommonOptions& options, d3ad::Context<d3ad::Cpu>& ctx)
    : options_(options), ctx_(ctx) {
  auto& convolutions = d3ad::conv::plan_of(ctx);
  if (options.memory == "lean") convolutions.allow_winograd(false);
  if (options.precision == "bfloat16") convolutions.use_bfloat16();
  if (!options.plan.empty()) convolutions.load(options.plan);
  if (options.tune) convolutions.tune();
}

void CommonOptions::Planned::save() const {
  if (!options_.save_plan.empty()) d3ad::conv::plan_of(ctx_).save(options_.save_plan);
}

const CLI::App* find_command(const CLI::App& app, const std::string& name) {
  const auto found = app.get_subcommands([&](const CLI::App* command) { return command->get_name() == name; });
  return found.empty() ? nullptr : found.front();
}

std::vector<std::string> with_config_file(const CLI::App& app, std::vector<std::string> arguments) {
  // The command, and the part of it where it has parts (figure grid).
  const CLI::App* command = &app;
  std::string full_name;
  std::size_t names = 0;
  for (; names < arguments.size() && !command->get_subcommands({}).empty(); ++names) {
    command = find_command(*command, arguments[names]);
    if (!command) return arguments;
    full_name += (names ? " " : "") + arguments[names];
  }
  if (names == 0) return arguments;
  std::vector<std::string> words;
  for (std::size_t i = names; i < arguments.size(); ++i) {
    std::string path;
    if (arguments[i] == "--config" && i + 1 < arguments.size()) path = arguments[i + 1];
    if (arguments[i].starts_with("--config=")) path = arguments[i].substr(9);
    if (path.empty()) continue;
    auto json = nlohmann::json::parse(d3ad::read_file(path, 1 << 20), nullptr, false);
    D3AD_CHECK(json.is_object(), "'", path, "' is not a JSON object of options");
    // A model's configuration holds all its settings: this command takes those that concern it.
    const bool of_model = json.contains("settings") && json["settings"].is_object();
    if (of_model) json = json["settings"];
    for (const auto& [key, value] : json.items()) {
      const auto* option = command->get_option_no_throw(option_name(key));
      const bool setting = nlohmann::json(d3ad::Settings()).contains(key);
      D3AD_CHECK(option || setting, "'", path, "': d3ad ", full_name, " has no option '", key, "'");
      D3AD_CHECK(!value.is_object() && !value.is_null(), "'", path, "': option '", key, "' has no simple value");
      const bool concerns = option && (!of_model || option->get_group() == "Settings" || key == "preset");
      if (concerns) words.push_back(option_name(key) + "=" + d3ad::setting_text(value));
    }
  }
  arguments.insert(arguments.begin() + static_cast<std::ptrdiff_t>(names), words.begin(), words.end());
  return arguments;
}

}  // namespace program
