#pragma once
// Runs an operation on the CPU and on the reference device with the same numbers, and compares.
//
//   test::same_on_both({{2, 5, 7, 3}, {.c = 3}}, {2, 5, 7, 3}, 1e-6,
//                      [](auto& ctx, auto out, auto in) { ops::scale_channels(ctx, out, in[0], in[1], in[2]); });
//
// Inputs are uniform in [-1, 1); what the operation adds to is 0 at first. At each vector width the machine has, with
// one thread and with three, which have to give the same bits. In place: `alias` is the input that out is to be.
// same_bits false: one that may depend on the number of threads.
//
// Where the tests are built for it (D3AD_CUDA) the same on an NVIDIA GPU, twice; without one that half is skipped
// and counted (test::cuda_skipped).

#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <vector>

#include "d3ad/backend/ops.hpp"
#include "d3ad/backend/reference/ops.hpp"
#include "support/compare.hpp"
#include "support/simd_levels.hpp"
#if defined(D3AD_CUDA) || defined(D3AD_TEST_CUDA)
#include "d3ad/backend/cuda/ops.hpp"
#include "support/cuda.hpp"
#endif

namespace d3ad::test {

template <class Device>
using Views = std::vector<View<Real<Device>, Device>>;

inline std::vector<Tensor<float, Cpu>> random_inputs(const std::vector<Shape>& shapes) {
  std::vector<Tensor<float, Cpu>> inputs;
  for (std::size_t i = 0; i < shapes.size(); ++i) inputs.push_back(random(shapes[i], i + 1));
  return inputs;
}

#if defined(D3AD_CUDA) || defined(D3AD_TEST_CUDA)
template <class Op>
void same_on_cuda(const std::vector<Tensor<float, Cpu>>& inputs, View<double, Reference> want, double tolerance, Op op,
                  int alias) {
  if (!cuda_present()) return;
  std::vector<float> first;
  for (int run = 0; run < 2; ++run) {
    Context<Cuda> ctx;
    std::vector<Tensor<float, Cuda>> copies;
    Views<Cuda> views;
    for (const auto& input : inputs) copies.push_back(to_cuda<float>(input.view()));
    for (auto& input : copies) views.push_back(input.view());
    Tensor<float, Cuda> out(want.shape);
    ops::fill(ctx, out.view(), 0.0f);
    op(ctx, alias < 0 ? out.view() : views[static_cast<std::size_t>(alias)], views);
    const auto got = from_cuda<float>(alias < 0 ? out.view() : views[static_cast<std::size_t>(alias)]);
    const auto c = compare(got.view(), want, tolerance);
    CHECK_MESSAGE(c.close, "CUDA: ", c);
    const std::vector<float> bits(got.data(), got.data() + got.size());
    if (run == 0) first = bits;
    CHECK(std::memcmp(first.data(), bits.data(), bits.size() * sizeof(float)) == 0);
  }
}
#endif

template <class Op>
void same_on_both(const std::vector<Shape>& shapes, Shape out_shape, double tolerance, Op op, int alias = -1,
                  bool same_bits = true) {
  const auto inputs = random_inputs(shapes);
  CAPTURE(out_shape);
  Tensor<double, Reference> want(out_shape);
  std::fill_n(want.data(), want.size(), 0.0);
  {
    Context<Reference> ctx;
    std::vector<Tensor<double, Reference>> exact;
    Views<Reference> views;
    for (const auto& input : inputs) exact.push_back(to_reference(input.view()));
    for (auto& input : exact) views.push_back(input.view());
    op(ctx, want.view(), views);
  }
#if defined(D3AD_CUDA) || defined(D3AD_TEST_CUDA)
  same_on_cuda(inputs, want.view(), tolerance, op, alias);
#endif
  for (const auto level : simd_levels()) {
    const AtLevel at(level);
    Tensor<float, Cpu> first;
    for (const int threads : {1, 3}) {
      Context<Cpu> ctx({.threads = threads});
      std::vector<Tensor<float, Cpu>> copies;
      Views<Cpu> views;
      for (const auto& input : inputs) copies.push_back(copy(input));
      for (auto& input : copies) views.push_back(input.view());
      Tensor<float, Cpu> out(out_shape);
      zero(out.view());
      op(ctx, alias < 0 ? out.view() : views[static_cast<std::size_t>(alias)], views);
      const auto got = alias < 0 ? out.view() : views[static_cast<std::size_t>(alias)];
      const auto c = compare(got, want.view(), tolerance);
      CHECK_MESSAGE(c.close, std::string(simd::name(level)), ": ", c);
      if (first.empty()) {
        first = Tensor<float, Cpu>(out_shape);
        std::copy_n(got.data, got.size(), first.data());
      } else if (same_bits) {
        CHECK(std::memcmp(first.data(), got.data, static_cast<std::size_t>(got.size()) * sizeof(float)) == 0);
      }
    }
  }
}

}  // namespace d3ad::test
