// Borders behind blocks: a write past a block's end is found (where they are built in: the sanitizers' build).

#include "d3ad/core/border.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "d3ad/backend/cpu/memory.hpp"
#include "d3ad/core/arena.hpp"

namespace border_test {

using namespace d3ad;

namespace {

// How a process ends that runs `work`.
template <class Work>
int end_of(Work work) {
  const pid_t child = ::fork();
  if (child == 0) {
    static_cast<void>(std::freopen("/dev/null", "w", stderr));
    std::signal(SIGABRT, SIG_DFL);  // doctest reports it otherwise
    work();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

TEST_CASE("a write past the end of a block ends the program, one up to its end does not") {
  if (border::kBytes == 0) return;
  const auto write = [](std::int64_t at) {
    return end_of([=] {
      Arena<Cpu> arena;
      arena.make<float>({.c = 16}).view().data[at] = 1;
    });
  };
  CHECK(write(15) == 0);
  CHECK(write(16) == SIGABRT);
  const auto write_tensor = [](std::int64_t at) {
    return end_of([=] { Tensor<float, Cpu>({.c = 5}).data()[at] = 1; });
  };
  CHECK(write_tensor(4) == 0);
  CHECK(write_tensor(5) == SIGABRT);
}

}  // namespace border_test
