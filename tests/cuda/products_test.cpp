// Matrix products, linear layers and convolutions on a GPU in each activation type, against the reference device; the
// weights' copies in that type; products in a captured graph.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "d3ad/backend/cuda/column_sums.hpp"
#include "d3ad/backend/cuda/conv2d.hpp"
#include "d3ad/backend/cuda/cublas.hpp"
#include "d3ad/backend/cuda/linear.hpp"
#include "d3ad/backend/cuda/packed_weights.hpp"
#include "d3ad/backend/reference/ops.hpp"
#include "support/cuda_types.hpp"

namespace cuda_products_test {

using namespace d3ad;

namespace {

// compute(gradient) adds to a gradient that begins as 0.5; rounded to the activations' type for the comparison.
template <class Device, class T, class F>
void gradient_from(View<T, Device> out, F compute) {
  Tensor<Weight<Device>, Device> gradient(out.shape);
  const std::vector<Weight<Device>> begin(static_cast<std::size_t>(out.size()), Weight<Device>(0.5));
  copy_from_host(gradient.view(), begin.data());
  compute(gradient.view());
  std::vector<Weight<Device>> sums(begin.size());
  copy_to_host<Weight<Device>, Device>(sums.data(), gradient.view());
  std::vector<T> rounded;
  for (const auto v : sums) rounded.push_back(static_cast<T>(v));
  copy_from_host(out, rounded.data());
}

template <class T>
Tensor<float, Cpu> rounded(Shape shape, std::uint64_t seed) {
  auto x = test::random(shape, seed);
  for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] = static_cast<T>(x.data()[i]);
  return x;
}

// multiply() against plain sums: every element of the memory of the results, so that what lies between rows and
// matrices is seen to stay.
template <class Out, class T>
void same_product(cuda::Product p, bool with_bias) {
  CAPTURE(p.rows);
  CAPTURE(p.columns);
  CAPTURE(p.depth);
  const auto extent = [&](std::int64_t rows, std::int64_t stride, std::int64_t step) {
    return Shape{.c = (p.batch - 1) * step + rows * stride};
  };
  const auto a = rounded<T>(extent(p.a_transposed ? p.depth : p.rows, p.a_stride, p.a_step), 1);
  const auto b = rounded<T>(extent(p.b_transposed ? p.columns : p.depth, p.b_stride, p.b_step), 2);
  const auto begin = rounded<Out>(extent(p.rows, p.out_stride, p.out_step), 3);
  const auto bias = rounded<Out>({.c = p.columns}, 4);
  Tensor<double, Reference> want = test::to_reference(begin.view());
  for (std::int64_t n = 0; n < p.batch; ++n)
    for (std::int64_t i = 0; i < p.rows; ++i)
      for (std::int64_t j = 0; j < p.columns; ++j) {
        double sum = 0;
        for (std::int64_t k = 0; k < p.depth; ++k)
          sum += double{a.data()[n * p.a_step + (p.a_transposed ? k * p.a_stride + i : i * p.a_stride + k)]} *
                 double{b.data()[n * p.b_step + (p.b_transposed ? j * p.b_stride + k : k * p.b_stride + j)]};
        double& to = want.data()[n * p.out_step + i * p.out_stride + j];
        to = double{p.alpha} * sum + double{p.beta} * to + (with_bias ? double{bias.data()[j]} : 0.0);
      }
  Context<CudaOf<T>> ctx;
  const auto on_a = test::to_cuda<T>(a.view()), on_b = test::to_cuda<T>(b.view());
  const auto on_bias = test::to_cuda<T, float>(bias.view());
  auto out = test::to_cuda<T, Out>(begin.view());
  cuda::multiply(ctx, p, out.data(), on_a.data(), on_b.data(), with_bias ? on_bias.data() : nullptr);
  const auto got = test::from_cuda<T, Out>(out.view());
  const auto c = test::compare(got.view(), want.view(), 2e-6 + test::kRounding<Out>);
  CHECK_MESSAGE(c.close, c);
}

template <class T>
struct Type {
  using type = T;
};
// f(Type<T>()) for each activation type.
template <class F>
void for_each_type(F f) {
  f(Type<float>()), f(Type<half>()), f(Type<bfloat16>());
}

}  // namespace

TEST_CASE("products of any layout are sums of products") {
  if (!test::cuda_present()) return;
  for_each_type([](auto type) {
    using T = typename decltype(type)::type;
    CAPTURE(std::string(name(dtype_of<T>())));
    for (const bool a_transposed : {false, true})
      for (const bool b_transposed : {false, true})
        for (const bool bias : {false, true}) {
          cuda::Product p{.rows = 33,
                          .columns = 17,
                          .depth = 29,
                          .a_transposed = a_transposed,
                          .b_transposed = b_transposed,
                          .a_stride = 40,
                          .b_stride = 32,
                          .out_stride = 24};
          same_product<T, T>(p, bias);
          same_product<float, T>(p, bias);
          p.batch = 3, p.a_step = 2000, p.b_step = 1000, p.out_step = 800, p.alpha = 0.25f, p.beta = 1;
          same_product<T, T>(p, bias);
          same_product<float, T>(p, bias);
          p.out_stride = 64, p.out_step = 20;  // results side by side in the same rows
          same_product<T, T>(p, bias);
        }
    same_product<T, T>({.rows = 1, .columns = 1, .depth = 1, .a_stride = 1, .b_stride = 1, .out_stride = 1}, true);
    same_product<T, T>({.rows = 70, .columns = 3, .depth = 200, .a_stride = 200, .b_stride = 3, .out_stride = 3}, true);
  });
}

TEST_CASE("multiply refuses what it cannot compute") {
  if (!test::cuda_present()) return;
  Context<Cuda> ctx;
  Tensor<float, Cuda> x({.c = 64});
  const auto refused = [&](cuda::Product p, const char* why) {
    CHECK_THROWS_WITH_AS(cuda::multiply(ctx, p, x.data(), x.data(), x.data()), doctest::Contains(why), Error);
  };
  refused({.rows = 0, .columns = 1, .depth = 1, .a_stride = 1, .b_stride = 1, .out_stride = 1}, "nothing to compute");
  refused({.rows = 2, .columns = 2, .depth = 3, .a_stride = 2, .b_stride = 2, .out_stride = 2}, "do not fit strides");
  refused({.rows = 2, .columns = 2, .depth = 3, .a_stride = 3, .b_stride = 2, .out_stride = 2, .batch = 2}, "overlap");
}

TEST_CASE("linear and its gradients are those of the reference device, in each type") {
  for_each_type([](auto type) {
    using T = typename decltype(type)::type;
    constexpr double kBias = test::kRounding<T>;  // it is rounded to T
    for (const auto& [rows, in, out] : {std::tuple{6, 16, 8}, {300, 3, 7}, {1, 128, 129}, {1000, 32, 96}}) {
      const Shape x{.n = rows, .c = in}, y{.n = rows, .c = out}, w{.n = out, .c = in}, bias{.c = out};
      test::same_in_type<T>({x, w, bias}, y, 2e-6 + kBias, [](auto& ctx, auto o, auto i) {
        const auto p = test::parameter(i[1]);
        const auto b = test::weights(i[2]);
        ops::linear(ctx, o, i[0], p, b.view());
      });
      test::same_in_type<T>({y, w}, x, 2e-6, [](auto& ctx, auto dx, auto i) {
        const auto p = test::parameter(i[1]);
        ops::linear_backward_data(ctx, dx, i[0], p);
      });
      test::same_in_type<T>({x, y}, w, 5e-6, [](auto& ctx, auto out_dw, auto i) {
        gradient_from(out_dw, [&](auto dw) { ops::linear_backward_weights(ctx, dw, {}, i[0], i[1]); });
      });
      test::same_in_type<T>({x, y, w}, bias, 5e-6, [](auto& ctx, auto out_db, auto i) {
        auto dw = test::weights(i[2]);
        gradient_from(out_db, [&](auto db) { ops::linear_backward_weights(ctx, dw.view(), db, i[0], i[1]); });
      });
    }
  });
}

TEST_CASE("conv2d and its gradients are those of the reference device, in each type") {
  struct Layer {
    Shape x, w;
    ops::Conv2d config;
  };
  const std::vector<Layer> layers{
      {{2, 9, 7, 3}, {5, 3, 3, 3}, {.kernel = 3, .pad = 1}},
      {{1, 12, 11, 32}, {40, 3, 3, 32}, {.kernel = 3, .pad = 1}},
      {{2, 8, 10, 16}, {24, 3, 3, 16}, {.kernel = 3, .stride = 2, .pad = 1}},
      {{1, 8, 8, 16}, {16, 3, 3, 16}, {.kernel = 3, .stride = 2, .pad = 0, .pad_end = 1}},  // the VAE's downsampling
      {{1, 21, 20, 3}, {8, 7, 7, 3}, {.kernel = 7, .stride = 2, .pad = 3}},                 // ResNet's first
      {{2, 6, 6, 24}, {12, 1, 1, 24}, {.kernel = 1}},
      {{2, 6, 7, 16}, {32, 1, 1, 16}, {.kernel = 1, .stride = 2}},
      {{1, 3, 3, 1}, {1, 3, 3, 1}, {.kernel = 3}},
  };
  for_each_type([&](auto type) {
    using T = typename decltype(type)::type;
    for (const auto& layer : layers) {
      const auto& x = layer.x;
      const auto& w = layer.w;
      const auto& config = layer.config;
      CAPTURE(x);
      CAPTURE(w);
      const auto how = config;
      const Shape out = ops::conv2d_shape(x, w, config), bias{.c = w.n};
      // With a bias the result is rounded twice, or the bias is.
      test::same_in_type<T>({x, w, bias}, out, 1e-5 + test::kRounding<T>, [how](auto& ctx, auto o, auto in) {
        const auto p = test::parameter(in[1]);
        const auto b = test::weights(in[2]);
        ops::conv2d(ctx, o, in[0], p, b.view(), how);
      });
      test::same_in_type<T>({x, w}, out, 1e-5, [how](auto& ctx, auto o, auto in) {
        const auto p = test::parameter(in[1]);
        ops::conv2d(ctx, o, in[0], p, {}, how);
      });
      test::same_in_type<T>({w, out}, x, 1e-5, [how](auto& ctx, auto dx, auto in) {
        const auto p = test::parameter(in[0]);
        ops::conv2d_backward_data(ctx, dx, in[1], p, how);
      });
      test::same_in_type<T>({x, out}, w, 1e-5 + test::kRounding<T>, [how](auto& ctx, auto out_dw, auto in) {
        gradient_from(out_dw, [&](auto dw) { ops::conv2d_backward_weights(ctx, dw, {}, in[0], in[1], how); });
      });
      test::same_in_type<T>({x, out, w}, bias, 1e-5, [how](auto& ctx, auto out_db, auto in) {
        auto dw = test::weights(in[2]);
        gradient_from(out_db, [&](auto db) { ops::conv2d_backward_weights(ctx, dw.view(), db, in[0], in[1], how); });
      });
    }
  });
}

TEST_CASE("column sums of many rows keep their precision") {
  if (!test::cuda_present()) return;
  for_each_type([](auto type) {
    using T = typename decltype(type)::type;
    for (const Shape shape : {Shape{3, 70, 61, 3}, Shape{.n = 20000, .c = 8}, Shape{.n = 2000, .c = 264}, Shape{.c = 9},
                              Shape{.n = 70000, .c = 1}}) {
      CAPTURE(shape);
      auto x = test::random(shape, 1);
      for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] = static_cast<T>(x.data()[i] + 1);
      Tensor<double, Reference> want({.c = shape.c});
      std::fill_n(want.data(), want.size(), -2.0);
      for (std::int64_t i = 0; i < x.size(); ++i) want.data()[i % shape.c] += double{x.data()[i]};
      Context<CudaOf<T>> ctx;
      const auto on_x = test::to_cuda<T>(x.view());
      Tensor<float, CudaOf<T>> sums({.c = shape.c});
      ops::fill(ctx, sums.view(), -2.0f);
      cuda::add_column_sums(ctx, sums.view(), on_x.view());
      const auto c = test::compare(test::from_cuda<T, float>(sums.view()).view(), want.view(), 2e-7);
      CHECK_MESSAGE(c.close, c);
    }
  });
}

TEST_CASE("weights are copied to the activations' type when they change, and lie in memory once when frozen") {
  if (!test::cuda_present()) return;
  for_each_type([](auto type) {
    using T = typename decltype(type)::type;
    using Device = CudaOf<T>;
    CAPTURE(std::string(name(dtype_of<T>())));
    Context<Device> ctx;
    const Shape shape{6, 3, 3, 5};
    const auto values = test::random(shape, 1), others = test::random(shape, 2);
    Parameter<Device> w("weight", {6, 5, 3, 3}, shape);
    const auto in_type = [](const Tensor<float, Cpu>& x) {
      auto y = test::copy(x);
      for (std::int64_t i = 0; i < y.size(); ++i) y.data()[i] = static_cast<T>(y.data()[i]);
      return y;
    };
    const auto used = [&](const Parameter<Device>& p) { return test::from_cuda<T>(weights_of(ctx, p).view()); };
    copy_from_host(w.edit(), values.data());
    CHECK(test::compare(used(w).view(), in_type(values).view(), 0).close);
    copy_from_host(w.edit(), others.data());
    CHECK(test::compare(used(w).view(), in_type(others).view(), 0).close);
    const auto* const where = weights_of(ctx, w).view().data;
    CHECK(w.has_plain());
    w.freeze();
    CHECK(test::compare(used(w).view(), in_type(others).view(), 0).close);
    CHECK(weights_of(ctx, w).view().data == where);
    CHECK(w.has_plain() == std::is_same_v<T, float>);

    // bfloat16, whatever the activations are.
    Parameter<Device> narrow("weight", {6, 5, 3, 3}, shape);
    Tensor<bfloat16, Device> stored(shape);
    std::vector<bfloat16> host;
    auto want = test::copy(values);
    for (std::int64_t i = 0; i < values.size(); ++i) {
      host.emplace_back(values.data()[i]);
      want.data()[i] = static_cast<T>(static_cast<float>(host.back()));
    }
    copy_from_host(stored.view(), host.data());
    narrow.adopt_narrow(std::move(stored));
    CHECK(test::compare(used(narrow).view(), want.view(), 0).close);
  });
}

TEST_CASE("products and convolutions can be captured in a graph") {
  if (!test::cuda_present()) return;
  for_each_type([](auto type) {
    using T = typename decltype(type)::type;
    using Device = CudaOf<T>;
    CAPTURE(std::string(name(dtype_of<T>())));
    Context<Device> ctx;
    const Shape shape{2, 6, 6, 16};
    const auto first = rounded<T>(shape, 1), second = rounded<T>(shape, 2);
    const auto w = test::parameter(test::to_cuda<T>(rounded<T>({24, 3, 3, 16}, 3).view()).view());
    const auto head = test::parameter(test::to_cuda<T>(rounded<T>({.n = 5, .c = 24}, 4).view()).view());
    const auto bias = test::to_cuda<T, float>(rounded<T>({.c = 5}, 5).view());
    Tensor<T, Device> x(shape), hidden({2, 6, 6, 24}), out({2, 6, 6, 5});
    const auto set = [&](const Tensor<float, Cpu>& from) {
      std::vector<T> host;
      for (std::int64_t i = 0; i < from.size(); ++i) host.push_back(static_cast<T>(from.data()[i]));
      copy_from_host(x.view(), host.data());
    };
    const auto compute = [&] {
      ops::conv2d(ctx, hidden.view(), x.view(), w, {}, {.kernel = 3, .pad = 1});
      ops::linear(ctx, out.view(), hidden.view(), head, bias.view());
    };
    set(second);
    compute();
    const auto want = test::from_cuda<T>(out.view());
    set(first);
    compute();
    CHECK_FALSE(test::compare(test::from_cuda<T>(out.view()).view(), want.view(), 1e-2).close);
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    D3AD_CUDA_CHECK(cudaStreamBeginCapture(ctx.stream(), cudaStreamCaptureModeThreadLocal));
    compute();
    D3AD_CUDA_CHECK(cudaStreamEndCapture(ctx.stream(), &graph));
    D3AD_CUDA_CHECK(cudaGraphInstantiate(&executable, graph, 0));
    set(second);
    D3AD_CUDA_CHECK(cudaGraphLaunch(executable, ctx.stream()));
    CHECK(test::compare(test::from_cuda<T>(out.view()).view(), want.view(), 0).close);
    D3AD_CUDA_CHECK(cudaGraphExecDestroy(executable));
    D3AD_CUDA_CHECK(cudaGraphDestroy(graph));
  });
}

}  // namespace cuda_products_test
