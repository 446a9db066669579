#pragma once
// image_input: an image of 8 bits becomes the networks' input: resized as Pillow does (bilinear, antialiased), then
// scaled to [-1, 1].
//
//   v = the pixels resized along w to out.w, each sum rounded to 8 bits, and then along h to out.h, likewise
//   out = v / 255 * 2 - 1
//
//   pixels [1, h, w, 3] uint8  ->  out [1, size_h, size_w, 3]        any sizes except 0, and sides below 2^31
//
// Pillow's arithmetic (Resample.c): weights are whole numbers with 22 bits after the point, so v is the same number on
// every device, and out the same bits wherever it is float. May wait for the device at sizes that are new to the
// context: tables go to it.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "d3ad/core/check.hpp"
#include "d3ad/core/context.hpp"
#include "d3ad/core/tensor.hpp"

namespace d3ad::ops {

inline constexpr int kResizeBits = 32 - 8 - 2;

// How one axis is resized, wherever its numbers lie: output position i is the mean of `count[i]` input positions from
// first[i] on, with the weights from weights[i * most] on.
struct ResizeTable {
  const std::int32_t *first, *count, *weights;
  std::int64_t most;

  // Output position i of the input whose position 0 is at p and whose positions are `step` apart: kChannels neighbours
  // at once. 32 bits are enough: rounding at most doubles a weight, and all together are 1 before it, so that a sum is
  // at most 255 * 2^23 + 2^21 < 2^31.
  template <int kChannels>
  constexpr void mean(std::uint8_t* to, std::int64_t i, const std::uint8_t* p, std::int64_t step) const {
    const std::int32_t *w = weights + i * most, *const end = w + count[i];
    std::int32_t sum[kChannels];
    for (std::int32_t& s : sum) s = std::int32_t{1} << (kResizeBits - 1);
    for (p += first[i] * step; w != end; ++w, p += step)
      for (int c = 0; c < kChannels; ++c) sum[c] += p[c] * *w;
    for (int c = 0; c < kChannels; ++c) {
      const std::int32_t v = sum[c] >> kResizeBits;
      to[c] = static_cast<std::uint8_t>(v < 255 ? v : 255);
    }
  }
  constexpr std::uint8_t mean(std::int64_t i, const std::uint8_t* p, std::int64_t step) const {
    std::uint8_t v = 0;
    mean<1>(&v, i, p, step);
    return v;
  }
};

// Its numbers on the host, in one piece, so that one copy takes them to a device.
struct ResizeWeights {
  std::int64_t positions = 0, most = 0;
  std::vector<std::int32_t> numbers;  // first [positions], count [positions], weights [positions x most]

  ResizeTable table() const { return table(numbers.data()); }
  // Of a copy of the numbers.
  ResizeTable table(const std::int32_t* copy) const { return {copy, copy + positions, copy + 2 * positions, most}; }
};

inline ResizeWeights resize_weights(std::int64_t in, std::int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out), filter = std::max(scale, 1.0);
  const auto center = [&](std::int64_t i) { return (static_cast<double>(i) + 0.5) * scale; };
  ResizeWeights result{
      .positions = out, .most = 0, .numbers = std::vector<std::int32_t>(2 * static_cast<std::size_t>(out))};
  for (std::int64_t i = 0; i < out; ++i) {
    const std::int64_t lo = std::max<std::int64_t>(static_cast<std::int64_t>(center(i) - filter + 0.5), 0);
    const std::int64_t hi = std::min(static_cast<std::int64_t>(center(i) + filter + 0.5), in);
    result.numbers[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(lo);
    result.numbers[static_cast<std::size_t>(out + i)] = static_cast<std::int32_t>(hi - lo);
    result.most = std::max(result.most, hi - lo);
  }
  result.numbers.resize(static_cast<std::size_t>(out * (2 + result.most)));
  std::vector<double> w(static_cast<std::size_t>(result.most));
  const ResizeTable table = result.table();
  for (std::int64_t i = 0; i < out; ++i) {
    const std::int64_t first = table.first[i], count = table.count[i];
    double sum = 0;
    for (std::int64_t k = 0; k < count; ++k) {
      const double distance = std::abs((static_cast<double>(first + k) - center(i) + 0.5) / filter);
      sum += w[static_cast<std::size_t>(k)] = distance < 1.0 ? 1.0 - distance : 0.0;
    }
    std::int32_t* const fixed = result.numbers.data() + 2 * out + i * result.most;
    for (std::int64_t k = 0; k < count; ++k) {
      const double v = w[static_cast<std::size_t>(k)];
      fixed[k] = static_cast<std::int32_t>((sum != 0 ? v / sum : v) * (1 << kResizeBits) + 0.5);
    }
  }
  return result;
}

// What the networks are given for 8 bits. The product is exact, so it does not matter who fuses it with the difference.
template <class T>
constexpr T input_number(std::uint8_t v) {
  return static_cast<T>(v) / T{255} * T{2} - T{1};
}

template <class Device>
void image_input(Context<Device>&, View<Weight<Device>, Device> out, In<std::uint8_t, Device> pixels);

inline void check_image_input(Shape out, Shape pixels) {
  for (const Shape s : {out, pixels}) {
    D3AD_CHECK(s.n == 1 && s.c == 3, "image_input: out ", out, " of pixels ", pixels,
               ", expected one image of 3 channels each");
    D3AD_CHECK(s.h > 0 && s.w > 0 && s.h <= INT32_MAX && s.w <= INT32_MAX, "image_input: out ", out, " of pixels ",
               pixels, ", expected sides between 1 and ", INT32_MAX);
  }
}

}  // namespace d3ad::ops
