#pragma once
// Runs an operation on an NVIDIA GPU (or its emulation) with activations of type T and on the reference device, with
// the same numbers, rounded to T first, and compares.
//
//   test::same_in_type<half>({{2, 5, 7, 3}}, {2, 5, 7, 3}, 1e-6,
//                            [](auto& ctx, auto out, auto in) { ops::activate(ctx, out, in[0], kind); });
//   auto b = test::weights(in[1]);  auto w = test::parameter(in[2]);     an input as a bias, as a layer's weight
//
// The tolerance is float's, of the largest value; results in half and bfloat16 are rounded once more, which is added
// unless it is 0, for what only moves numbers.
// Everything is run twice, which has to give the same bits, and once more with pointers that no pack begins at. Outputs
// hold NaN at first, so that an element that is not written is noticed.

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "d3ad/backend/cuda/ops.hpp"
#include "d3ad/backend/reference/ops.hpp"
#include "d3ad/core/parameter.hpp"
#include "support/compare.hpp"
#include "support/cuda.hpp"

namespace d3ad::test {

// The device that a generic operation is given a context of.
template <class Ctx>
using DeviceOf = typename std::remove_reference_t<Ctx>::device;

// Numbers of a test on the host, and as what a device keeps parameters in.
template <class T>
std::vector<float> on_host(View<T, CudaOf<T>> x) {
  const auto host = from_cuda<T>(x);
  return {host.data(), host.data() + host.size()};
}
inline std::vector<double> on_host(View<double, Reference> x) { return {x.data, x.data + x.size()}; }
template <class Device, class T>
Tensor<Weight<Device>, Device> weights(View<T, Device> x) {
  Tensor<Weight<Device>, Device> out(x.shape);
  copy_from_host(out.view(), on_host(x).data());
  return out;
}
template <class Device, class T>
Parameter<Device> parameter(View<T, Device> x) {
  Parameter<Device> p("weight", {x.shape.n, x.shape.c, x.shape.h, x.shape.w}, x.shape);
  copy_from_host(p.edit(), on_host(x).data());
  return p;
}

// Half a unit in the last place, relative, of what is stored in T.
template <class T>
constexpr double kRounding = std::is_same_v<T, float>  ? 0.0
                             : std::is_same_v<T, half> ? 0x1p-11
                                                       : 0x1p-8;

struct InType {
  int alias = -1;   // the input that out is to be
  float scale = 1;  // inputs are uniform in [-scale, scale)
};

// A view of `shape` that begins one element behind the tensor's start.
template <class T>
struct Shifted {
  Tensor<T, CudaOf<T>> memory;
  View<T, CudaOf<T>> view;

  Shifted(View<const float, Cpu> x, std::int64_t by) : memory({.c = x.size() + by}) {
    std::vector<T> host(static_cast<std::size_t>(x.size() + by));
    for (std::int64_t i = 0; i < x.size(); ++i) host[static_cast<std::size_t>(i + by)] = static_cast<T>(x.data[i]);
    copy_from_host(memory.view(), host.data());
    view = {memory.data() + by, x.shape};
  }
};

template <class Device>
using Operation =
    std::function<void(Context<Device>&, View<Real<Device>, Device>, std::vector<View<Real<Device>, Device>>&)>;

template <class T>
void compare_in_type(const std::vector<Shape>& shapes, Shape out_shape, double tolerance,
                     const Operation<Reference>& on_reference, const Operation<CudaOf<T>>& on_gpu, InType options) {
  if (!cuda_present()) return;
  CAPTURE(out_shape);
  CAPTURE(std::string(name(dtype_of<T>())));
  std::vector<Tensor<float, Cpu>> inputs;
  std::vector<Tensor<double, Reference>> exact;
  std::vector<View<double, Reference>> exact_views;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    inputs.push_back(random(shapes[i], i + 1));
    float* const v = inputs.back().data();
    for (std::int64_t k = 0; k < shapes[i].size(); ++k) v[k] = static_cast<T>(options.scale * v[k]);
    exact.push_back(to_reference(inputs.back().view()));
  }
  for (auto& x : exact) exact_views.push_back(x.view());
  Tensor<double, Reference> want(out_shape);
  std::fill_n(want.data(), want.size(), 0.0);
  Context<Reference> reference;
  on_reference(reference, want.view(), exact_views);

  Tensor<float, Cpu> nothing(out_shape), first;
  std::fill_n(nothing.data(), nothing.size(), std::numeric_limits<float>::quiet_NaN());
  for (const std::int64_t shift : {0, 0, 1}) {
    Context<CudaOf<T>> ctx;
    std::vector<Shifted<T>> copies;
    std::vector<View<T, CudaOf<T>>> views;
    for (const auto& x : inputs) copies.emplace_back(x.view(), shift);
    for (const auto& x : copies) views.push_back(x.view);
    const Shifted<T> apart(nothing.view(), shift);
    const auto out = options.alias < 0 ? apart.view : views[static_cast<std::size_t>(options.alias)];
    on_gpu(ctx, out, views);
    auto got = from_cuda<T>(View<T, CudaOf<T>>(out));
    const auto c = compare(got.view(), want.view(), tolerance > 0 ? tolerance + kRounding<T> : 0);
    CHECK_MESSAGE(c.close, "shifted by ", shift, ": ", c);
    if (first.empty())
      first = std::move(got);
    else if (shift == 0)
      CHECK(std::memcmp(first.data(), got.data(), static_cast<std::size_t>(got.size()) * sizeof(float)) == 0);
  }
}

template <class T, class Op>
void same_in_type(const std::vector<Shape>& shapes, Shape out_shape, double tolerance, Op op, InType options = {}) {
  compare_in_type<T>(shapes, out_shape, tolerance, op, op, options);
}

}  // namespace d3ad::test
