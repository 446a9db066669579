#pragma once
// Reference variant of ops/nearest.hpp.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "d3ad/backend/reference/context.hpp"
#include "d3ad/ops/diffusion_step.hpp"
#include "d3ad/ops/nearest.hpp"

namespace d3ad::ops {

template <>
D3AD_INLINE void nearest_mean(Context<Reference>&, View<double, Reference> mean, View<std::int32_t, Reference> bin,
                              In<double, Reference> distances, In<double, Reference> edges, Nearest config) {
  check_nearest_mean(mean.shape, bin.shape, bin.data, distances.shape, edges.shape, config);
  for (std::int64_t i = 0; i < distances.shape.n; ++i) {
    std::vector<double> row;
    for (std::int64_t j = 0; j < distances.shape.c; ++j)
      if (config.left_out < 0 || j != config.left_out + i) row.push_back(distances.data[i * distances.shape.c + j]);
    const bool whole = std::none_of(row.begin(), row.end(), [](double v) { return std::isnan(v); });
    if (whole) std::sort(row.begin(), row.end());
    row.resize(std::min(row.size(), static_cast<std::size_t>(int{config.k})));
    double sum = 0;
    for (const double v : row) sum += v;
    mean.data[i] = !whole ? NAN : row.empty() ? 0 : sum / static_cast<double>(row.size());
    if (bin.data) bin.data[i] = bin_of(mean.data[i], edges.data, edges.shape.c);
  }
}

namespace detail {
template <class T>
void pick_columns(View<T, Reference> out, View<const T, Reference> table, View<const std::int32_t, Reference> choice) {
  check_pick(out.shape, table.shape, choice.shape);
  for (std::int64_t r = 0; r < out.shape.n; ++r)
    for (std::int64_t i = 0; i < out.shape.c; ++i)
      out.data[r * out.shape.c + i] = table.data[r * table.shape.c + choice.data[i]];
}
}  // namespace detail

// For the types that tables hold: numbers, time steps, coefficients of a step.
template <>
D3AD_INLINE void pick(Context<Reference>&, View<float, Reference> out, In<float, Reference> table,
                      In<std::int32_t, Reference> choice) {
  detail::pick_columns<float>(out, table, choice);
}
template <>
D3AD_INLINE void pick(Context<Reference>&, View<double, Reference> out, In<double, Reference> table,
                      In<std::int32_t, Reference> choice) {
  detail::pick_columns<double>(out, table, choice);
}
template <>
D3AD_INLINE void pick(Context<Reference>&, View<std::int32_t, Reference> out, In<std::int32_t, Reference> table,
                      In<std::int32_t, Reference> choice) {
  detail::pick_columns<std::int32_t>(out, table, choice);
}
template <>
D3AD_INLINE void pick(Context<Reference>&, View<StepCoefficients, Reference> out, In<StepCoefficients, Reference> table,
                      In<std::int32_t, Reference> choice) {
  detail::pick_columns<StepCoefficients>(out, table, choice);
}

}  // namespace d3ad::ops
