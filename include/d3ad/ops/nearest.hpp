#pragma once
// The operations of implicit conditioning on distances (diffusion/implicit_conditioning.hpp), on their own device.
//
// nearest_mean: the mean distance of each row to its nearest neighbours, and the bin of that mean.
//   mean[i] = mean of the k smallest numbers of row i, or of all if there are fewer; 0 of none, NaN if one is NaN
//   bin[i]  = how many edges, except the last one, lie below mean[i]    (numpy's digitize, right = True; 0 for NaN)
//   distances {n, c = m}, edges {c = bins + 1} ascending  ->  mean {n}, bin {n}
// If bin.data is null, the edges are not read.
// left_out >= 0: row i is without column left_out + i, if there is one. The smallest are added up in ascending
// order, in double; bins are comparisons. So every device gives the same bits.
//
// pick: out[r, i] = table[r, choice[i]]
//   table {n = rows, c = m}, choice {n} of 0 ... m - 1  ->  out {n = rows, c = n}
// U: float, std::int32_t or StepCoefficients.

#include <cstdint>

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/required.hpp"
#include "d3ad/core/rng.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::ops {

struct Nearest {
  Required<int> k;
  std::int64_t left_out = -1;
};

// The bin of a value, the same on every device.
template <class T>
D3AD_HOST_DEVICE std::int32_t bin_of(T value, const T* edges, std::int64_t count) {
  std::int32_t below = 0;
  for (std::int64_t i = 0; i < count - 1; ++i) below += edges[i] < value;
  return below;
}

template <class Device>
void nearest_mean(Context<Device>&, View<Weight<Device>, Device> mean, View<std::int32_t, Device> bin,
                  In<Weight<Device>, Device> distances, In<Weight<Device>, Device> edges, Nearest);
template <class T, class Device>
void pick(Context<Device>&, View<T, Device> out, In<T, Device> table, In<std::int32_t, Device> choice);

inline void check_nearest_mean(Shape mean, Shape bin, bool wants_bin, Shape distances, Shape edges, Nearest config) {
  const Shape each{.n = distances.n};
  D3AD_CHECK((distances == Shape{.n = distances.n, .c = distances.c}) && mean == each && (!wants_bin || bin == each),
             "nearest_mean: mean ", mean, " and bin ", bin, " of distances ", distances,
             ", expected a row an image and a number for each");
  D3AD_CHECK(int{config.k} >= 1, "nearest_mean: k is ", int{config.k}, ", expected 1 or more");
  D3AD_CHECK(!wants_bin || (edges.c >= 2 && edges == Shape{.c = edges.c}), "nearest_mean: edges ", edges,
             " make no bin");
}

inline void check_pick(Shape out, Shape table, Shape choice) {
  D3AD_CHECK((table == Shape{.n = table.n, .c = table.c}) && table.c >= 1 &&
                 (out == Shape{.n = table.n, .c = choice.n}) && choice == Shape{.n = choice.n},
             "pick: out ", out, " of table ", table, " by choices ", choice,
             ", expected the table's rows with a column for each choice");
}

}  // namespace d3ad::ops
