// d3ad: trains an anomaly detector on good images, says how wrong an image is and shows where.
//
//   d3ad train --data DIR --category C --vae F --extractor F --model OUT
//   d3ad detect --model OUT IMAGE|DIR...
//   mpirun -n 4 d3ad train ...                   train, adapt, calibrate and evaluate on several processes
//   d3ad --help, d3ad COMMAND --help

#include <algorithm>
#include <csignal>
#include <d3ad/core/check.hpp>
#include <d3ad/model/model_folder.hpp>
#include <d3ad/weights/nearest_names.hpp>
#include <exception>
#include <optional>

#include "../command_line.hpp"
#include "program.hpp"

namespace {

// What mpirun makes sense for.
bool is_shared(const std::string& command) {
  return command == "train" || command == "adapt" || command == "calibrate" || command == "evaluate";
}

// A command that has parts (figure) is followed by the name of one.
void check_part(const CLI::App& app, const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments[0].starts_with("-")) return;
  const CLI::App* command = program::find_command(app, arguments[0]);
  const auto parts = command ? command->get_subcommands({}) : std::vector<const CLI::App*>();
  if (parts.empty() || (arguments.size() > 1 && arguments[1].starts_with("-"))) return;
  std::vector<std::string> names;
  std::string all;
  for (const auto* part : parts) {
    names.push_back(part->get_name());
    all += (all.empty() ? "" : ", ") + part->get_name();
    if (arguments.size() > 1 && arguments[1] == part->get_name()) return;
  }
  D3AD_CHECK(arguments.size() > 1, "d3ad ", arguments[0], ": say which; there are ", all);
  d3ad::fail("d3ad ", arguments[0], ": there is no '", d3ad::printable(arguments[1]), "'; there are ", all,
             d3ad::nearest_names(names, arguments[1], 1));
}

// What to do about a model that cannot be used.
const char* advice(d3ad::ModelError::Cause cause) {
  using Cause = d3ad::ModelError::Cause;
  switch (cause) {
    case Cause::missing:
      return "make one with d3ad train";
    case Cause::unfinished:
      return "run d3ad train again with the same --model";
    case Cause::calibration:
      return "run d3ad calibrate again";
    case Cause::no_vae:
      return "put it back, or train with --copy-vae";
  }
  return "train it again";
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a write beyond the limit on file sizes then fails with EFBIG, which is reported
  int exit_code = 0;
  std::optional<program::Processes> processes;
  CLI::App app{
      "Anomaly detection by diffusion (D3AD): learns from good images only, says how wrong an image is and where."};
  app.name("d3ad");
  app.set_version_flag("--version", D3AD_VERSION);
  app.require_subcommand(1);
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);  // the command line after --config
  app.footer(
      "Several processes share train, adapt, calibrate and evaluate: mpirun -n 4 d3ad train ... gives what one "
      "process\n"
      "gives, to rounding (evaluate: to the bit). Each computes with its share of the machine's cores.");
  program::add_train(app, exit_code);
  program::add_adapt(app, exit_code);
  program::add_calibrate(app, exit_code);
  program::add_detect(app, exit_code);
  program::add_evaluate(app, exit_code);
  program::add_figure(app, exit_code);
  program::add_table(app, exit_code);
  program::add_ablate(app, exit_code);
  program::add_data(app, exit_code);
  program::add_verify(app, exit_code);
  program::add_inspect(app, exit_code);
  try {
    processes.emplace();
    std::vector<std::string> arguments(argv + 1, argv + argc);
    std::string commands;
    bool known = false;
    for (const auto* command : app.get_subcommands({})) {
      commands += (commands.empty() ? "" : ", ") + command->get_name();
      known = known || (!arguments.empty() && command->get_name() == arguments[0]);
    }
    D3AD_CHECK(arguments.empty() || arguments[0].starts_with("-") || known, "'", arguments[0],
               "' is not a command; commands are ", commands);
    D3AD_CHECK(program::processes().size() == 1 || !known || is_shared(arguments[0]), "'", arguments[0],
               "' is done by one process; start it without mpirun");
    check_part(app, arguments);
    arguments = program::with_config_file(app, std::move(arguments));
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes them
    app.parse(arguments);
    return exit_code;
  } catch (const CLI::Success& request) {  // --help, --version
    return program::processes().first() ? app.exit(request) : request.get_exit_code();
  } catch (const CLI::ParseError& error) {
    return program::Processes::end(2, command_line::complaint(error, "d3ad"));
  } catch (const d3ad::Interrupted& stopped) {
    return program::Processes::end(130, stopped.what());
  } catch (const d3ad::ModelError& error) {
    return program::Processes::end(2, d3ad::concat(error.what(), "; ", advice(error.cause())));
  } catch (const std::exception& error) {
    return program::Processes::end(2, error.what());
  }
}
