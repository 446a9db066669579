#pragma once
// How the project's programs read their options and end where these are wrong: one line on stderr and exit code 2.
//
//   CLI::App app{"Makes a product line."};
//   app.name("make-sample");
//   app.add_option(...);
//   if (const auto code = command_line::parse(app, argc, argv)) return *code;

#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>
#include <string>

namespace command_line {

// What is wrong, and where there is help.
inline std::string complaint(const CLI::ParseError& error, const std::string& program) {
  return std::string(error.what()) + " (see " + program + " --help)";
}

// Options to where they were declared to go. Returns the exit code where the program has to end: 0 after --help, 2
// after saying what is wrong.
inline std::optional<int> parse(CLI::App& app, int argc, const char* const* argv) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::Success& request) {  // --help, --version
    return app.exit(request);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "%s: %s\n", app.get_name().c_str(), complaint(error, app.get_name()).c_str());
    return 2;
  }
}

}  // namespace command_line
