#pragma once
// Context<Reference>: the device that computes every operation by its formula, in plain loops and in double.
//
//   Context<Reference> ctx;                     as many threads as the machine has cores
//   ParameterStore<Reference> store;            networks are made for it as for any device
//
// It is what the fast devices are tested against, and what a comparison of gradients with another framework needs: in
// float, the rounding of a deep network decides on which side of a ReLU's zero the nearest activations fall, and a
// gradient moves by more than its tolerance with each that falls otherwise. Slow: for small networks and verification.

#include <omp.h>

#include <memory>
#include <string>
#include <unordered_map>

#include "d3ad/backend/reference/memory.hpp"
#include "d3ad/core/arena.hpp"
#include "d3ad/core/context.hpp"

namespace d3ad {

template <>
class Context<Reference> {
 public:
  using device = Reference;
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

  // What is made once and kept, by a key.
  template <class Plan, class Make>
  Plan& plan(const std::string& key, Make&& make) {
    auto& slot = plans_[key];
    if (!slot) slot = std::shared_ptr<void>(std::make_shared<Plan>(make()));
    return *static_cast<Plan*>(slot.get());
  }

  Arena<Reference> arena;

 private:
  int threads_;
  std::unordered_map<std::string, std::shared_ptr<void>> plans_;
};

}  // namespace d3ad
