// Options of Settings on the command line and from a configuration file.

#include <algorithm>
#include <d3ad/backend/cpu/conv_plan.hpp>
#include <d3ad/methods/registry.hpp>
#include <d3ad/model/option_json.hpp>
#include <nlohmann/json.hpp>

#include "program.hpp"

namespace program {

namespace {

// Whether a command of this part takes the option: detection what enters with it, the later stages what follows training.
bool concerns(const d3ad::Option& option, SettingsOptions::Part part) {
  using d3ad::Stage;
  if (part == SettingsOptions::Part::all || option.info().also_at_detection) return true;
  if (part == SettingsOptions::Part::later_stages) return option.stage() > Stage::train;
  return option.stage() >= Stage::detect && option.stage() < Stage::threshold;
}

// The option's line in --help. Its default stands beside its name.
std::string help_line(const d3ad::Option& option) {
  const auto& info = option.info();
  std::string line = info.help;
  if (!std::holds_alternative<bool*>(option.field())) line += "; " + option.range_text();
  if (info.paper) line += d3ad::concat("; not the paper's ", info.paper, ", because ", info.reason);
  return line;
}

const char* type_name(const d3ad::Option& option) {
  if (option.list()) return "INT,...";
  if (option.whole()) return "INT";
  return option.numeric() ? "FLOAT" : std::holds_alternative<bool*>(option.field()) ? "true|false" : "TEXT";
}

// The methods that have the option: "d3ad, vae_only"; nothing if all have it.
std::string methods_with(const std::string& option) {
  std::string text;
  std::size_t count = 0;
  for (const auto& one : d3ad::described_settings())
    if (one.options.find(option)) text += (count++ ? ", " : "") + one.method;
  return count == d3ad::described_settings().size() ? "" : text;
}

std::string method_help() {
  std::string text = "Detection method";
  for (const auto& name : d3ad::method_names())
    text += (name == d3ad::method_names().front() ? ": " : "; ") + name + ", " + d3ad::method_info(name).help;
  return text;
}

}  // namespace

std::string option_name(const std::string& setting) {
  std::string name = "--" + setting;
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

void SettingsOptions::add(CLI::App& command, Part part) {
  if (part == Part::all)
    command
        .add_option("--preset", preset_,
                    "Values that the settings start from: small (learns on two cores in minutes) or paper")
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
        ->default_str("small");
  if (part == Part::all)
    command.add_option("--method", method_, method_help())
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
        ->check(CLI::IsMember(d3ad::method_names()))
        ->default_str("d3ad");
  command
      .add_option("--config",
                  "JSON file of options ({\"eta2\": 0, ...}), or a model's config.json for its settings; options of "
                  "the command line take precedence")
      ->type_name("FILE");
  for (const auto& one : d3ad::described_settings()) add(command, one.options, part);
}

void SettingsOptions::add(CLI::App& command, const d3ad::OptionTable& options, Part part) {
  for (const auto& option : options) {
    if (!concerns(option, part) || command.get_option_no_throw(option_name(option.name()))) continue;
    const std::string only = methods_with(option.name());
    command
        .add_option_function<std::string>(
            option_name(option.name()), [this, name = option.name()](const std::string& text) { given_[name] = text; },
            help_line(option) + (only.empty() || only == "d3ad" ? "" : " (of " + only + ")"))
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
        ->type_name(type_name(option))
        ->default_str(option.text())
        ->group(option.group());
  }
}

void SettingsOptions::apply(d3ad::Settings& base) const {
  const auto options = d3ad::options_of(base);
  for (const auto& [setting, text] : given_) {
    const auto* option = options.find(setting);
    D3AD_CHECK(option, option_name(setting), " is an option of ", methods_with(setting), ", and the method is ",
               base.method);
    option->set(option_name(setting), text);
  }
  d3ad::replace_length(base, [this](const char* name) { return given_.count(name) > 0; });
  base.check();
}

d3ad::Settings SettingsOptions::start() const {
  return d3ad::Settings::of_method(method_.empty() ? "d3ad" : method_, preset_.empty() ? "small" : preset_);
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
      .add_option("--precision", precision,
                  "what is multiplied; sums are float. CPU: float, or bfloat16 in convolutions if the processor has it "
                  "(AVX512-BF16, AMX), which is faster with AMX only. GPU: float, tf32, half or bfloat16, in which "
                  "activations are kept too (training in half scales its loss). With any precision other than "
                  "float, maps and scores differ in the second or third digit")
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
  // The command, and the part of it if it has parts (figure grid).
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
    // A method's own options stand in an object of its name.
    for (const auto& name : d3ad::method_names())
      if (json.contains(name) && json[name].is_object()) {
        const auto own = json[name];
        json.erase(name);
        json.update(own);
      }
    for (const auto& [key, value] : json.items()) {
      const auto* option = command->get_option_no_throw(option_name(key));
      const auto* setting = d3ad::find_described(key);
      D3AD_CHECK(option || setting || key == "preset" || key == "method", "'", path, "': d3ad ", full_name,
                 " has no option '", key, "'");
      D3AD_CHECK(!value.is_object() && !value.is_null(), "'", path, "': option '", key, "' has no simple value");
      // Some commands have an option of their own by the name of a setting that they do not take, as detect's --batch.
      const bool same = option && setting && option->get_group() == setting->group();
      if (option && (!of_model || same || key == "preset" || key == "method"))
        words.push_back(option_name(key) + "=" + d3ad::json_text(value));
    }
  }
  arguments.insert(arguments.begin() + static_cast<std::ptrdiff_t>(names), words.begin(), words.end());
  return arguments;
}

}  // namespace program
