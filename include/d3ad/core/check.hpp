#pragma once
// Errors are exceptions with a sentence: the operation, what was expected, what came.
//
//   D3AD_CHECK(x.c % groups == 0, "group_norm: ", x.c, " channels do not split into ", groups, " groups");
//
// The message is built only when the check fails. Nothing in the library aborts, prints or exits.

#include <cstddef>
#include <ostream>
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

namespace detail {

// A part of a sentence: refers to a value, and knows how it is written. There are hundreds of sentences and few types
// of their parts, so a sentence is no template over all its parts.
class SentencePart {
 public:
  template <class T>
  SentencePart(const T& value) : value_(&value), write_(&write_value<T>) {}
  SentencePart(const char* text) : value_(text), write_(&write_text) {}
  SentencePart(const std::string& text) : value_(&text), write_(&write_string) {}

  void write(std::ostream& out) const { write_(out, value_); }

 private:
  template <class T>
  static void write_value(std::ostream& out, const void* value) {
    out << *static_cast<const T*>(value);
  }
  static void write_text(std::ostream& out, const void* text);
  static void write_string(std::ostream& out, const void* text);

  const void* value_;
  void (*write_)(std::ostream&, const void*);
};

std::string sentence(const SentencePart* parts, std::size_t count);
[[noreturn, gnu::cold]] void fail_with(const SentencePart* parts, std::size_t count);

}  // namespace detail

// Streams its arguments into one string, with numbers as in C++ whatever the locale.
template <class... Parts>
std::string concat(const Parts&... parts) {
  const detail::SentencePart all[] = {detail::SentencePart(parts)...};
  return detail::sentence(all, sizeof...(parts));
}

// Throws an Error of these parts.
template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  const detail::SentencePart all[] = {detail::SentencePart(parts)...};
  detail::fail_with(all, sizeof...(parts));
}

}  // namespace d3ad

#define D3AD_CHECK(condition, ...)               \
  do {                                           \
    if (!(condition)) ::d3ad::fail(__VA_ARGS__); \
  } while (false)

#if D3AD_DEFINITIONS
#include "d3ad/core/check-inl.hpp"
#endif
