#pragma once
// A network's parameters, or their gradients, against a golden file's tensors of their names.
//
//   test::check_parameters(golden, store, "grad.", kTolerances.steps, [](auto& p) { return p.gradient(); });
//
// pick(parameter): a view of host memory, or a tensor there.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "d3ad/weights/parameters.hpp"
#include "support/compare.hpp"
#include "support/golden.hpp"

namespace d3ad::test {

namespace detail {

template <class T, class Device>
View<const T, Device> viewed(const Tensor<T, Device>& x) {
  return x.view();
}
template <class T, class Device>
View<const T, Device> viewed(View<T, Device> x) {
  return x;
}

}  // namespace detail

// Every golden tensor named PREFIX<parameter>, to `tolerance` of its largest value; of gradients ("grad.") that are
// nothing but rounding (a shift that a norm with one channel a group takes out again) to that of the largest of all,
// since their own measures nothing.
template <class Device, class Pick>
void check_parameters(const Golden& golden, ParameterStore<Device>& store, const std::string& prefix, double tolerance,
                      Pick&& pick) {
  int compared = 0;
  float largest = 0;
  for (const auto& name : golden.file.names())
    if (name.starts_with(prefix))
      for (const float v : golden.file.floats(name)) largest = std::max(largest, std::abs(v));
  for (const auto& name : golden.file.names()) {
    if (!name.starts_with(prefix)) continue;
    CAPTURE(name);
    auto* p = store.find(name.substr(prefix.size()));
    REQUIRE(p);
    const auto want = golden.tensor(name);
    float own = 0;
    for (std::int64_t i = 0; i < want.size(); ++i) own = std::max(own, std::abs(want.data()[i]));
    const bool rounding_only = prefix == "grad." && own < 1e-6f * largest;
    const auto picked = pick(*p);
    const auto got =
        compare(detail::viewed(picked), want.view(), rounding_only ? tolerance * largest / own : tolerance);
    CHECK_MESSAGE(got.close, got);
    ++compared;
  }
  CHECK_GT(compared, 5);
}

}  // namespace d3ad::test
