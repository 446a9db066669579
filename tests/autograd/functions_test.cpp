// Every function of autograd: its gradients against finite differences in double (reference device), and the CPU's
// gradients against those.

#include "d3ad/autograd/functions.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "d3ad/backend/reference/ops.hpp"
#include "d3ad/models/resnet.hpp"
#include "d3ad/nn/layers.hpp"
#include "support/compare.hpp"

namespace functions_test {

using namespace d3ad;

namespace {

// In double a central difference with step 1e-5 errs by 1e-10 times the third derivative and by 1e-11 of rounding.
constexpr double kStep = 1e-5, kExact = 1e-6, kFloat = 2e-5;

// One device's graph: parameters with random values, random inputs, a loss.
template <class Device, class Make>
struct Graph {
  using Number = Real<Device>;
  Context<Device> ctx;
  ParameterStore<Device> store;
  InitSource source{3};
  decltype(std::declval<Make>()(std::declval<Params<Device>>())) f;
  std::vector<Tensor<Number, Device>> inputs;
  Tensor<Number, Device> target;

  static Tensor<Number, Device> numbers(Shape shape, std::uint64_t seed) {
    const auto x = test::random(shape, seed);
    Tensor<Number, Device> out(shape);
    std::copy_n(x.data(), x.size(), out.data());
    return out;
  }

  Graph(const std::vector<Shape>& shapes, Make make) : f(make(Params<Device>(store, source))) {
    for (std::size_t i = 0; i < shapes.size(); ++i) inputs.push_back(numbers(shapes[i], 10 + i));
    std::uint64_t seed = 100;
    for (auto& p : store) {
      const auto values = numbers(p.shape(), seed++);
      auto to = p.edit();
      for (std::int64_t i = 0; i < p.size(); ++i)
        to.data[i] = p.name().ends_with("running_var") ? Number(1.5) + values.data()[i] : values.data()[i];
    }
    target = numbers(f(ctx, borrowed()).shape(), 7);
  }
  std::vector<Value<Number, Device>> borrowed() {
    std::vector<Value<Number, Device>> out;
    for (auto& x : inputs) out.push_back(Value<Number, Device>::borrow(x.view()));
    return out;
  }
  template <class Run>
  fn::ValueOf<Run> loss(Run& run, std::vector<fn::ValueOf<Run>> x) {
    return fn::mse(run, f(run, std::move(x)), Value<Number, Device>::borrow(target.view()));
  }
  double loss() { return static_cast<double>(fn::item(loss(ctx, borrowed()))); }

  // Of every input, then of every trainable parameter.
  std::vector<Tensor<Number, Device>> gradients() {
    std::vector<Tensor<Number, Device>> out;
    const auto keep = [&](View<const Number, Device> g) {
      Tensor<Number, Device> kept(g.shape);
      std::copy_n(g.data, g.size(), kept.data());
      out.push_back(std::move(kept));
    };
    Tape<Device> tape(ctx);
    std::vector<Value<Number, Device>> leaves;
    for (auto& x : borrowed()) leaves.push_back(tape.leaf(x));
    const auto l = loss(tape, leaves);
    tape.backward(l);
    for (const auto& leaf : leaves) {
      const auto g = tape.gradient(leaf);
      REQUIRE(g);
      keep(g.view());
    }
    for (auto& p : store)
      if (p.trainable()) keep(p.gradient());
    return out;
  }
};

template <class Make>
void check_gradients(const std::vector<Shape>& shapes, Make make) {
  Graph<Reference, Make> exact(shapes, make);
  const auto got = exact.gradients();
  std::vector<View<double, Reference>> variables;
  for (auto& x : exact.inputs) variables.push_back(x.view());
  for (auto& p : exact.store)
    if (p.trainable()) variables.push_back(p.edit());
  REQUIRE(variables.size() == got.size());
  for (std::size_t v = 0; v < variables.size(); ++v) {
    CAPTURE(v);
    Tensor<double, Reference> want(variables[v].shape);
    for (std::int64_t i = 0; i < want.size(); ++i) {
      double& x = variables[v].data[i];
      const double kept = x;
      x = kept + kStep;
      const double up = exact.loss();
      x = kept - kStep;
      const double down = exact.loss();
      x = kept;
      want.data()[i] = (up - down) / (2 * kStep);
    }
    const auto c = test::compare(got[v].view(), want.view(), kExact);
    CHECK_MESSAGE(c.close, c);
  }
  Graph<Cpu, Make> fast(shapes, make);
  const auto float_gradients = fast.gradients();
  for (std::size_t v = 0; v < variables.size(); ++v) {
    CAPTURE(v);
    const auto c = test::compare(float_gradients[v].view(), got[v].view(), kFloat);
    CHECK_MESSAGE(c.close, "CPU: ", c);
  }
}

template <class P>
using DeviceOf = typename P::device;

}  // namespace

#define D3AD_WITHOUT_PARAMETERS(...) [](auto) { return [](auto& run, auto x) { return __VA_ARGS__; }; }

TEST_CASE("gradients of the element-wise functions") {
  const Shape s{2, 2, 3, 4};
  check_gradients({s}, D3AD_WITHOUT_PARAMETERS(fn::silu(run, x[0])));
  check_gradients({s}, D3AD_WITHOUT_PARAMETERS(fn::relu(run, x[0])));
  check_gradients({s}, D3AD_WITHOUT_PARAMETERS(fn::tanh(run, x[0])));
  check_gradients({s}, D3AD_WITHOUT_PARAMETERS(fn::scale(run, x[0], 1.5f, 0.25f)));
  check_gradients({s, s}, D3AD_WITHOUT_PARAMETERS(fn::add(run, x[0], x[1])));
  check_gradients({s, {.n = 2, .c = 4}}, D3AD_WITHOUT_PARAMETERS(fn::add_per_image(run, x[0], x[1])));
  check_gradients({{1, 2, 2, 3}}, D3AD_WITHOUT_PARAMETERS(imagenet_input(run, x[0])));
}

TEST_CASE("a value that is used twice gets both gradients") {
  const Shape s{1, 2, 2, 4};
  check_gradients({s}, D3AD_WITHOUT_PARAMETERS(fn::add(run, x[0], x[0])));
  check_gradients({s},
                  D3AD_WITHOUT_PARAMETERS(fn::add(run, fn::silu(run, x[0]), fn::add(run, fn::tanh(run, x[0]), x[0]))));
  check_gradients({s, s}, D3AD_WITHOUT_PARAMETERS(fn::concat(run, fn::add(run, x[0], x[1]), x[0])));
}

TEST_CASE("gradients of the functions that rearrange and pool") {
  check_gradients({{2, 2, 3, 2}, {2, 2, 3, 5}}, D3AD_WITHOUT_PARAMETERS(fn::concat(run, x[0], x[1])));
  check_gradients({{2, 4, 6, 3}}, D3AD_WITHOUT_PARAMETERS(fn::avg_pool2(run, x[0])));
  check_gradients({{2, 5, 6, 3}}, D3AD_WITHOUT_PARAMETERS(fn::max_pool3(run, x[0])));
  check_gradients({{2, 3, 2, 3}}, D3AD_WITHOUT_PARAMETERS(fn::global_avg_pool(run, x[0])));
  check_gradients({{2, 3, 2, 3}}, D3AD_WITHOUT_PARAMETERS(fn::upsample2(run, x[0])));
  const auto halves = [](auto) {
    return [](auto& run, auto x) {
      auto [a, b] = fn::halves(run, x[0]);
      return fn::add(run, fn::silu(run, a), fn::scale(run, b, 2.0f));
    };
  };
  check_gradients({{1, 2, 2, 6}}, halves);
}

TEST_CASE("gradients of attention, of the posterior") {
  check_gradients({{2, 2, 3, 12}}, D3AD_WITHOUT_PARAMETERS(fn::attention(run, x[0], {.heads = 2})));
  const Shape noise{1, 2, 2, 3};
  const auto posterior = [noise](auto) {
    return [noise](auto& run, auto x) {
      using Number = std::remove_pointer_t<decltype(x[0].view().data)>;
      auto& ctx = context_of(run);
      auto e = make_value<Number>(ctx, noise);
      ops::normal(ctx, e.view(), Rng(1, 2), 0);
      return fn::posterior(run, x[0], std::move(e));
    };
  };
  check_gradients({{1, 2, 2, 6}}, posterior);
}

TEST_CASE("gradients of the losses") {
  const Shape s{2, 2, 2, 3};
  const auto constant = [](auto& run, Shape shape) {
    auto& ctx = context_of(run);
    auto t = fn::make_result(run, shape);
    ops::normal(ctx, t.view(), Rng(5, 6), 0);
    return t;
  };
  check_gradients({s}, [&](auto) { return [&](auto& run, auto x) { return fn::mse(run, x[0], constant(run, s)); }; });
  check_gradients({s}, [&](auto) { return [&](auto& run, auto x) { return fn::l1(run, x[0], constant(run, s)); }; });
  check_gradients({s, s}, D3AD_WITHOUT_PARAMETERS(fn::cosine_loss(run, x[0], x[1])));
  check_gradients({s, s}, D3AD_WITHOUT_PARAMETERS(fn::kl(run, x[0], x[1])));
  const auto cross_entropy = [](auto) {
    return [](auto& run, auto x) {
      auto labels = make_value<std::int32_t>(context_of(run), {.n = 3});
      for (int i = 0; i < 3; ++i) labels.view().data[i] = (2 * i + 1) % 4;
      return fn::cross_entropy(run, x[0], std::move(labels));
    };
  };
  check_gradients({{.n = 3, .c = 4}}, cross_entropy);
}

TEST_CASE("gradients of convolutions") {
  using C = nn::Conv2d<Reference>::Config;
  for (const C c :
       {C{.in = 3, .out = 4, .kernel = 3, .pad = 1}, C{.in = 3, .out = 2, .kernel = 3, .stride = 2, .pad = 1},
        C{.in = 3, .out = 2, .kernel = 3, .stride = 2, .pad = 0, .pad_end = 1}, C{.in = 3, .out = 4, .kernel = 1},
        C{.in = 3, .out = 2, .kernel = 1, .stride = 2, .bias = false},
        C{.in = 2, .out = 3, .kernel = 7, .stride = 2, .pad = 3, .bias = false}}) {
    const auto make = [c](auto params) {
      using Device = DeviceOf<decltype(params)>;
      nn::Conv2d<Device> layer(params, {.in = c.in,
                                        .out = c.out,
                                        .kernel = c.kernel,
                                        .stride = c.stride,
                                        .pad = c.pad,
                                        .pad_end = c.pad_end,
                                        .bias = c.bias});
      return [layer](auto& run, auto x) { return layer(run, x[0]); };
    };
    check_gradients({{2, 4, 6, int{c.in}}}, make);
  }
}

TEST_CASE("gradients of linear layers and norms") {
  const Shape s{2, 2, 3, 8};
  const auto linear = [](auto params) {
    nn::Linear<DeviceOf<decltype(params)>> layer(params, {.in = 8, .out = 5});
    return [layer](auto& run, auto x) { return layer(run, x[0]); };
  };
  check_gradients({s}, linear);
  for (const bool silu : {false, true}) {
    const auto group_norm = [silu](auto params) {
      nn::GroupNorm<DeviceOf<decltype(params)>> layer(params, 8, {.groups = 4, .eps = 1e-5f, .silu = silu});
      return [layer](auto& run, auto x) { return layer(run, x[0]); };
    };
    check_gradients({s}, group_norm);
  }
  for (const bool relu : {false, true})
    for (const bool training : {false, true}) {
      CAPTURE(relu);
      CAPTURE(training);
      const auto batch_norm = [=](auto params) {
        nn::BatchNorm<DeviceOf<decltype(params)>> layer(params, 8, {.eps = 1e-5f, .relu = relu});
        return [layer, training](auto& run, auto x) { return layer(run, x[0], training); };
      };
      check_gradients({s}, batch_norm);
    }
}

TEST_CASE("a checkpoint gives the gradients of what it wraps") {
  const auto make = [](bool checkpointed) {
    return [checkpointed](auto params) {
      nn::Linear<DeviceOf<decltype(params)>> layer(params, {.in = 4, .out = 4});
      return [layer, checkpointed](auto& run, auto x) {
        const auto body = [layer](auto& inner, auto v, auto condition) {
          return fn::add_per_image(inner, fn::silu(inner, layer(inner, v)), condition);
        };
        return checkpointed ? fn::checkpoint(run, x[0], x[1], body) : body(run, x[0], x[1]);
      };
    };
  };
  const std::vector<Shape> shapes{{2, 2, 2, 4}, {.n = 2, .c = 4}};
  check_gradients(shapes, make(true));
  Graph<Cpu, decltype(make(true))> with(shapes, make(true)), without(shapes, make(false));
  const auto a = with.gradients(), b = without.gradients();
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(test::compare(a[i].view(), b[i].view(), 0).close);
}

TEST_CASE("a frozen parameter gets no gradient") {
  Context<Cpu> ctx({.threads = 1});
  ParameterStore<Cpu> store;
  InitSource source(1);
  nn::Linear<Cpu> layer(Params<Cpu>(store, source), {.in = 3, .out = 2});
  for (auto& p : store) p.set_trainable(false);
  Tape<Cpu> tape(ctx);
  const auto x = test::random({.n = 2, .c = 3}, 1);
  const auto leaf = tape.leaf(Value<float, Cpu>::borrow(x.view()));
  const auto y = layer(tape, leaf);
  const auto target = test::random(y.shape(), 2);
  const auto l = fn::mse(tape, y, Value<float, Cpu>::borrow(target.view()));
  tape.backward(l);
  CHECK(tape.gradient(leaf));
  for (auto& p : store) CHECK_FALSE(p.has_gradient());
}

TEST_CASE("backward wants a scalar that is on the tape") {
  Context<Cpu> ctx({.threads = 1});
  Tape<Cpu> tape(ctx);
  const auto x = test::random({.n = 2, .c = 3}, 1);
  const auto leaf = tape.leaf(Value<float, Cpu>::borrow(x.view()));
  CHECK_THROWS_WITH_AS(tape.backward(leaf), doctest::Contains("expected one number"), Error);
  const auto loose = fn::mse(ctx, Value<float, Cpu>::borrow(x.view()), Value<float, Cpu>::borrow(x.view()));
  CHECK_THROWS_WITH_AS(tape.backward(loose), doctest::Contains("not on this tape"), Error);
}

}  // namespace functions_test
