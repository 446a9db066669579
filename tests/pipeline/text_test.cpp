// Numbers, tables, the interrupt flag.

#include <doctest/doctest.h>

#include <csignal>
#include <cstdlib>

#include "d3ad/data/table.hpp"
#include "interrupt.hpp"

namespace text_test {

using namespace d3ad;

TEST_CASE("numbers as text") {
  CHECK(number(0.25) == "0.25");
  CHECK(number(0.1f) == "0.1");
  CHECK(number(1e300) == "1e+300");
  CHECK(number(std::nan("")) == "nan");
  CHECK(fixed(0.25, 4) == "0.2500");
  CHECK(fixed(1e300, 2).size() == 304);
  CHECK(fixed(std::nan(""), 2) == "-");
  CHECK(percent(0.97312) == "97.3");
  for (const double v : {0.1, 1.0 / 3, 2.5e-17, 123456789.125}) CHECK(std::strtod(number(v).c_str(), nullptr) == v);
}

TEST_CASE("CSV fields are quoted where they have to be") {
  CHECK(csv_row({"a", "b,c", "say \"x\"", "two\nlines", ""}) == "a,\"b,c\",\"say \"\"x\"\"\",\"two\nlines\",\n");
}

TEST_CASE("columns are in line, by characters and not by bytes") {
  CHECK(align_columns({{"name", "n"}, {"x", "100"}, {"T̂", "5"}}) == "name    n\nx     100\nT̂      5\n");
  CHECK(align_columns({}) == "");
}

TEST_CASE("the first Ctrl-C sets a flag, and the handler goes with its guard") {
  struct sigaction before {};
  sigaction(SIGINT, nullptr, &before);
  {
    const command_line::InterruptGuard guard;
    CHECK_FALSE(command_line::InterruptGuard::interrupted());
    std::raise(SIGINT);
    CHECK(command_line::InterruptGuard::interrupted());
  }
  struct sigaction now {};
  sigaction(SIGINT, nullptr, &now);
  CHECK_UNARY(now.sa_handler == before.sa_handler);
  const command_line::InterruptGuard again;
  CHECK_FALSE(command_line::InterruptGuard::interrupted());
}

}  // namespace text_test
