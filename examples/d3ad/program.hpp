#pragma once
// What the commands of the program share: how they are registered, how options reach Settings, how the program ends.
//
//   int exit_code = 0;
//   add_train(app, exit_code);        each command adds its sub-command and runs when it was chosen
//
// Exit codes: 0 success (detect: all good), 1 detect found faults or verify a deviation, 2 an error, 130 interrupted.

#include <CLI/CLI.hpp>
#include <d3ad/backend/ops.hpp>
#include <d3ad/model/settings.hpp>
#include <d3ad/parallel/group.hpp>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "../interrupt.hpp"
#include "../progress.hpp"

namespace program {

// Registers the commands. Each sets exit_code when it runs.
void add_train(CLI::App& app, int& exit_code);
void add_adapt(CLI::App& app, int& exit_code);
void add_calibrate(CLI::App& app, int& exit_code);
void add_detect(CLI::App& app, int& exit_code);
void add_evaluate(CLI::App& app, int& exit_code);
void add_figure(CLI::App& app, int& exit_code);
void add_table(CLI::App& app, int& exit_code);
void add_ablate(CLI::App& app, int& exit_code);
void add_data(CLI::App& app, int& exit_code);
void add_verify(CLI::App& app, int& exit_code);
void add_inspect(CLI::App& app, int& exit_code);

// The processes that share the work: those that mpirun started, else this one alone.
d3ad::Group& processes();

// Joins them, for as long as it lives; in main().
class Processes {
 public:
  // Throws d3ad::Error if mpirun started several and this program was built without MPI.
  Processes();
  ~Processes();
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;
  // For a program that ends with an error: says it once, whether all processes have the same or only this one, and ends
  // the others. Returns the exit code.
  static int end(int exit_code, const std::string& line) noexcept;

 private:
  std::unique_ptr<d3ad::Group> joined_;
};

// Options of Settings. All are text here, so that a configuration file and the command line are one stream in which the
// later word wins; apply() turns what was given into numbers and says what is wrong with it.
class SettingsOptions {
 public:
  enum class Part { all, later_stages, detection };  // which settings make sense for the command
  // Of all methods; an option that several have is one option here. With Part::all there is --method too.
  void add(CLI::App& command, Part part);
  // The settings that were given, over `base`. Throws d3ad::Error for an option that is not one of its method's.
  void apply(d3ad::Settings& base) const;
  // What a training starts from: --preset and --method.
  d3ad::Settings start() const;
  bool any_given() const { return !given_.empty(); }

 private:
  void add(CLI::App& command, const d3ad::OptionTable& options, Part part);

  std::map<std::string, std::string> given_;  // setting -> text
  std::string preset_, method_;
};

// --threads and --quiet, which every command has, on which device it computes (device.hpp makes a context of that), and
// how convolutions are computed on the CPU.
//
//   d3ad::Context<d3ad::Cpu> ctx({.threads = common.threads});
//   const CommonOptions::Planned planned(common, ctx);      the plan is loaded; if asked, it is saved at the end
struct CommonOptions {
  int threads = 0;
  bool quiet = false;
  std::string device = "cpu", plan, save_plan, memory = "fast", precision = "float";
  bool tune = false;
  void add(CLI::App& command);
  void add_device(CLI::App& command);  // --threads, --device and --precision alone

  class Planned {
   public:
    Planned(const CommonOptions& options, d3ad::Context<d3ad::Cpu>& ctx);
    // Writes the plan where --save-plan says; throws d3ad::Error.
    void save() const;

   private:
    const CommonOptions& options_;
    d3ad::Context<d3ad::Cpu>& ctx_;
  };
};

// What commands have that several processes can share.
//
//   options.processes.apply(options.common);      what rank 0 says alone, and the default of --threads
struct ProcessOptions {
  double wait_seconds = 1800;
  void add(CLI::App& command);
  void apply(CommonOptions& common) const;
};

// The command of that name, or the part of a command; null if there is none.
const CLI::App* find_command(const CLI::App& app, const std::string& name);

// Puts the words of a configuration file before the command's own, if `--config FILE` is among the arguments: a JSON
// object of any of the command's options (settings of training are passed over if they mean nothing), or a model's
// config.json. Throws d3ad::Error with a sentence.
std::vector<std::string> with_config_file(const CLI::App& app, std::vector<std::string> arguments);

// A network that comes with d3ad ("vae.safetensors", "resnet34.safetensors"): in $D3AD_NETWORKS, else in share/d3ad
// beside the program (a build) or one level up (an installation). Throws d3ad::Error, which names `option` as a way
// out.
std::filesystem::path shipped_network(const std::string& name, const std::string& option);

// A model for one category, or in a folder with a model for each.
std::filesystem::path model_of(const std::filesystem::path& model, const std::string& category);

// The dashes' form of a setting's name: T_max -> --T-max.
std::string option_name(const std::string& setting);

}  // namespace program
