// d3ad: trains an anomaly detector on good images, says how wrong an image is and shows where.
//
//   d3ad train --data DIR --category C --vae F --extractor F --model OUT
//   d3ad detect --model OUT IMAGE|DIR...
//   d3ad --help, d3ad COMMAND --help

#include <cstdio>
#include <exception>

#include "program.hpp"

int main(int argc, char** argv) {
  int exit_code = 0;
  CLI::App app{
      "Anomaly detection by diffusion (D3AD): learns from good images only, says how wrong an image is and where."};
  app.name("d3ad");
  app.set_version_flag("--version", D3AD_VERSION);
  app.require_subcommand(1);
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);  // the command line after --config
  program::add_train(app, exit_code);
  program::add_adapt(app, exit_code);
  program::add_calibrate(app, exit_code);
  program::add_detect(app, exit_code);
  program::add_evaluate(app, exit_code);
  program::add_data(app, exit_code);
  program::add_verify(app, exit_code);
  program::add_inspect(app, exit_code);
  try {
    std::vector<std::string> arguments(argv + 1, argv + argc);
    std::string commands;
    bool known = false;
    for (const auto* command : app.get_subcommands({})) {
      commands += (commands.empty() ? "" : ", ") + command->get_name();
      known = known || (!arguments.empty() && command->get_name() == arguments[0]);
    }
    D3AD_CHECK(arguments.empty() || arguments[0].starts_with("-") || known, "'", arguments[0],
               "' is not a command; commands are ", commands);
    arguments = program::with_config_file(app, std::move(arguments));
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes them
    app.parse(arguments);
    return exit_code;
  } catch (const CLI::Success& request) {  // --help, --version
    return app.exit(request);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "d3ad: %s (see d3ad --help)\n", error.what());
  } catch (const d3ad::Interrupted& stopped) {
    std::fprintf(stderr, "d3ad: %s\n", stopped.what());
    return 130;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "d3ad: %s\n", error.what());
  }
  return 2;
}
