#pragma once
// Colour in the program's text, where a person reads it: on a terminal that is not "dumb", and unless NO_COLOR is set
// to something (https://no-color.org). Elsewhere text stays as it is, and under mpirun, which gives its processes
// terminals of its own whatever it does with what they print.
//
//   fmt::print("{}  {}\n", paint(Tone::bad, "FAULTY", stdout), file);

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <d3ad/parallel/mpi.hpp>
#include <string>

namespace program {

enum class Tone { heading, good, bad, note };

inline bool colourful(std::FILE* to) {
  const char *const no = std::getenv("NO_COLOR"), *const terminal = std::getenv("TERM");
  return ::isatty(::fileno(to)) == 1 && !(no && *no) && terminal && std::string(terminal) != "dumb" &&
         !d3ad::started_by_mpirun();
}

inline std::string paint(Tone tone, const std::string& text, std::FILE* to) {
  if (text.empty() || !colourful(to)) return text;
  const char* const code = tone == Tone::heading ? "1" : tone == Tone::good ? "32" : tone == Tone::bad ? "1;31" : "33";
  return "\033[" + std::string(code) + "m" + text + "\033[0m";
}

// A table of align() with its first line as heading.
inline std::string paint_table(const std::string& table, std::FILE* to) {
  const auto end = table.find('\n');
  return end == std::string::npos ? table : paint(Tone::heading, table.substr(0, end), to) + table.substr(end);
}

}  // namespace program
