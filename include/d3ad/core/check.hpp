#pragma once
// Errors are exceptions with a sentence: the operation, what was expected, what came.
//
//   D3AD_CHECK(x.c % groups == 0, "group_norm: ", x.c, " channels do not split into ", groups, " groups");
//
// The message is built only when the check fails. Nothing in the library aborts, prints or exits.

#include <locale>
#include <sstream>
#include <stdexcept>
#include <string>

#include "d3ad/core/compiled.hpp"

namespace d3ad {

// Everything the library throws on bad input.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The operation was stopped from outside (Ctrl-C, a caller's request); what was finished is saved and valid.
class Interrupted : public Error {
 public:
  using Error::Error;
};

// Streams its arguments into one string, with numbers as in C++ whatever the locale.
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  out.imbue(std::locale::classic());  // a program may have set another one
  (out << ... << parts);
  return out.str();
}

template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw Error(concat(parts...));
}

}  // namespace d3ad

#define D3AD_CHECK(condition, ...)               \
  do {                                           \
    if (!(condition)) ::d3ad::fail(__VA_ARGS__); \
  } while (false)
