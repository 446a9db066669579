#pragma once
// Context<Reference>: the device that computes every operation by its formula, in plain loops and in double.
//
//   Context<Reference> ctx;                     // as many threads as the machine has cores
//   ParameterStore<Reference> store;            // networks are made for it as for any device
//
// The fast devices are tested against it, and gradients are compared with those of other frameworks on it. In float,
// rounding decides on which side of a ReLU's zero the nearest activations of a deep network fall, and each one that
// falls on the other side changes a gradient by more than its tolerance. It is slow: for small networks and
// verification.

#include <utility>

#include "d3ad/backend/reference/memory.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/keyed_cache.hpp"
#include "d3ad/core/processors.hpp"
#include "d3ad/core/value.hpp"

namespace d3ad {

template <>
class Context<Reference> {
 public:
  using device = Reference;
  struct Options {
    int threads = 0;  // 0: one for each core the process may run on
  };

  Context() : Context(Options{}) {}
  explicit Context(Options options) : threads_(options.threads > 0 ? options.threads : processors()) {
    D3AD_CHECK(options.threads >= 0 && options.threads <= 1024, "threads: ", options.threads,
               " is not between 0 (all cores) and 1024");
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  int threads() const { return threads_; }

  // The context's one object of type T, which an op makes once and keeps (core/keyed_cache.hpp). It is
  // default-constructed, or made by a function at the first call.
  template <class T, class... Make>
  T& kept(Make&&... make) {
    return slots_.get<T>(std::forward<Make>(make)...);
  }

  Arena<Reference> arena;

 private:
  int threads_;
  TypedSlots slots_;
};

}  // namespace d3ad
