#pragma once
// CPU variant of ops/nearest.hpp.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "d3ad/backend/cpu/context.hpp"
#include "d3ad/ops/diffusion_step.hpp"
#include "d3ad/ops/nearest.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void nearest_mean(Context<Cpu>& ctx, View<float, Cpu> mean, View<std::int32_t, Cpu> bin,
                              In<float, Cpu> distances, In<float, Cpu> edges, Nearest config) {
  check_nearest_mean(mean.shape, bin.shape, bin.data, distances.shape, edges.shape, config);
  const std::int64_t columns = distances.shape.c;
  const auto row = make_value<float>(ctx, {.c = std::max<std::int64_t>(columns, 1)});
  float* const d = row.view().data;
  for (std::int64_t i = 0; i < distances.shape.n; ++i) {
    const float* const from = distances.data + i * columns;
    float* end = std::copy_n(from, columns, d);
    if (const std::int64_t skip = config.left_out + i; config.left_out >= 0 && skip < columns)
      end = std::copy(from + skip + 1, from + columns, d + skip);
    const auto k = std::min<std::ptrdiff_t>(config.k, end - d);
    if (std::any_of(d, end, [](float v) { return std::isnan(v); })) {
      mean.data[i] = NAN;  // sorting needs an order, which NaN does not have
    } else {
      std::partial_sort(d, d + k, end);
      double sum = 0;
      for (std::ptrdiff_t j = 0; j < k; ++j) sum += double{d[j]};
      mean.data[i] = k > 0 ? static_cast<float>(sum / static_cast<double>(k)) : 0.0f;
    }
    if (bin.data) bin.data[i] = bin_of(mean.data[i], edges.data, edges.shape.c);
  }
}

namespace detail {
template <class T>
void pick_columns(View<T, Cpu> out, View<const T, Cpu> table, View<const std::int32_t, Cpu> choice) {
  check_pick(out.shape, table.shape, choice.shape);
  for (std::int64_t r = 0; r < out.shape.n; ++r)
    for (std::int64_t i = 0; i < out.shape.c; ++i)
      out.data[r * out.shape.c + i] = table.data[r * table.shape.c + choice.data[i]];
}
}  // namespace detail

// For the types that tables hold: numbers, time steps, coefficients of a step.
template <>
D3AD_INLINE void pick(Context<Cpu>&, View<float, Cpu> out, In<float, Cpu> table, In<std::int32_t, Cpu> choice) {
  detail::pick_columns<float>(out, table, choice);
}
template <>
D3AD_INLINE void pick(Context<Cpu>&, View<std::int32_t, Cpu> out, In<std::int32_t, Cpu> table,
                      In<std::int32_t, Cpu> choice) {
  detail::pick_columns<std::int32_t>(out, table, choice);
}
template <>
D3AD_INLINE void pick(Context<Cpu>&, View<StepCoefficients, Cpu> out, In<StepCoefficients, Cpu> table,
                      In<std::int32_t, Cpu> choice) {
  detail::pick_columns<StepCoefficients>(out, table, choice);
}

}  // namespace d3ad::ops
