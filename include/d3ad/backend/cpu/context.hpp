#pragma once
// Context<Cpu>: threads, memory and plan cache of the CPU device.
//
//   Context<Cpu> ctx;                  as many threads as the machine has cores
//   Context<Cpu> ctx({.threads = 1});

#include <omp.h>

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "d3ad/backend/cpu/memory.hpp"
#include "d3ad/core/arena.hpp"
#include "d3ad/core/context.hpp"

namespace d3ad {

template <>
class Context<Cpu> {
 public:
  using device = Cpu;
  struct Options {
    int threads = 0;  // 0: one for each core the process may run on
  };

  Context() : Context(Options{}) {}
  explicit Context(Options options) : threads_(options.threads > 0 ? options.threads : omp_get_num_procs()) {
    D3AD_CHECK(options.threads >= 0 && options.threads <= 1024, "threads: ", options.threads,
               " is not between 0 (all cores) and 1024");
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  int threads() const { return threads_; }

  // What an op wants to make once and keep (library primitives, tables), by a key of shapes and options.
  template <class Plan, class Make>
  Plan& plan(const std::string& key, Make&& make) {
    auto& slot = plans_[key];
    if (!slot) slot = std::shared_ptr<void>(std::make_shared<Plan>(make()));
    return *static_cast<Plan*>(slot.get());
  }

  Arena<Cpu> arena;

 private:
  int threads_;
  std::unordered_map<std::string, std::shared_ptr<void>> plans_;
};

}  // namespace d3ad
