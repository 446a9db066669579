#pragma once
// A tape records what was computed, so that a backward pass can compute gradients.
//
//   Tape<Cpu> tape(ctx);
//   auto y = net(tape, x);                      // the same code that runs on ctx alone (autograd/functions.hpp)
//   auto loss = fn::mse(tape, y, target);
//   tape.backward(loss);                        // adds to the gradients of all trainable parameters
//
// A Value made on a tape carries the number of its node. What the backward pass of a step needs is captured by its
// closure and freed as soon as the closure has run. Gradients of parameters accumulate until they are set to zero
// (AdamW::zero_gradients()); gradients of Values belong to the tape. A tape is used for one pass, then cleared or
// destroyed.

#include <functional>
#include <utility>
#include <vector>

#include "d3ad/backend/ops.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/parameter.hpp"
#include "d3ad/core/value.hpp"

namespace d3ad {

// Node and shape of an input: what a step keeps of an input if its backward pass does not need the numbers.
struct GradientSlot {
  int node;  // -1: the input takes no gradient
  Shape shape;
  explicit operator bool() const { return node >= 0; }
};
template <class T, class Device>
GradientSlot slot_of(const Value<T, Device>& x) {
  return {x.node, x.shape()};
}
template <class T, class Device>
bool takes_gradient(const Value<T, Device>& x) {
  return x.node >= 0;
}

template <class Device>
class Tape {
 public:
  using device = Device;
  using V = Value<Real<Device>, Device>;
  using Listener = std::function<void(Parameter<Device>&)>;

  explicit Tape(Context<Device>& ctx) : ctx_(&ctx) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  Context<Device>& context() const { return *ctx_; }

  // Registers an input, whose gradient() is there after the backward pass.
  V leaf(V value) {
    value.node = add({});
    return value;
  }

  // Makes `out` the result of a step whose `backward(dy)` adds to the gradients of its inputs and parameters.
  V record(V out, std::function<void(const V& dy)> backward) {
    out.node = add(std::move(backward));
    return out;
  }

  // Adds g to the gradient of x. The first one is kept without a copy.
  void accumulate(const V& x, V g) { accumulate(slot_of(x), std::move(g)); }
  void accumulate(GradientSlot x, V g) {
    if (x.node < 0) return;
    V& slot = nodes_[static_cast<std::size_t>(x.node)].gradient;
    if (g.shape() != x.shape) g = g.reshaped(x.shape);
    if (!slot) {
      slot = std::move(g);
      slot.node = -1;
    } else if (slot.unique()) {
      ops::add_scaled(*ctx_, slot.view(), g.view(), 1.0f);
    } else {
      V sum = make_value<Real<Device>>(*ctx_, slot.shape());
      ops::add(*ctx_, sum.view(), slot.view(), g.view());
      slot = std::move(sum);
    }
  }

  // Calls `listener` with a parameter each time after a step has added to its gradient, so that gradients can be used
  // while the backward pass is still running (parallel/gradient_sum.hpp).
  void listen(Listener listener) { listener_ = std::move(listener); }
  const Listener& listener() const { return listener_; }
  void contributed(Parameter<Device>* p) const {
    if (listener_ && p && p->trainable()) listener_(*p);
  }

  // The backward pass from a scalar loss, whose gradient is `seed` (1, a loss scale, or 1 / micro-batches).
  void backward(const V& loss, float seed = 1.0f) {
    D3AD_CHECK(loss.shape().size() == 1, "backward: the loss is ", loss.shape(), ", expected one number");
    V one = make_value<Real<Device>>(*ctx_, loss.shape());
    ops::fill(*ctx_, one.view(), seed);
    backward_from(loss, std::move(one));
  }

  // The backward pass from any value whose gradient is known.
  void backward_from(const V& y, V dy) {
    D3AD_CHECK(y.node >= 0, "backward: the value is not on this tape (nothing trainable leads to it)");
    accumulate(y, std::move(dy));
    for (std::size_t i = nodes_.size(); i-- > 0;) {
      Node& node = nodes_[i];
      if (!node.backward) continue;
      if (node.gradient) node.backward(node.gradient);
      node.backward = nullptr;  // frees what it captured
      node.gradient.reset();
    }
  }

  // The gradient of a leaf after the backward pass; empty if no step added to it.
  V gradient(const V& leaf) const { return leaf.node < 0 ? V() : nodes_[static_cast<std::size_t>(leaf.node)].gradient; }

  void clear() { nodes_.clear(); }

 private:
  struct Node {
    std::function<void(const V&)> backward;
    V gradient;
  };
  int add(std::function<void(const V&)> backward) {
    nodes_.push_back({std::move(backward), V()});
    return static_cast<int>(nodes_.size()) - 1;
  }

  Context<Device>* ctx_;
  std::vector<Node> nodes_;
  Listener listener_;
};

template <class Run>
inline constexpr bool is_tape = false;
template <class Device>
inline constexpr bool is_tape<Tape<Device>> = true;

// The context under a runner.
template <class Device>
Context<Device>& context_of(Context<Device>& ctx) {
  return ctx;
}
template <class Device>
Context<Device>& context_of(Tape<Device>& tape) {
  return tape.context();
}

}  // namespace d3ad
